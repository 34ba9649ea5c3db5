"""The compiled contracts that are shipped, and what they were compiled from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from circuits.encoding import is_hex, read_bytes
from circuits.errors import CorruptedArtefact

EIP170_LIMIT = 24_576
"""Bytes of code that a contract may have."""

_MAX_FILE = 1 << 22
_PACKAGE = "ledger.evm"


@dataclass(frozen=True)
class Compiled:
    """What ``contract/build.mjs`` writes.

    Attributes
    ----------
    contract : str
        Name of the contract.
    compiler : str
        Version of solc.
    sources : dict of str to str
        SHA-256 of every source file by name.
    abi : list of dict
        Functions, events and errors.
    bytecode : bytes
        Code that creates the contract; constructor arguments follow it.
    runtime : bytes
        Code of the contract that it creates.
    """

    contract: str
    compiler: str
    sources: dict[str, str]
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes

    @classmethod
    def load(cls, path: Path) -> Compiled:
        """Read a compiled contract.

        Raises
        ------
        CorruptedArtefact, MissingArtefact
            If the file cannot be used.
        """
        return cls.decode(read_bytes(path, "compiled contract", _MAX_FILE))

    @classmethod
    def decode(cls, data: bytes) -> Compiled:
        """Read a compiled contract; CorruptedArtefact if it cannot be used."""
        try:
            value = json.loads(data)
            code = [value["bytecode"], value["runtime"]]
            # A placeholder of the linker, for one, is no hex.
            if not all(is_hex(text, len(text) // 2) for text in code):
                raise ValueError("the code is not hex")
            return cls(
                str(value["contract"]),
                str(value["compiler"]),
                dict(value["sources"]),
                list(value["abi"]),
                *map(bytes.fromhex, code),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptedArtefact(
                f"compiled contract: it cannot be read: {error!r}", artefact="compiled contract"
            ) from None


@lru_cache(maxsize=1)
def ledger_contract() -> Compiled:
    """Return the compiled ``ZkpotLedger``."""
    return Compiled.decode((files(_PACKAGE) / "compiled" / "ZkpotLedger.json").read_bytes())


@lru_cache(maxsize=1)
def known_runtimes() -> frozenset[bytes]:
    """Return the code of every version of ``ZkpotLedger`` whose entries this package reads."""
    return frozenset(
        Compiled.decode(entry.read_bytes()).runtime
        for entry in (files(_PACKAGE) / "compiled").iterdir()
        if entry.name.startswith("ZkpotLedger") and entry.name.endswith(".json")
    )


def source_digests() -> dict[str, str]:
    """Return the SHA-256 of each Solidity file that is shipped, by name."""
    return {
        entry.name: hashlib.sha256(entry.read_bytes()).hexdigest()
        for entry in (files(_PACKAGE) / "contract").iterdir()
        if entry.name.endswith(".sol")
    }
