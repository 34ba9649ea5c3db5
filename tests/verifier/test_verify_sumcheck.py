"""The verifier of sumcheck bundles: every check by name, in order, and nothing taken on trust."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from circuits.bundle import Bundle
from circuits.errors import (
    MissingArtefact,
    OutOfMemory,
    ProofRejected,
    UnsafeConfiguration,
    WrongContext,
)
from circuits.halo2.testset import Halo2Part, Halo2Shard
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.details import Details
from circuits.sumcheck.model import commit_model
from circuits.sumcheck.outputs import total
from circuits.sumcheck.public import Outputs
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.wellformed import WellFormed
from tests.sumcheck_world import SAMPLES, World, make_world, mlp
from verifier import plain
from verifier.question import Verifiers
from verifier.sumcheck import claim
from verifier.verdict import Verdict
from verifier.verify import Expectation, Options, verify_bundle

CHECKS = ["format", "circuit", "test set", "context", "shards", "model", "well-formed",
          "parameters", "sumcheck", "plain"]  # fmt: skip
FAST = Options(verifiers="fast")


@pytest.fixture
def expected(small: World) -> Expectation:
    return small.expected()


@pytest.fixture(scope="module")
def honest(small: World, small_bundle: Bundle) -> Verdict:
    """The verdict on the honest bundle, with everything pinned and both verifiers."""
    pinned = small.expected(circuit=small.circuit.digest, model=small.commitment.model_id)
    return verify_bundle(small_bundle.encode(), pinned, Options(verifiers="both"))


def refused(
    data: Path | bytes, expected: Expectation, check: str, options: Options = FAST
) -> ProofRejected:
    """Verify, and return the error of the check that must have failed."""
    verdict = verify_bundle(data, expected, options)
    assert not verdict.accepted
    assert verdict.error is not None and verdict.error.check == check, verdict.error
    # Everything before it held, and it stopped there.
    before = CHECKS[: CHECKS.index(check)]
    if check == "plain" and options.verifiers == "plain":
        before.remove("sumcheck")
    assert [c.name for c in verdict.checks] == [*before, check]
    assert [c.passed for c in verdict.checks] == [True] * len(before) + [False]
    with pytest.raises(type(verdict.error)):
        verdict.require()
    assert json.loads(json.dumps(verdict.to_dict()))["error"]["check"] == check
    return verdict.error


def restated(bundle: Bundle, **fields: Any) -> bytes:
    return replace(bundle, statement=replace(bundle.statement, **fields)).encode()


def detailed(bundle: Bundle, **fields: Any) -> Bundle:
    details = replace(Details.from_dict(bundle.details), **fields)
    return replace(bundle, details=details.to_dict())


# --- the honest bundle


def test_honest_bundle_is_accepted_check_by_check(
    small: World, small_bundle: Bundle, honest: Verdict
) -> None:
    assert honest.accepted, honest.error
    assert [c.name for c in honest.checks] == CHECKS
    statement = honest.require()
    assert statement == small_bundle.statement
    assert statement.shard_correct == small.counts
    assert statement.correct == int(small.right.sum())
    assert honest.srs_insecure is False


def test_the_tables_are_those_of_the_integer_network(small: World, small_bundle: Bundle) -> None:
    statement, labels = small_bundle.statement, small.opening.samples.labels
    for true, (right, count) in enumerate(statement.per_class):
        assert (right, count) == (int(small.right[labels == true].sum()), (labels == true).sum())
        for guess, found in enumerate(statement.confusion[true]):
            assert found == int(((labels == true) & (small.predictions == guess)).sum())
    groups = small.opening.samples.group
    assert groups is not None
    for group, (right, count) in enumerate(statement.groups):
        assert (right, count) == (int(small.right[groups == group].sum()), (groups == group).sum())


@pytest.mark.parametrize(
    ("which", "seconds", "last"),
    [
        ("fast", 0.0, ["sumcheck"]), ("plain", 1e9, ["plain"]), ("both", 1e9, CHECKS[-2:]),
        ("auto", 0.0, CHECKS[-2:]), ("auto", 1e9, ["sumcheck"]),
    ],
)  # fmt: skip
def test_which_verifiers_are_asked(
    small_bundle: Bundle, expected: Expectation, monkeypatch: pytest.MonkeyPatch,
    which: Verifiers, seconds: float, last: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(claim, "plain_seconds", lambda _: seconds)
    verdict = verify_bundle(small_bundle.encode(), expected, Options(verifiers=which))
    assert verdict.accepted
    assert [c.name for c in verdict.checks] == [*CHECKS[:-2], *last]


def test_both_verifiers_must_accept(
    small_bundle: Bundle, expected: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*args: Any, **kwargs: Any) -> None:
        raise ProofRejected("sum", "no")

    with monkeypatch.context() as patch:
        patch.setattr(plain, "verify_shard", no)
        refused(small_bundle.encode(), expected, "plain", Options(verifiers="both"))
        assert verify_bundle(small_bundle.encode(), expected, FAST).accepted
    monkeypatch.setattr(claim, "verify_shard", no)
    known = replace(expected, well_formed=True)
    refused(small_bundle.encode(), known, "sumcheck", Options(verifiers="both"))


# --- expectations


@pytest.mark.parametrize("field", ["circuit", "model"])
def test_other_expectations_are_named(
    small_bundle: Bundle, expected: Expectation, field: str
) -> None:
    error = refused(small_bundle.encode(), replace(expected, **{field: "ab" * 32}), field)
    assert "ab" * 32 in error.message
    assert getattr(small_bundle.statement, field) in error.message


def test_other_context_is_named(small: World, small_bundle: Bundle, expected: Expectation) -> None:
    other = replace(small.context, round=1)
    error = refused(small_bundle.encode(), replace(expected, context=other.digest), "context")
    assert isinstance(error, WrongContext)
    # Rewriting the statement does not help: the proofs are bound to the old one.
    forged = restated(small_bundle, context=other.digest)
    for check, which in (("sumcheck", FAST), ("plain", Options(verifiers="plain"))):
        error = refused(forged, replace(expected, context=other.digest), check, which)
        assert "shard 0" in error.message


def test_other_test_set_is_named(small: World, small_bundle: Bundle, expected: Expectation) -> None:
    part = small.manifest.sumcheck
    first, second, third = part.shards
    swapped = (replace(first, root=second.root), replace(second, root=first.root), third)
    for other in (
        replace(small.manifest, input_exponent=1),
        replace(small.manifest, parts=(replace(part, budget=2),)),
        replace(small.manifest, parts=(replace(part, shards=swapped),)),
    ):
        error = refused(small_bundle.encode(), replace(expected, manifest=other), "test set")
        assert other.testset_id in error.message
        # And the proofs are of the shards that were committed, in their places.
        forged = restated(small_bundle, testset=other.testset_id)
        again = replace(expected, manifest=other, well_formed=True)
        if other.input_exponent == 0:
            refused(forged, again, "sumcheck")


@pytest.mark.parametrize(
    ("circuit", "says"),
    [
        ({"shard_size": 8}, "shard size: expected 4, found 8"),
        ({"kappa": 11}, "profile: expected 10, found 11"),
        ({"groups": 3}, "number of groups: expected 2, found 3"),
    ],
)
def test_circuit_for_another_test_set_is_named(
    small: World, small_bundle: Bundle, expected: Expectation, circuit: dict[str, Any], says: str
) -> None:
    other = replace(small.circuit, **circuit)
    statement = replace(small_bundle.statement, circuit=other.digest)
    forged = replace(small_bundle, circuit=other.to_dict(), statement=statement)
    assert says in refused(forged.encode(), expected, "test set").message


def test_another_architecture_is_no_architecture_of_this_model(
    small: World, small_bundle: Bundle, expected: Expectation
) -> None:
    other = replace(small.circuit, architecture=mlp(hidden=6))
    statement = replace(small_bundle.statement, circuit=other.digest)
    forged = replace(small_bundle, circuit=other.to_dict(), statement=statement)
    assert "architecture" in refused(forged.encode(), expected, "model").message


# --- counts


def test_changed_counts_are_refused(
    small: World, small_bundle: Bundle, expected: Expectation
) -> None:
    """Consistent in bundle and statement, in every table, and still not what was proven."""
    for shard in range(3):
        details = Details.from_dict(small_bundle.details)
        outputs = list(details.outputs)
        was = outputs[shard]
        lucky = next(c for c, (right, count) in enumerate(was.per_class) if right < count)
        miss = next(g for g, n in enumerate(was.confusion[lucky]) if n and g != lucky)
        confusion = [list(row) for row in was.confusion]
        confusion[lucky][lucky] += 1
        confusion[lucky][miss] -= 1
        group = next(g for g, (right, count) in enumerate(was.groups) if right < count)
        outputs[shard] = Outputs(
            was.correct + 1,
            tuple((r + (c == lucky), n) for c, (r, n) in enumerate(was.per_class)),
            tuple(map(tuple, confusion)),
            tuple((r + (g == group), n) for g, (r, n) in enumerate(was.groups)),
        )
        sums = total(outputs)
        forged = restated(
            detailed(small_bundle, outputs=tuple(outputs)), correct=sums.correct,
            shard_correct=tuple(o.correct for o in outputs), per_class=sums.per_class,
            confusion=sums.confusion, groups=sums.groups,
        )  # fmt: skip
        for check, which in (("sumcheck", FAST), ("plain", Options(verifiers="plain"))):
            error = refused(forged, expected, check, which)
            assert error.details["shard"] == shard


def test_counts_that_do_not_add_up_are_refused(
    small: World, small_bundle: Bundle, expected: Expectation
) -> None:
    details = Details.from_dict(small_bundle.details)
    first, *others = details.outputs
    for wrong, says in (
        (replace(first, correct=first.correct + 1), "per_class has"),
        (replace(first, per_class=()), "per_class is not a table"),
        (replace(first, groups=(*first.groups, (0, 0))), "groups is not a table"),
        (replace(first, confusion=((9, 9, 9), *first.confusion[1:])), "not an integer in 0 .. 4"),
        (others[0], "by shard"),
    ):
        forged = detailed(small_bundle, outputs=(wrong, *others))
        assert says in refused(forged.encode(), expected, "shards").message
    swapped = restated(small_bundle, shard_correct=small.counts[::-1])
    assert "by shard" in refused(swapped, expected, "shards").message
    bare = restated(small_bundle, groups=(), per_class=(), confusion=())
    assert "per_class: expected" in refused(bare, expected, "shards").message


@pytest.mark.parametrize(
    ("what", "says"),
    [("proofs", "shard 2 is missing: there are proofs"), ("outputs", "shard 2 is missing"),
     ("counts", "shard 2 is missing: there are counts")],
)  # fmt: skip
def test_a_missing_shard_is_named(
    small_bundle: Bundle, expected: Expectation, what: str, says: str
) -> None:
    if what == "proofs":
        forged = replace(small_bundle, proofs=small_bundle.proofs[:2]).encode()
    elif what == "outputs":
        forged = detailed(
            small_bundle, outputs=Details.from_dict(small_bundle.details).outputs[:2]
        ).encode()
    else:
        counts = small_bundle.statement.shard_correct
        forged = restated(small_bundle, shard_correct=(counts[0], counts[1] + counts[2]))
    assert says in refused(forged, expected, "shards").message


def test_a_shard_too_many(small_bundle: Bundle, expected: Expectation) -> None:
    forged = replace(small_bundle, proofs=(*small_bundle.proofs, b""))
    assert "number of proofs" in refused(forged.encode(), expected, "shards").message


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 0, 2), (2, 1, 2)])
def test_a_proof_is_good_for_its_own_shard_only(
    small_bundle: Bundle, expected: Expectation, order: tuple[int, ...]
) -> None:
    forged = replace(small_bundle, proofs=tuple(small_bundle.proofs[i] for i in order))
    for check, which in (("sumcheck", FAST), ("plain", Options(verifiers="plain"))):
        refused(forged.encode(), expected, check, which)


def test_one_model_answers_all_shards(
    small: World, small_bundle: Bundle, expected: Expectation, tmp_path: Path
) -> None:
    """A second commitment to the very same weights is another model."""
    commitment, opening = commit_model(small.circuit, small.weights)
    other = replace(small, model=opening, commitment=commitment).prove(tmp_path)[0]
    mixed = replace(small_bundle, proofs=(*small_bundle.proofs[:2], other.proofs[2]))
    assert refused(mixed.encode(), expected, "sumcheck").details["shard"] == 2
    renamed = detailed(small_bundle, model=commitment)
    assert "id: expected" in refused(renamed.encode(), expected, "model").message
    forged = restated(renamed, model=commitment.model_id)
    refused(forged, expected, "sumcheck")


@pytest.mark.parametrize("change", [{"budget": 2}, {"rows": 3}, {"kappa": 11}])
def test_another_header_is_another_model(
    small_bundle: Bundle, expected: Expectation, change: dict[str, int]
) -> None:
    model = replace(Details.from_dict(small_bundle.details).model, **change)
    forged = detailed(small_bundle, model=model)
    refused(forged.encode(), expected, "model")
    named = restated(forged, model=model.model_id)
    # A smaller budget changes nothing but the name, which the proofs are bound to.
    refused(named, expected, "sumcheck" if "budget" in change else "model")


@pytest.mark.parametrize("at", [0, 40, 2000, -40, -1])
def test_damaged_proof_is_refused_by_each_verifier(
    small_bundle: Bundle, expected: Expectation, at: int
) -> None:
    proof = bytearray(small_bundle.proofs[1])
    proof[at] ^= 1
    proofs = (small_bundle.proofs[0], bytes(proof), small_bundle.proofs[2])
    forged = replace(small_bundle, proofs=proofs).encode()
    for check, which in (("sumcheck", FAST), ("plain", Options(verifiers="plain"))):
        assert refused(forged, expected, check, which).details["shard"] == 1


@pytest.mark.parametrize("size", [-32, 1, 32])
def test_length_of_a_proof_is_exact(small_bundle: Bundle, expected: Expectation, size: int) -> None:
    last = small_bundle.proofs[2]
    last = last[:size] if size < 0 else last + bytes(size)
    forged = replace(small_bundle, proofs=(*small_bundle.proofs[:2], last)).encode()
    for check, which in (("sumcheck", FAST), ("plain", Options(verifiers="plain"))):
        refused(forged, expected, check, which)


# --- well-formed


def test_the_set_must_be_proven_well_formed(
    small: World, small_bundle: Bundle, expected: Expectation, tmp_path: Path
) -> None:
    data = small_bundle.encode()
    with pytest.raises(MissingArtefact, match="was not given"):
        verify_bundle(data, replace(expected, well_formed=None), FAST)
    with pytest.raises(MissingArtefact, match="none"):
        verify_bundle(data, replace(expected, well_formed=tmp_path / "none"), FAST)
    path = tmp_path / "testset.wellformed"
    small.well_formed.save(path)
    assert verify_bundle(data, replace(expected, well_formed=path), FAST).accepted
    assert verify_bundle(data, replace(expected, well_formed=True), FAST).accepted


def test_a_proof_about_another_set_is_refused(
    small: World, small_bundle: Bundle, expected: Expectation
) -> None:
    found = small.well_formed
    other = make_world(seed=6).well_formed
    renamed = replace(other, commitments=found.commitments)
    cases = {
        "another test set": (
            other,
            replace(found, commitments=found.commitments[::-1]),
            replace(found, commitments=found.commitments[:2], proofs=found.proofs[:2]),
            replace(found, proofs=found.proofs[:2]),
        ),
        "shard 0": (renamed, replace(found, proofs=found.proofs[::-1])),
    }
    for says, forgeries in cases.items():
        for forged in forgeries:
            wrong = replace(expected, well_formed=forged.encode())
            assert says in refused(small_bundle.encode(), wrong, "well-formed").message


@pytest.mark.parametrize("which", ["fast", "plain"])
def test_a_damaged_proof_that_it_is_well_formed(
    small: World, small_bundle: Bundle, expected: Expectation, which: Verifiers
) -> None:
    proofs = list(small.well_formed.proofs)
    proofs[2] = proofs[2][:-1] + bytes([proofs[2][-1] ^ 1])
    forged = WellFormed(small.well_formed.commitments, tuple(proofs))
    wrong = replace(expected, well_formed=forged.encode())
    options = Options(verifiers=which)
    error = refused(small_bundle.encode(), wrong, "well-formed", options)
    assert error.details["shard"] == 2
    assert refused(small_bundle.encode(), replace(wrong, well_formed=b"junk"), "well-formed")


# --- a bundle that is hardly one


@pytest.mark.parametrize(
    "details",
    [{}, {"srs_insecure": False}, {"model": {}, "outputs": []}, {"model": None, "outputs": []}],
)
def test_malformed_details_give_a_verdict(
    small_bundle: Bundle, expected: Expectation, details: dict[str, Any]
) -> None:
    refused(replace(small_bundle, details=details).encode(), expected, "format")


@pytest.mark.parametrize(
    "change",
    [{"kappa": 5}, {"shard_size": 3}, {"groups": -1}, {"protocol": 2}, {"tie_rule": "strict"},
     {"architecture": {}}, {"version": True}, {"backend": "halo2"}],
)  # fmt: skip
def test_impossible_circuit_gives_a_verdict(
    small_bundle: Bundle, expected: Expectation, change: dict[str, Any]
) -> None:
    forged = replace(small_bundle, circuit={**small_bundle.circuit, **change})
    refused(forged.encode(), expected, "format")


def test_parameters_that_are_worth_too_little(
    small_bundle: Bundle, expected: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weak(_: Relation) -> None:
        raise UnsafeConfiguration("worth 90.0 bits, and 96 are required")

    monkeypatch.setattr(Relation, "security", property(weak))
    known = replace(expected, well_formed=True)
    error = refused(small_bundle.encode(), known, "parameters")
    assert error.details["reason"] == "UNSAFE_CONFIGURATION"


def test_a_network_that_cannot_be_proven_gives_a_verdict(
    small: World, small_bundle: Bundle, expected: Expectation
) -> None:
    """Its relation does not exist; that is the bundle's fault, and no error of the verifier."""
    layers = list(small.circuit.to_dict()["architecture"]["layers"])
    layers[1] = {**layers[1], "op": "relu"}
    del layers[1]["shift"], layers[1]["format"]
    architecture = {**small.circuit.to_dict()["architecture"], "layers": layers}
    circuit = Circuit.from_dict({**small.circuit.to_dict(), "architecture": architecture})
    model = replace(small.commitment, architecture=circuit.architecture.digest)
    forged = detailed(replace(small_bundle, circuit=circuit.to_dict()), model=model)
    named = restated(forged, circuit=circuit.digest, model=model.model_id)
    assert "Relu" in refused(named, expected, "parameters").message


def test_memory_limit_raises_before_any_work(small_bundle: Bundle, expected: Expectation) -> None:
    with pytest.raises(OutOfMemory):
        verify_bundle(small_bundle.encode(), expected, replace(FAST, memory=100))


def test_a_set_for_another_backend_only(
    small: World, small_bundle: Bundle, expected: Expectation
) -> None:
    shard = Halo2Shard(0, SAMPLES, "ab" * 64, "cd" * 64)
    other = replace(small.manifest, parts=(Halo2Part(SAMPLES, 2, (shard,), 12, "ab" * 32, True),))
    forged = restated(small_bundle, testset=other.testset_id)
    error = refused(forged, replace(expected, manifest=other), "test set")
    assert "not committed for sumcheck" in error.message
