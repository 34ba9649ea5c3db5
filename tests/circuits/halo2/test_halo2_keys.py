"""Keys are derived alike by everyone, and a damaged store is noticed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from circuits.encoding import canonical_json, file_digest
from circuits.errors import CorruptedArtefact, SrsInvalid, UnsafeConfiguration, WorkerFailed
from circuits.halo2 import keys as keys_module
from circuits.halo2.keys import Keys, derive, home
from tests.circuits.halo2.halo2_world import World, mlp

pytestmark = pytest.mark.ezkl

FILES = ["graph.onnx", "settings.json", "circuit.ezkl", "vk.key", "pk.key"]


@pytest.fixture
def store(tiny: World, tiny_keys: Keys, tmp_path: Path) -> Path:
    """A copy of the store with the tiny circuit's keys."""
    shutil.copytree(tiny_keys.folder, tmp_path / "keys" / tiny.circuit.digest)
    return tmp_path / "keys"


def no_ezkl(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("nothing should have been derived")


def test_home_is_the_tests_own(zkpot_home: Path, tiny: World, tiny_keys: Keys) -> None:
    assert home() == zkpot_home
    assert tiny_keys.folder == zkpot_home / "keys" / tiny.circuit.digest


def test_two_derivations_agree_to_the_byte(tiny: World, tiny_keys: Keys, tmp_path: Path) -> None:
    again = derive(tiny.circuit, tiny.srs.path, proving=True, store=tmp_path)
    assert again.verifying_key_digest == tiny_keys.verifying_key_digest
    # The compiled circuit holds hash maps in whatever order; nothing is derived from its bytes.
    for name in ("graph", "settings", "verifying_key", "proving_key"):
        assert again.path(name).read_bytes() == tiny_keys.path(name).read_bytes(), name


def test_another_circuit_has_other_keys(tiny: World, tiny_keys: Keys, tmp_path: Path) -> None:
    for change in ({"shard_size": 2}, {"decomp_base": 512}, {"architecture": mlp(weight_bits=3)}):
        other = derive(
            replace(tiny.circuit, **change), tiny.srs.path, proving=False, store=tmp_path
        )
        assert other.verifying_key_digest != tiny_keys.verifying_key_digest, change
        assert other.folder != tiny_keys.folder


def test_kept_keys_are_found_again(
    tiny: World, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "call_ezkl", no_ezkl)
    for proving in (False, True):
        found = derive(tiny.circuit, tiny.srs.path, proving=proving, store=store)
        assert found.folder == store / tiny.circuit.digest
        assert found.verifying_key_digest == file_digest(found.path("verifying_key"))


def test_verifier_keeps_no_proving_key_and_prover_makes_it_later(
    tiny: World, tmp_path: Path
) -> None:
    lean = derive(tiny.circuit, tiny.srs.path, proving=False, store=tmp_path)
    assert not lean.path("proving_key").exists()
    full = derive(tiny.circuit, tiny.srs.path, proving=True, store=tmp_path)
    assert full.path("proving_key").exists()
    assert full.verifying_key_digest == lean.verifying_key_digest
    assert [p.name for p in tmp_path.iterdir()] == [tiny.circuit.digest]


def test_fresh_derives_again(tiny: World, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    real = keys_module.call_ezkl

    def counted(function: str, **kwargs: Any) -> Any:
        called.append(function)
        return real(function, **kwargs)

    monkeypatch.setattr(keys_module, "call_ezkl", counted)
    derive(tiny.circuit, tiny.srs.path, proving=False, store=store, fresh=True)
    assert called == ["gen_settings", "compile_circuit", "setup"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flip", "truncate", "append", "remove"])
def test_damage_is_noticed(
    tiny: World, store: Path, name: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store / tiny.circuit.digest / name
    data = path.read_bytes()
    if damage == "flip":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    elif damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "truncate" else data + b"\0")
    monkeypatch.setattr(keys_module, "call_ezkl", no_ezkl)
    with pytest.raises(CorruptedArtefact, match=name) as caught:
        derive(tiny.circuit, tiny.srs.path, proving=True, store=store)
    assert caught.value.details["artefact"] == name
    assert caught.value.details["expected"] != caught.value.details["found"]
    if name == "pk.key":
        # A verifier does not read it.
        derive(tiny.circuit, tiny.srs.path, proving=False, store=store)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"vk.key":"x"}',
    ],
)
def test_damaged_digests_are_noticed(tiny: World, store: Path, content: bytes) -> None:
    (store / tiny.circuit.digest / "digests.json").write_bytes(content)
    with pytest.raises(CorruptedArtefact):
        derive(tiny.circuit, tiny.srs.path, proving=False, store=store)


