"""A shard's proof says what it says and nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.bundle import Bundle
from circuits.errors import CorruptedArtefact, WorkerFailed
from circuits.halo2 import proof as proof_module
from circuits.halo2.keys import Keys
from circuits.halo2.proof import (
    FIELD_ORDER,
    MAX_PROOF_BYTES,
    commitments,
    context_elements,
    ezkl_accepts,
    ezkl_proof,
    felt,
    instances,
)
from prover.halo2 import prove_shard
from tests.circuits.halo2.halo2_world import World


@given(st.integers(-(FIELD_ORDER - 1), FIELD_ORDER - 1))
def test_felt_is_canonical(value: int) -> None:
    text = felt(value)
    assert len(text) == 64 and text == text.lower()
    number = int.from_bytes(bytes.fromhex(text), "little")
    assert number < FIELD_ORDER and (number - value) % FIELD_ORDER == 0


@given(st.binary(min_size=32, max_size=32))
def test_context_is_split_without_loss(context: bytes) -> None:
    high, low = context_elements(context.hex())
    assert 0 <= high < 1 << 128 and 0 <= low < 1 << 128
    assert (high << 128 | low).to_bytes(32, "big") == context


@pytest.mark.parametrize("size", [0, 64, 192, 255, MAX_PROOF_BYTES + 1])
def test_proof_of_impossible_size_is_named(size: int) -> None:
    with pytest.raises(CorruptedArtefact, match=f"a proof of {size} bytes"):
        commitments(bytes(size))


def test_commitments_are_the_first_three_points() -> None:
    data = bytes(range(256))
    assert commitments(data) == (data[:64], data[64:128], data[128:192])


@pytest.mark.ezkl
def test_instances_are_all_that_a_proof_speaks_of(
    tiny: World, tiny_keys: Keys, tiny_bundle: Bundle
) -> None:
    proof, samples = tiny_bundle.proofs[0], tiny.manifest.halo2.shards[0].samples
    honest = instances(
        tiny.circuit, correct=tiny.counts[0], samples=samples, context=tiny.context.digest
    )
    assert honest == [
        tiny.counts[0], 3, *context_elements(tiny.context.digest), 3 * 4 + 4 * 5 + 5 * 3,
    ]  # fmt: skip
    assert ezkl_accepts(tiny_keys, tiny.srs.path, proof, honest)
    for place in range(5):
        for step in (1, -1):
            forged = list(honest)
            forged[place] += step
            assert not ezkl_accepts(tiny_keys, tiny.srs.path, proof, forged), place


@pytest.mark.ezkl
def test_damaged_proof_is_refused(tiny: World, tiny_keys: Keys, tiny_bundle: Bundle) -> None:
    proof = tiny_bundle.proofs[1]
    public = instances(tiny.circuit, correct=tiny.counts[1], samples=3, context=tiny.context.digest)
    assert ezkl_accepts(tiny_keys, tiny.srs.path, proof, public)
    for place in (0, 70, 200, len(proof) // 2, len(proof) - 1):
        forged = bytearray(proof)
        forged[place] ^= 1
        assert not ezkl_accepts(tiny_keys, tiny.srs.path, bytes(forged), public), place
    assert not ezkl_accepts(tiny_keys, tiny.srs.path, proof[:-32], public)
    assert not ezkl_accepts(tiny_keys, tiny.srs.path, b"", public)


@pytest.mark.ezkl
def test_a_verifier_that_cannot_work_does_not_refuse(
    tiny: World, tiny_keys: Keys, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    """A key file that vanished says nothing of the proof: WorkerFailed, not False."""
    folder = tmp_path / "keys"
    shutil.copytree(tiny_keys.folder, folder)
    (folder / "vk.key").unlink()
    public = instances(tiny.circuit, correct=tiny.counts[0], samples=3, context=tiny.context.digest)
    with pytest.raises(WorkerFailed):
        ezkl_accepts(
            Keys(folder, tiny_keys.verifying_key_digest), tiny.srs.path,
            tiny_bundle.proofs[0], public,
        )  # fmt: skip


@pytest.mark.ezkl
def test_a_crash_is_no_refusal(
    tiny: World, tiny_keys: Keys, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*args: object, **kwargs: object) -> None:
        raise WorkerFailed("ezkl verify was killed by signal 9", function="verify")

    monkeypatch.setattr(proof_module, "call_ezkl", crash)
    with pytest.raises(WorkerFailed):
        ezkl_accepts(tiny_keys, tiny.srs.path, tiny_bundle.proofs[0], [0] * 5)


def test_ezkl_file_holds_nothing_that_is_ignored() -> None:
    value = json.loads(ezkl_proof(b"\x01\x02", [1, 2]))
    assert value.pop("proof") == [1, 2]
    assert value.pop("instances") == [[felt(1), felt(2)]]
    assert set(value.values()) == {None}


# --- what the circuit itself refuses to prove


def vectors(tiny: World, shard: int) -> dict[str, list[int]]:
    return {
        "features": tiny.opening.halo2.features_vector(shard),
        "labels": tiny.opening.halo2.labels_vector(shard),
        "weights": tiny.model.vector(),
    }


def prove(tiny: World, keys: Keys, *, samples: int, timeout: float, **changed: list[int]) -> int:
    made = prove_shard(
        tiny.circuit, keys, tiny.srs.path, context=tiny.context.digest, samples=samples,
        timeout=timeout, **(vectors(tiny, 0) | changed),
    )  # fmt: skip
    return made.outputs.correct


@pytest.mark.ezkl
def test_honest_shard_is_proven(tiny: World, tiny_keys: Keys) -> None:
    assert prove(tiny, tiny_keys, samples=3, timeout=60.0) == tiny.counts[0]


@pytest.mark.ezkl
@pytest.mark.parametrize(
    ("tensor", "place", "value"), [("features", 0, 16), ("weights", 0, 8), ("labels", 0, 3)]
)
def test_value_out_of_range_is_not_proven(
    tiny: World, tiny_keys: Keys, tensor: str, place: int, value: int
) -> None:
    vector = list(vectors(tiny, 0)[tensor])
    vector[place] = value
    with pytest.raises(WorkerFailed, match="outside its declared range"):
        prove(tiny, tiny_keys, samples=3, timeout=60.0, **{tensor: vector})


@pytest.mark.ezkl
def test_wrong_number_of_samples_is_not_proven(tiny: World, tiny_keys: Keys) -> None:
    with pytest.raises(WorkerFailed, match="public outputs"):
        prove(tiny, tiny_keys, samples=2, timeout=60.0)


@pytest.mark.ezkl
def test_two_values_out_of_range_do_not_make_up_for_each_other(
    tiny: World, tiny_keys: Keys
) -> None:
    """-1 counts 0 and 16 counts 2, but the table has no row for what -1 becomes.

    ezkl does not say so, it stands still; so the deadline is what ends it.
    """
    vector = list(vectors(tiny, 0)["features"])
    vector[:2] = [FIELD_ORDER - 1, 16]
    with pytest.raises(WorkerFailed):
        prove(tiny, tiny_keys, samples=3, timeout=6.0, features=vector)


@pytest.mark.ezkl
def test_accumulator_out_of_range_is_not_proven(tiny: World, tiny_keys: Keys) -> None:
    vector = list(tiny.model.vector())
    last_bias = len(vector) - len(tiny.model.salts) - 1
    vector[last_bias] = 10**9
    with pytest.raises(WorkerFailed, match="details withheld") as caught:
        prove(tiny, tiny_keys, samples=3, timeout=60.0, weights=vector)
    assert "1000000000" not in str(caught.value.to_dict())


@pytest.mark.ezkl
@pytest.mark.parametrize("fail", ["gen_witness", "prove"])
def test_no_witness_is_left(
    tiny: World, tiny_keys: Keys, tmp_path: Path, fail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import prover.halo2

    real = prover.halo2.call_ezkl

    def failing(function: str, **kwargs: object) -> object:
        if function == fail:
            (folder,) = tmp_path.iterdir()
            assert folder.name.startswith(".witness-") and any(folder.iterdir())
            raise WorkerFailed("killed", function=function)
        return real(function, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(prover.halo2, "call_ezkl", failing)
    with pytest.raises(WorkerFailed, match="killed"):
        prove_shard(
            tiny.circuit, tiny_keys, tiny.srs.path, context=tiny.context.digest, samples=3,
            timeout=60.0, scratch=tmp_path, **vectors(tiny, 0),
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ezkl
def test_context_is_bound(tiny: World, tiny_keys: Keys, tiny_bundle: Bundle) -> None:
    other = replace(tiny.context, round=1).digest
    public = instances(tiny.circuit, correct=tiny.counts[0], samples=3, context=other)
    assert not ezkl_accepts(tiny_keys, tiny.srs.path, tiny_bundle.proofs[0], public)
