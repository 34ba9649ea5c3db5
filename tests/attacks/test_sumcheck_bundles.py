"""Whole sumcheck bundles that say something else than was proven (docs/protocol.md, 5.0).

The forger rewrites statement, circuit and details so that they agree with each other; only what the
verifier was told by others, and the proofs, stand in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuits.bundle import Bundle
from circuits.errors import CorruptedArtefact, MissingArtefact
from circuits.statement import Context
from circuits.sumcheck.claims import accuracy_input, well_formed_input, well_formed_relation
from circuits.sumcheck.details import Details
from circuits.sumcheck.model import commit_model
from circuits.sumcheck.outputs import total
from circuits.sumcheck.public import Outputs
from circuits.sumcheck.wellformed import WellFormed
from circuits.weights import Weights
from tests.sumcheck_world import World, make_world
from verifier.verify import Expectation, Options, verify_bundle

OTHERS = [
    Context("33" * 32, "22" * 32, 0, "tests"),
    Context("11" * 32, "44" * 32, 0, "tests"),
    Context("11" * 32, "22" * 32, 1, "tests"),
    Context("11" * 32, "22" * 32, 0, "elsewhere"),
]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.fixture(scope="module")
def bundle(world: World, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return world.prove(tmp_path_factory.mktemp("honest"))[0]


@pytest.fixture(scope="module")
def other_model(world: World) -> World:
    """The same test set, another model."""
    arrays = {name: -array for name, array in world.weights.items()}
    weights = Weights(world.circuit.architecture, arrays)
    commitment, model = commit_model(world.circuit, weights)
    return replace(world, weights=weights, commitment=commitment, model=model)


@pytest.fixture(scope="module")
def other_bundle(other_model: World, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return other_model.prove(tmp_path_factory.mktemp("other"))[0]


def rejected(bundle: Bundle, expected: Expectation) -> str:
    """Return the check by which both verifiers reject a bundle, one verifier at a time."""
    checks = []
    for verifiers in ("fast", "plain"):
        verdict = verify_bundle(bundle.encode(), expected, Options(verifiers=verifiers))
        assert not verdict.accepted and verdict.error is not None
        checks.append(verdict.error.check.replace("plain", "sumcheck"))
    assert checks[0] == checks[1]
    return checks[0]


def fewer(outputs: Outputs) -> Outputs:
    """Return the counts of all samples but one."""
    classes, confusion, groups = map(
        np.array, (outputs.per_class, outputs.confusion, outputs.groups)
    )
    true, predicted = np.argwhere(confusion)[0]
    hit = int(true == predicted)
    confusion[true, predicted] -= 1
    classes[true] -= (hit, 1)
    groups[np.argmax(groups[:, 0])] -= (hit, 1)
    tables = (tuple(map(tuple, table.tolist())) for table in (classes, confusion, groups))
    return Outputs(outputs.correct - hit, *tables)


def outputs_of(bundle: Bundle) -> tuple[Outputs, ...]:
    return Details.from_dict(bundle.details).outputs


def with_shards(
    bundle: Bundle, proofs: Sequence[bytes], outputs: Sequence[Outputs], **fields: Any
) -> Bundle:
    """Return a bundle whose statement and details say what the shards' counts say."""
    sums = total(outputs)
    statement = replace(
        bundle.statement,
        samples=sum(samples for _, samples in sums.groups or sums.per_class),
        correct=sums.correct,
        shard_correct=tuple(item.correct for item in outputs),
        per_class=sums.per_class,
        confusion=sums.confusion,
        groups=sums.groups,
        **fields,
    )
    details = {**bundle.details, "outputs": [item.to_dict() for item in outputs]}
    return replace(bundle, statement=statement, details=details, proofs=tuple(proofs))


def picked(bundle: Bundle, *shards: int) -> Bundle:
    """Return a bundle with the proofs and counts of these shards."""
    counts = outputs_of(bundle)
    return with_shards(bundle, [bundle.proofs[i] for i in shards], [counts[i] for i in shards])


def test_the_honest_bundle_is_accepted(world: World, bundle: Bundle) -> None:
    assert verify_bundle(bundle.encode(), world.expected(), Options(verifiers="both")).accepted
    assert picked(bundle, 0, 1, 2).encode() == bundle.encode()


def test_no_shard_is_left_out(world: World, bundle: Bundle) -> None:
    for shards in ((0, 1), (1, 2)):
        assert rejected(picked(bundle, *shards), world.expected()) == "test set"
    assert rejected(replace(bundle, proofs=bundle.proofs[:2]), world.expected()) == "shards"
    assert rejected(replace(bundle, proofs=()), world.expected()) == "shards"


