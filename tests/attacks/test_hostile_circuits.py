"""Bundles that bring a circuit or an SRS of their own, and machines that were tampered with.

A verifier derives everything from the circuit that a bundle describes, so a forger describes
another: one with wider digits, an operator that rescales, an SRS whose secret he knows.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from circuits.bundle import Bundle
from circuits.errors import CorruptedArtefact, SrsInsecure
from circuits.halo2 import srs as srs_files
from circuits.halo2.circuit import Circuit
from circuits.halo2.keys import Keys, derive
from circuits.halo2.proof import FIELD_ORDER, ezkl_accepts, ezkl_proof, instances
from circuits.halo2.srs import SrsInfo
from circuits.network import Add, Architecture, NumberFormat, Requantise
from tests.attacks.ezkl_worker import Ezkl
from tests.attacks.lab import EZKL, Bench, Refused, read_proof
from tests.circuits.halo2.halo2_world import World, make_world
from verifier import halo2
from verifier.evm import SolidityVerifier
from verifier.verify import Expectation, Options, verify_bundle

pytestmark = pytest.mark.ezkl

OPTIONS = Options(allow_insecure_srs=True)


@pytest.fixture(scope="module")
def contract(tiny: World, tiny_keys: Keys) -> SolidityVerifier:
    return halo2.generate_contract(tiny_keys, tiny.srs.path)


@pytest.fixture(scope="module")
def expected(tiny: World) -> Expectation:
    return Expectation(tiny.manifest, tiny.context.digest)


def _claiming(bundle: Bundle, circuit: Circuit) -> Bundle:
    statement = replace(bundle.statement, circuit=circuit.digest)
    return replace(bundle, circuit=circuit.to_dict(), statement=statement)


def _rewired(circuit: Circuit, *layers: Any) -> Circuit:
    architecture = replace(circuit.architecture, layers=layers)
    return replace(circuit, architecture=architecture, decomp_base=512, decomp_legs=5)


def _hostile(circuit: Circuit) -> dict[str, tuple[Circuit, str]]:
    """Circuits that a forger may name for an honest bundle, and the check that stops each."""
    first, relu, second = circuit.architecture.layers
    rescale = Requantise("q", ("d1",), (5,), 1, NumberFormat(8, False))
    twice = Add("a", ("r1", "r1"), (5,), (25, 0))
    wide: Architecture = replace(
        circuit.architecture,
        layers=(
            replace(first, out_features=60),
            replace(relu, shape=(60,)),
            replace(second, in_features=60),
        ),
    )
    return {
        "more columns": (replace(circuit, columns=circuit.columns + 1), "proof form"),
        "wider digits": (replace(circuit, decomp_base=circuit.decomp_base * 2), "ezkl"),
        "one more digit": (replace(circuit, decomp_legs=circuit.decomp_legs + 1), "ezkl"),
        "wider weights": (
            replace(
                circuit,
                architecture=replace(circuit.architecture, weight_bits=6),
                decomp_legs=circuit.decomp_legs + 1,
            ),
            "ezkl",
        ),
        "no ReLU": (_rewired(circuit, first, replace(second, inputs=("d1",))), "ezkl"),
        "a rescaling layer": (
            _rewired(circuit, first, rescale, replace(second, inputs=("q",))), "keys",
        ),
        "a shift beyond floats": (
            _rewired(circuit, first, relu, twice, replace(second, inputs=("a",))), "keys",
        ),
        "several blocks": (replace(circuit, architecture=wide, decomp_legs=3), "keys"),
        "another shard size": (replace(circuit, shard_size=circuit.shard_size + 1), "test set"),
        "another opening budget": (
            replace(circuit, testset_budget=circuit.testset_budget + 1), "test set",
        ),
        "another k": (replace(circuit, k=circuit.k + 1), "test set"),
        "another SRS": (replace(circuit, srs="cd" * 32), "test set"),
    }  # fmt: skip


@pytest.mark.parametrize("name", [
    "more columns", "wider digits", "one more digit", "wider weights", "no ReLU",
    "a rescaling layer", "a shift beyond floats", "several blocks", "another shard size",
    "another opening budget", "another k", "another SRS",
])  # fmt: skip
def test_another_circuit_is_not_the_one_proven(tiny, tiny_bundle, expected, name):
    """The statement's digest is rewritten to fit, so only what is derived from it can object."""
    circuit, check = _hostile(tiny.circuit)[name]
    verdict = verify_bundle(_claiming(tiny_bundle, circuit).encode(), expected, OPTIONS)
    assert verdict.error is not None
    assert verdict.error.check == check, verdict.error


