"""The plain verifier shares no code with the prover and the fast verifier, and needs no numpy."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from verifier import plain

FILES = sorted(Path(next(iter(plain.__path__))).glob("*.py"))
SHARED = {"circuits.encoding", "circuits.errors", "circuits.network"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imports(path: Path) -> None:
    for name in imports(path):
        first = name.split(".")[0]
        own = name == "verifier.plain" or name.startswith("verifier.plain.")
        assert own or name in SHARED or first in sys.stdlib_module_names
