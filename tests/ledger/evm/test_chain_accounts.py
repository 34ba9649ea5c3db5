"""Keys of accounts: encrypted, for their owner only, and never shown."""

from __future__ import annotations

import json
import logging
import traceback

import pytest

from circuits.errors import MissingArtefact
from ledger.errors import BadKey
from ledger.evm.accounts import ChainAccount, identity
from tests.ledger.evm.evm_world import ALICE

SECRET = bytes(31) + b"\x2a"
QUICK = {"iterations": 2}


@pytest.fixture
def keystore(tmp_path):
    path = tmp_path / "keys" / "account.json"
    ChainAccount.from_secret(SECRET).save(path, "a passphrase", **QUICK)
    return path


def test_a_keystore_is_read_back(keystore):
    account = ChainAccount.load(keystore, "a passphrase")
    assert account.public == ChainAccount.from_secret(SECRET).public
    assert account.address.lower().endswith(account.public[24:])
    assert account.public.startswith("00" * 12)


def test_it_is_its_owner_s_alone_and_encrypted(keystore):
    assert keystore.stat().st_mode & 0o777 == 0o600
    store = json.loads(keystore.read_bytes())
    assert store["version"] == 3 and store["crypto"]["kdf"] == "scrypt"
    assert SECRET.hex()[-16:] not in keystore.read_text()


def test_the_default_cost_is_not_that_of_a_test(tmp_path):
    path = tmp_path / "account.json"
    ChainAccount.generate().save(path, "x")
    assert json.loads(path.read_bytes())["crypto"]["kdfparams"]["n"] >= 2**18


@pytest.mark.parametrize("passphrase", ["another", "", "a passphras"])
def test_a_wrong_passphrase(keystore, passphrase):
    with pytest.raises(BadKey, match="passphrase"):
        ChainAccount.load(keystore, passphrase)


def test_no_key_is_written_unencrypted_or_over_another(keystore, tmp_path):
    account = ChainAccount.generate()
    with pytest.raises(BadKey, match="only copy"):
        account.save(keystore, "x", **QUICK)
    with pytest.raises(BadKey, match="passphrase"):
        account.save(tmp_path / "new.json", "", **QUICK)
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"version": 3, "crypto": {}}'])
def test_a_damaged_keystore(tmp_path, content):
    path = tmp_path / "account.json"
    path.write_bytes(content)
    with pytest.raises(BadKey):
        ChainAccount.load(path, "x")


def test_a_keystore_that_is_not_there(tmp_path):
    with pytest.raises(MissingArtefact):
        ChainAccount.load(tmp_path / "none", "x")


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32, b"", bytes(31), bytes(33)])
def test_numbers_that_are_no_keys(secret):
    with pytest.raises(BadKey) as caught:
        ChainAccount.from_secret(secret)
    assert secret == b"" or secret.hex() not in "".join(traceback.format_exception(caught.value))


def test_it_never_shows(keystore, caplog):
    caplog.set_level(logging.DEBUG)
    account = ChainAccount.load(keystore, "a passphrase")
    shown = f"{account} {account!r} {caplog.text} {vars(account)}"
    assert SECRET.hex() not in shown and str(SECRET) not in shown


def test_addresses_as_people_write_them():
    plain = ALICE.address[2:]
    for text in (ALICE.address, plain, plain.lower(), "0x" + plain.upper(), "0X" + plain.lower()):
        assert identity(text) == ALICE.public


def test_addresses_that_are_none():
    swapped = ALICE.address[2:].swapcase()
    for text in (
        swapped,
        "",
        "0x",
        "0x" + "00" * 20,
        "11" * 19,
        "11" * 21,
        "zz" * 20,
        "0x0x" + "11" * 19,
    ):
        with pytest.raises(BadKey):
            identity(text)