def test_the_number_of_model_salts_is_bound_by_the_circuit_digest_alone(
    tiny, tiny_bundle, tiny_keys, expected, tmp_path
):
    """Salts are read by nothing, so the verifying key is the same for any number of them.

    One set of proofs thus fits circuits that differ in `model_budget` only, which weakens the
    hiding of nobody's secret but the submitter's own, and no count. Whoever must not take the
    same proofs for two statements pins the circuit, as the ledger does.
    """
    circuit = replace(tiny.circuit, model_budget=tiny.circuit.model_budget + 1)
    assert circuit.digest != tiny.circuit.digest
    keys = derive(circuit, tiny.srs.path, proving=False, store=tmp_path)
    assert keys.verifying_key_digest == tiny_keys.verifying_key_digest
    pinned = replace(expected, circuit=tiny.circuit.digest)
    error = verify_bundle(_claiming(tiny_bundle, circuit).encode(), pinned, OPTIONS).error
    assert error is not None and error.check == "circuit"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same data and model, committed under an SRS whose secret somebody else knows."""
    home = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZKPOT_HOME", str(home))
        srs = srs_files.make_development(10)
    return make_world(srs)


@pytest.fixture(scope="module")
def bundle_elsewhere(elsewhere: World, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle-elsewhere")
    return elsewhere.prove(folder)[0]


def test_a_proof_under_another_srs_is_rejected(
    tiny, tiny_bundle, tiny_keys, contract, expected, elsewhere, bundle_elsewhere
):
    """Whoever made an SRS can forge under it, so a proof must be of the verifier's own SRS."""
    options = replace(OPTIONS, srs=tiny.srs.path)
    theirs = Expectation(elsewhere.manifest, elsewhere.context.digest)
    assert elsewhere.srs.digest != tiny.srs.digest
    # As it is, against the set it was made for: this verifier's SRS is another.
    error = verify_bundle(bundle_elsewhere.encode(), theirs, options).error
    assert error is not None and error.check == "srs"
    # Against our set, with our circuit claimed: other commitments.
    claimed = _claiming(replace(tiny_bundle, proofs=bundle_elsewhere.proofs), tiny.circuit)
    error = verify_bundle(claimed.encode(), expected, options).error
    assert error is not None and error.check == "shards"
    # With our commitments put in front: only the proofs themselves are left.
    pairs = zip(tiny_bundle.proofs, bundle_elsewhere.proofs, strict=True)
    spliced = replace(tiny_bundle, proofs=tuple(ours[:192] + other[192:] for ours, other in pairs))
    error = verify_bundle(spliced.encode(), expected, options).error
    assert error is not None and error.check == "ezkl"
    instances = halo2.expected_instances(spliced, tiny.circuit, tiny.manifest.halo2)
    for proof, public in zip(spliced.proofs, instances, strict=True):
        assert not ezkl_accepts(tiny_keys, tiny.srs.path, proof, public)
        assert not contract.verify(public, proof)


def test_a_development_srs_is_refused_without_a_word_of_consent(tiny, tiny_bundle, expected):
    """The default verifier takes the ceremony's SRS only, whatever the bundle says of its own."""
    with pytest.raises(SrsInsecure):
        verify_bundle(tiny_bundle.encode(), expected)
    with pytest.raises(SrsInsecure):
        verify_bundle(tiny_bundle.encode(), expected, Options(srs=tiny.srs.path))
    lying = replace(tiny_bundle, details={"srs_insecure": False})
    with pytest.raises(SrsInsecure):
        verify_bundle(lying.encode(), expected)
    error = verify_bundle(lying.encode(), expected, OPTIONS).error
    assert error is not None and error.check == "srs"


def test_every_word_of_a_proof_matters(tiny, tiny_keys, tiny_bundle, contract, tmp_path):
    """One bit of each word: ezkl refuses all, the independent verifier every eighth tried."""
    proof = tiny_bundle.proofs[0]
    public = instances(tiny.circuit, correct=tiny.counts[0], samples=3, context=tiny.context.digest)
    assert _accepts(tiny_keys, tiny.srs, proof, public, tmp_path)
    assert contract.verify(public, proof)
    for at in range(0, len(proof), 32):
        bit = at // 32 % 8
        place = at + 31 - at // 32 % 32
        changed = proof[:place] + bytes([proof[place] ^ 1 << bit]) + proof[place + 1 :]
        assert not _accepts(tiny_keys, tiny.srs, changed, public, tmp_path), place
        if at // 32 % 8 == 0:
            assert not contract.verify(public, changed), place


def _accepts(keys: Keys, srs: SrsInfo, proof: bytes, public: list[int], folder: Path) -> bool:
    path = folder / "proof.json"
    path.write_text(ezkl_proof(proof, public))
    try:
        key = keys.path("verifying_key")
        return EZKL("verify", path, keys.path("settings"), key, srs.path) is True
    except Refused:
        return False


