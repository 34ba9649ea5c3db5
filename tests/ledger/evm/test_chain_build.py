"""What is shipped was compiled from the sources that are shipped, and fits a chain."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from circuits.errors import CorruptedArtefact
from circuits.halo2.circuit import MAX_K
from circuits.halo2.srs import CEREMONY_SHA256
from ledger.evm.artefact import EIP170_LIMIT, Compiled, ledger_contract, source_digests

CONTRACT = files("ledger.evm") / "contract"


def test_the_compiled_contract_is_that_of_the_sources():
    assert source_digests() == ledger_contract().sources, "run ledger/evm/contract/build.mjs"


def test_it_fits_a_chain():
    assert 0 < len(ledger_contract().runtime) <= EIP170_LIMIT


def test_the_ceremony_s_digests_are_those_of_python():
    found = re.findall(
        r"k == (\d+)\) return 0x([0-9a-f]{64})", (CONTRACT / "Halo2Proofs.sol").read_text()
    )
    assert {int(k): name for k, name in found} == {
        k: name for k, name in CEREMONY_SHA256.items() if k <= MAX_K
    }


def test_nobody_can_change_the_rules():
    """Every function that is not a question is an entry, made by its sender for itself."""
    changing = {
        item["name"]
        for item in ledger_contract().abi
        if item["type"] == "function" and item["stateMutability"] not in ("view", "pure")
    }
    assert changing == {
        "register", "registerTestset", "openTask", "commit", "release", "submitHalo2",
        "submitAttested", "transfer",
    }  # fmt: skip
    assert not any(item.get("stateMutability") == "payable" for item in ledger_contract().abi)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"bytecode": "60"}', b'{"bytecode": 1}'])
def test_a_damaged_file_is_refused(data):
    with pytest.raises(CorruptedArtefact):
        Compiled.decode(data)


def test_unlinked_code_is_refused():
    whole = json.loads((files("ledger.evm") / "compiled" / "ZkpotLedger.json").read_text())
    for name in ("bytecode", "runtime"):
        changed = {**whole, name: "60__$abc$__60"}
        with pytest.raises(CorruptedArtefact):
            Compiled.decode(json.dumps(changed).encode())


def _solc() -> Path | None:
    """A folder with node_modules/solc, where the author of a change has one."""
    for folder in (Path.cwd(), Path(__file__).parent):
        if (folder / "node_modules" / "solc").is_dir():
            return folder
    return None


@pytest.mark.skipif(shutil.which("node") is None or _solc() is None, reason="npm's solc is absent")
def test_it_compiles_to_the_same_bytes(tmp_path):
    for entry in CONTRACT.iterdir():
        if entry.name.endswith((".sol", ".mjs")):
            (tmp_path / "contract").mkdir(exist_ok=True)
            (tmp_path / "contract" / entry.name).write_bytes(entry.read_bytes())
    (tmp_path / "compiled").mkdir()
    subprocess.run(["node", tmp_path / "contract" / "build.mjs"], cwd=_solc(), check=True)
    made = Compiled.load(tmp_path / "compiled" / "ZkpotLedger.json")
    assert made == ledger_contract()