def test_no_shard_is_counted_twice(world: World, bundle: Bundle) -> None:
    """The best shard for every place, or one more; shards 0 and 1 have as many samples."""
    expected = world.expected(well_formed=True)
    assert rejected(picked(bundle, 0, 0, 2), expected) == "sumcheck"
    assert rejected(picked(bundle, 1, 0, 2), expected) == "sumcheck"
    assert rejected(picked(bundle, 0, 1, 2, 2), expected) == "test set"
    again = replace(bundle, proofs=(*bundle.proofs, bundle.proofs[2]))
    assert rejected(again, expected) == "shards"


def test_no_shard_of_another_set_is_counted(world: World, bundle: Bundle, tmp_path: Path) -> None:
    foreign = make_world(seed=6)
    theirs, _ = foreign.prove(tmp_path)
    mixed = with_shards(
        bundle,
        (*bundle.proofs[:2], theirs.proofs[2]),
        (*outputs_of(bundle)[:2], outputs_of(theirs)[2]),
    )
    assert rejected(mixed, world.expected(well_formed=True)) == "sumcheck"


def test_a_set_has_no_shard_twice(world: World) -> None:
    part = world.manifest.sumcheck
    again = replace(part.shards[1], root=part.shards[0].root)
    with pytest.raises(CorruptedArtefact, match="shard"):
        replace(world.manifest, parts=(replace(part, shards=(part.shards[0], again)),))


def test_a_shard_cannot_be_said_to_have_fewer_samples(world: World, bundle: Bundle) -> None:
    """The same trees under a manifest that says less: all ids are others."""
    part = world.manifest.sumcheck
    short = replace(part.shards[2], samples=1)
    parts = (replace(part, shards=(*part.shards[:2], short)),)
    manifest = replace(world.manifest, parts=parts, samples=world.manifest.samples - 1)
    assert manifest.testset_id != world.manifest.testset_id
    ids = [m.sumcheck.commitment_id(m, 2) for m in (manifest, world.manifest)]
    assert ids[0] != ids[1]
    # Even with the forger's manifest there is no proof that the shard is well-formed.
    counts = list(outputs_of(bundle))
    counts[2] = fewer(counts[2])
    forged = with_shards(bundle, bundle.proofs, counts, testset=manifest.testset_id)
    commitments = tuple(manifest.sumcheck.commitment_id(manifest, i) for i in range(3))
    proofs = WellFormed(commitments, world.well_formed.proofs)
    expected = world.expected(manifest=manifest, well_formed=proofs.encode())
    assert rejected(forged, expected) == "well-formed"
    assert rejected(forged, world.expected()) == "test set"


def test_one_shard_cannot_be_answered_by_another_model(
    world: World, bundle: Bundle, other_model: World, other_bundle: Bundle
) -> None:
    """The better of two models for each shard: real proofs all, and not of one model."""
    assert verify_bundle(other_bundle.encode(), world.expected()).accepted
    mixed = with_shards(
        bundle,
        (*bundle.proofs[:2], other_bundle.proofs[2]),
        (*outputs_of(bundle)[:2], outputs_of(other_bundle)[2]),
    )
    assert rejected(mixed, world.expected(well_formed=True)) == "sumcheck"
    # Nor does it help to name the one model and show the commitment of the other.
    shown = {**bundle.details, "model": other_bundle.details["model"]}
    assert rejected(replace(bundle, details=shown), world.expected()) == "model"
    named = replace(bundle.statement, model=other_bundle.statement.model)
    both = replace(bundle, statement=named, details=shown)
    assert rejected(both, world.expected(well_formed=True)) == "sumcheck"
    assert rejected(other_bundle, world.expected(model=bundle.statement.model)) == "model"


@pytest.mark.parametrize("other", OTHERS, ids=["submitter", "task", "round", "origin"])
def test_a_proof_cannot_be_replayed(world: World, bundle: Bundle, other: Context) -> None:
    expected = world.expected(context=other.digest)
    assert rejected(bundle, expected) == "context"
    statement = replace(bundle.statement, context=other.digest)
    expected = replace(expected, well_formed=True)
    assert rejected(replace(bundle, statement=statement), expected) == "sumcheck"


