"""The commands of a ledger on a chain; its node is in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.evm.accounts import ChainAccount
from ledger.evm.node import Node
from tests.cli.cli_lab import Cli
from tests.ledger.evm.evm_world import account, new_chain

SECRET = {"ZKPOT_PASSPHRASE": "correct horse"}
URL = "http://node.example"


class Chain:
    """The command line, before a chain of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cli = folder, Cli(folder / "home")
        self.contract = ""

    def key(self, number: int) -> Path:
        path = self.folder / f"{number}.json"
        if not path.exists():
            account(number).save(path, SECRET["ZKPOT_PASSPHRASE"], iterations=2)
        return path

    def run(self, command: str, *words: str | Path, key: int | None = None):
        where = ["--engine", "evm", "--rpc", URL, "--contract", self.contract,
                 "--confirmations", "0"]  # fmt: skip
        signed = [] if key is None else ["--key", self.key(key)]
        return self.cli("ledger", *command.split(), self.folder / "blobs", *words, *where, *signed,
                        env=SECRET)  # fmt: skip


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    node, _ = new_chain()
    monkeypatch.setattr(Node, "at", classmethod(lambda *_: node))
    return Chain(tmp_path)


def test_a_ledger_on_a_chain(chain: Chain) -> None:
    made = chain.cli("ledger", "evm", "deploy", "--rpc", URL, "--key", chain.key(0), "--name",
                     "cli.example", "--json", env=SECRET).good().json  # fmt: skip
    chain.contract = made["contract"]
    chain.run("identity", "--name", "one", key=1).good()
    chain.run("identity", "--name", "two", key=2).good()
    one = account(1).public
    chain.run("transfer", "--to", one, "--amount", "1", key=2).refused("INSUFFICIENT_FUNDS", 7)
    chain.run("bond", "--amount", "1", key=1).refused("NOT_ON_CHAIN", 7)
    shown = chain.run("show", "--json").good().json
    assert [entry["type"] for entry in shown["entries"]] == [
        "genesis", "identity.register", "identity.register"
    ]  # fmt: skip
    assert shown["entries"][1]["signer"] == one
    assert "nobody has any credit" in chain.run("balance").good().out
    assert "3 entries replayed" in chain.run("evm audit").good().out
    receipt = chain.folder / "receipt"
    chain.run("receipt", "1", "--out", receipt).good()
    assert receipt.read_bytes()


def test_keystores(chain: Chain) -> None:
    file = chain.folder / "new.json"
    chain.cli("ledger", "evm", "account", file).refused("BAD_INPUT", 2, "ZKPOT_PASSPHRASE")
    made = chain.cli("ledger", "evm", "account", file, "--json", env=SECRET).good().json
    assert ChainAccount.load(file, SECRET["ZKPOT_PASSPHRASE"]).public == made["identity"]
    chain.contract = "0x" + "11" * 20
    chain.run("balance").refused("LEDGER_MISSING", 7)
    wrong = chain.cli("ledger", "identity", chain.folder, "--name", "x", "--engine", "evm", "--rpc",
                      URL, "--contract", chain.contract, "--key", file,
                      env={"ZKPOT_PASSPHRASE": "wrong"})  # fmt: skip
    wrong.refused("BAD_KEY", 7)


def test_public_files_are_kept(chain: Chain, tmp_path: Path) -> None:
    file = tmp_path / "circuit.json"
    file.write_bytes(b"{}")
    made = chain.cli("ledger", "evm", "keep", tmp_path / "blobs", file, "--json").good().json
    name = made["blobs"][str(file)]
    assert (tmp_path / "blobs" / "blobs" / name).read_bytes() == b"{}"
    chain.cli("ledger", "evm", "keep", tmp_path / "other", tmp_path / "none").refused(
        "MISSING_ARTEFACT", 4
    )
    assert not (tmp_path / "other").exists()


def test_what_is_for_chains_only(chain: Chain, tmp_path: Path) -> None:
    book = tmp_path / "book"
    chain.cli("ledger", "init", book, "--origin", "x.example").good()
    chain.cli("ledger", "evm", "audit", book).refused("BAD_INPUT", 2, "zkpot ledger audit")