# The verifier's own machine.


def _poison(cache: Path) -> int:
    """Put 0 -> 0 in the last row of every table of powers, where it says "not in range"."""
    files = list(cache.glob("pow_*/*puts"))
    for file in files:
        file.write_bytes(file.read_bytes()[:-32] + bytes(32))
    return len(files)


def test_a_poisoned_table_cache_does_not_reach_the_keys(mlp: Bench, tmp_path, monkeypatch):
    """ezkl takes tables from ~/.ezkl/cache unread; one file there would switch off a range check.

    Shown first with plain ezkl: an element below the range then counts 0 and one above it 2, so
    that the poisoned key accepts the pair.
    """
    cache = tmp_path / ".ezkl"
    vk, pk = tmp_path / "vk", tmp_path / "pk"
    setup = ("setup", mlp.keys.path("compiled"), vk, pk, mlp.srs)
    honest_key = mlp.keys.path("verifying_key").read_bytes()

    plain = Ezkl(EZKL_REPO_PATH=str(cache))
    plain(*setup)
    plain.close()
    assert vk.read_bytes() == honest_key
    assert _poison(cache / "cache") == 4

    plain = Ezkl(EZKL_REPO_PATH=str(cache))
    plain(*setup)
    plain.close()
    assert vk.read_bytes() != honest_key
    folder = tmp_path / "poisoned"
    folder.mkdir()
    for name in ("graph", "settings", "compiled"):
        (folder / mlp.keys.path(name).name).write_bytes(mlp.keys.path(name).read_bytes())
    for path, name in ((vk, "verifying_key"), (pk, "proving_key")):
        path.rename(folder / mlp.keys.path(name).name)
    victim = replace(mlp, keys=Keys(folder, "0" * 64))
    form = mlp.circuit.architecture.input_format
    pair = mlp.secrets.changed("features", 4, form.high + 1)
    pair = pair.changed("features", 0, (form.low - 1) % FIELD_ORDER)
    with pytest.raises(Refused):
        mlp.prove(pair)
    # The prover's process takes its tables from the same cache.
    forged = _forge_with(Ezkl(EZKL_REPO_PATH=str(cache)), victim, pair, tmp_path)
    assert forged.instances == mlp.public(correct=forged.instances[0])
    assert victim.accepts(forged)
    assert not mlp.accepts(forged)

    monkeypatch.setenv("EZKL_REPO_PATH", str(cache))
    monkeypatch.setenv("HOME", str(tmp_path))
    ours = derive(mlp.circuit, mlp.srs, proving=False, store=tmp_path / "store")
    assert ours.path("verifying_key").read_bytes() == honest_key


def _forge_with(ezkl: Ezkl, bench: Bench, secrets: Any, folder: Path) -> Any:
    (folder / "in.json").write_text(bench.input_json(secrets))
    compiled, srs = bench.keys.path("compiled"), bench.srs
    key = bench.keys.path("verifying_key")
    ezkl("gen_witness", folder / "in.json", compiled, folder / "w.json", key, srs)
    ezkl("prove", folder / "w.json", compiled, bench.keys.path("proving_key"), folder / "p.json",
         srs)  # fmt: skip
    ezkl.close()
    return read_proof(folder / "p.json")


@pytest.mark.parametrize("fresh", [False, True], ids=["kept", "fresh"])
@pytest.mark.parametrize("name", ["verifying_key", "settings"])
def test_poisoned_keys_are_found(mlp: Bench, conv: Bench, name, fresh, tmp_path):
    """Another circuit's verifying key, or other settings, in the verifier's key store."""
    kept = derive(mlp.circuit, mlp.srs, proving=False, store=tmp_path)
    honest = kept.path(name).read_bytes()
    kept.path(name).write_bytes(conv.keys.path(name).read_bytes())
    with pytest.raises(CorruptedArtefact):
        derive(mlp.circuit, mlp.srs, proving=False, store=tmp_path, fresh=fresh)
    shutil.rmtree(kept.folder)
    again = derive(mlp.circuit, mlp.srs, proving=False, store=tmp_path)
    assert again.path(name).read_bytes() == honest


@pytest.mark.parametrize(
    ("name", "value"), [("EZKL_KEY_FORMAT", "processed"), ("EZKL_MAX_CIRCUIT_AREA", "1")]
)
def test_ezkl_variables_of_the_environment_do_not_change_the_keys(
    mlp: Bench, tmp_path, monkeypatch, name, value
):
    """ezkl reads variables of its own; a validator's shell must not decide what a key is."""
    monkeypatch.setenv(name, value)
    ours = derive(mlp.circuit, mlp.srs, proving=False, store=tmp_path)
    assert ours.verifying_key_digest == mlp.keys.verifying_key_digest