@pytest.mark.parametrize("name", ["per_class", "confusion", "per_group"])
def test_the_circuit_says_what_was_proven(world: World, bundle: Bundle, name: str) -> None:
    """A bundle whose circuit counts less, with a statement that says as much."""
    circuit = replace(world.circuit, **{name: False})
    dropped = {"per_class": "per_class", "confusion": "confusion", "per_group": "groups"}[name]
    counts = [replace(item, **{dropped: ()}) for item in outputs_of(bundle)]
    forged = with_shards(bundle, bundle.proofs, counts, circuit=circuit.digest)
    forged = replace(forged, circuit=circuit.to_dict())
    assert rejected(forged, world.expected(well_formed=True)) == "sumcheck"
    assert rejected(forged, world.expected(circuit=world.circuit.digest)) == "circuit"
    assert rejected(replace(forged, circuit=bundle.circuit), world.expected()) == "circuit"


def test_counts_of_one_shard_do_not_pay_for_another(world: World, bundle: Bundle) -> None:
    """The sums are right, and the shards' counts are not."""
    counts = list(outputs_of(bundle))
    counts[0], counts[1] = counts[1], counts[0]
    assert counts[0] != counts[1]
    expected = world.expected(well_formed=True)
    assert rejected(with_shards(bundle, bundle.proofs, counts), expected) == "sumcheck"
    swapped = (bundle.proofs[1], bundle.proofs[0], bundle.proofs[2])
    assert rejected(with_shards(bundle, swapped, counts), expected) == "sumcheck"


HEADERS = {
    "architecture": "00" * 32,
    "kappa": 11,
    "budget": 2,
    "rows": 3,
    "root": "00" * 32,
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_models_header_is_the_circuits(world: World, bundle: Bundle, name: str) -> None:
    """With the id that follows from the header, so that only the circuit and the proofs object."""
    model = replace(world.commitment, **{name: HEADERS[name]})
    details = {**bundle.details, "model": model.to_dict()}
    shown = replace(bundle, details=details)
    assert rejected(shown, world.expected()) == "model"
    named = replace(shown, statement=replace(bundle.statement, model=model.model_id))
    expected = "sumcheck" if name in ("budget", "root") else "model"
    assert rejected(named, world.expected(well_formed=True)) == expected


@pytest.mark.parametrize(
    "change", [{"kappa": True}, {"rows": "2"}, {"rows": 0}, {"budget": 0}, {"budget": 4}, {"x": 1}]
)
def test_a_header_holds_integers_in_range(
    world: World, bundle: Bundle, change: dict[str, Any]
) -> None:
    model = {**bundle.details["model"], **change}
    forged = replace(bundle, details={**bundle.details, "model": model})
    assert rejected(forged, world.expected()) == "format"


def test_an_accuracy_proof_needs_well_formed_shards(world: World, bundle: Bundle) -> None:
    with pytest.raises(MissingArtefact):
        verify_bundle(bundle.encode(), world.expected(well_formed=None))
    good = world.well_formed
    for forged in (
        replace(good, proofs=good.proofs[::-1]),
        replace(good, proofs=(good.proofs[0],) * 3),
        replace(good, proofs=bundle.proofs),
        replace(good, proofs=good.proofs[:2]),
        replace(good, commitments=good.commitments[::-1], proofs=good.proofs[::-1]),
        make_world(seed=6).well_formed,
    ):
        assert rejected(bundle, world.expected(well_formed=forged.encode())) == "well-formed"


def test_a_well_formedness_proof_is_none_of_accuracy(world: World, bundle: Bundle) -> None:
    forged = replace(bundle, proofs=world.well_formed.proofs)
    assert rejected(forged, world.expected(well_formed=True)) == "sumcheck"


def test_every_proof_counts(world: World, bundle: Bundle) -> None:
    expected = world.expected(well_formed=True)
    for shard in range(3):
        proof = bytearray(bundle.proofs[shard])
        proof[len(proof) // 2] ^= 1
        proofs = [*bundle.proofs[:shard], bytes(proof), *bundle.proofs[shard + 1 :]]
        assert rejected(replace(bundle, proofs=tuple(proofs)), expected) == "sumcheck"


def test_public_inputs_are_those_of_the_manifest(world: World) -> None:
    """What a verifier derives for itself: ids, samples and the circuit's digest."""
    manifest = world.manifest
    public = accuracy_input(manifest, 2, circuit="c", model="m", context="x", outputs=Outputs(0))
    assert public.samples == 2 and public.shard == 2
    shard = well_formed_input(manifest, 2)
    assert shard.commitment == public.commitment
    assert (shard.samples, shard.a) == (2, well_formed_relation(manifest).a)
    assert np.unique([manifest.sumcheck.commitment_id(manifest, i) for i in range(3)]).size == 3