def test_keys_of_another_graph_are_replaced(tiny: World, tiny_keys: Keys, store: Path) -> None:
    """Another version of this tool may have built another graph for the same description."""
    folder = store / tiny.circuit.digest
    for name in ("graph.onnx", "vk.key"):
        (folder / name).write_bytes(b"of an older version")
    digests = json.loads((folder / "digests.json").read_bytes())
    digests |= {name: file_digest(folder / name) for name in ("graph.onnx", "vk.key")}
    (folder / "digests.json").write_bytes(canonical_json(digests))
    found = derive(tiny.circuit, tiny.srs.path, proving=True, store=store)
    assert found.verifying_key_digest == tiny_keys.verifying_key_digest
    assert {p.name for p in store.iterdir()} == {tiny.circuit.digest}


def test_fresh_keys_of_a_verifier_leave_the_provers(tiny: World, store: Path) -> None:
    derive(tiny.circuit, tiny.srs.path, proving=False, store=store, fresh=True)
    assert (store / tiny.circuit.digest / "pk.key").exists()


def test_swapped_verifying_key_is_found_by_deriving_afresh(tiny: World, store: Path) -> None:
    """Whoever can write the store can fix up the digests too; `fresh` does not believe them."""
    folder = store / tiny.circuit.digest
    (folder / "vk.key").write_bytes(b"another key")
    digests = json.loads((folder / "digests.json").read_bytes())
    digests["vk.key"] = file_digest(folder / "vk.key")
    (folder / "digests.json").write_bytes(canonical_json(digests))
    assert derive(tiny.circuit, tiny.srs.path, proving=False, store=store)
    with pytest.raises(CorruptedArtefact, match="not the one derived just now"):
        derive(tiny.circuit, tiny.srs.path, proving=False, store=store, fresh=True)
    assert {p.name for p in store.iterdir()} == {tiny.circuit.digest}


def test_another_srs_is_refused_before_any_work(
    tiny: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "call_ezkl", no_ezkl)
    other = tmp_path / "other.srs"
    data = bytearray(tiny.srs.path.read_bytes())
    data[-1] ^= 1
    other.write_bytes(data)
    with pytest.raises(SrsInvalid) as caught:
        derive(tiny.circuit, other, proving=False, store=tmp_path / "keys")
    assert caught.value.details["expected"] == tiny.circuit.srs
    assert caught.value.details["found"] == file_digest(other)
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("step", ["gen_settings", "compile_circuit", "setup"])
def test_nothing_is_left_when_ezkl_fails(
    tiny: World, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = keys_module.call_ezkl

    def failing(function: str, **kwargs: Any) -> Any:
        if function == step:
            raise WorkerFailed(f"ezkl {function} was killed by signal 9", function=function)
        return real(function, **kwargs)

    monkeypatch.setattr(keys_module, "call_ezkl", failing)
    with pytest.raises(WorkerFailed, match=step):
        derive(tiny.circuit, tiny.srs.path, proving=True, store=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_what_was_there(
    tiny: World, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(function: str, **kwargs: Any) -> Any:
        raise WorkerFailed("ezkl failed", function=function)

    monkeypatch.setattr(keys_module, "call_ezkl", failing)
    with pytest.raises(WorkerFailed):
        derive(tiny.circuit, tiny.srs.path, proving=True, store=store, fresh=True)
    kept = derive(tiny.circuit, tiny.srs.path, proving=True, store=store)
    assert kept.path("proving_key").exists()
    assert {p.name for p in store.iterdir()} == {tiny.circuit.digest}


def test_unsafe_settings_make_no_keys(
    tiny: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = keys_module.run_args
    monkeypatch.setattr(
        keys_module, "run_args", lambda circuit: {**real(circuit), "disable_freivalds": False}
    )
    with pytest.raises(UnsafeConfiguration, match="disable_freivalds"):
        derive(tiny.circuit, tiny.srs.path, proving=True, store=tmp_path)
    assert list(tmp_path.iterdir()) == []
