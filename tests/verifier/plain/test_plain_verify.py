"""Whole proofs by the toy prover: honest ones pass, and nothing in them may change."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from circuits.errors import ProofRejected
from tests.verifier.plain import networks
from tests.verifier.plain.cases import BATCHES, LIES, MALFORMED, case_of
from tests.verifier.plain.toy_prover import Proof, prove, prove_well_formed
from tests.verifier.plain.toy_witness import Case
from verifier.plain import Metrics, verify_shard, verify_well_formed
from verifier.plain.field import ZERO
from verifier.plain.relation import accuracy
from verifier.plain.transcript import Transcript


def verify(case: Case, made: Proof, **changes: Any) -> None:
    given = {
        "shape": case.shape,
        "metrics": case.metrics,
        "public": made.public,
        "shard_root": made.roots["shard"],
        "model_root": made.roots["model"],
        "proof": made.data,
    }
    verify_shard(case.architecture, **{**given, **changes})


def rejected(case: Case, made: Proof, **changes: Any) -> str:
    """Return the check that fails."""
    with pytest.raises(ProofRejected) as caught:
        verify(case, made, **changes)
    return caught.value.check


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", networks.ALL)
def test_honest_proofs_pass(name: str, batch: str) -> None:
    case = case_of(name, batch)
    verify(case, prove(case))


@pytest.fixture(scope="module")
def proven() -> tuple[Case, Proof]:
    case = case_of("dense", "padded, all metrics")
    return case, prove(case)


def parts(case: Case) -> dict[str, int]:
    """Return the offset at which each part of a proof begins."""
    relation = accuracy(case.architecture, case.shape, case.metrics)
    profile = relation.profile
    found, at = {}, 0
    sizes = {
        "root": 32,
        "differences": 16 * relation.products,
        "zero check": 16 * (3 * relation.zero_variables + 7),
        "lookups": 16 * sum(2 * j + 4 for j in range(relation.depth)),
        "linear layers": 16 * (2 * relation.linear_variables + 2),
        "u": 16 * profile.coefficients,
        "q": 16 * (profile.slots + profile.coefficients - 1),
        "columns": 0,
    }
    for name, size in sizes.items():
        found[name] = at
        at += size
    return found


@pytest.mark.parametrize(
    "name", ["root", "differences", "zero check", "lookups", "linear layers", "u", "q", "columns"]
)
def test_no_part_of_a_proof_may_change(proven: tuple[Case, Proof], name: str) -> None:
    case, proof = proven
    start = parts(case)[name]
    for offset in (0, 8, 23):  # both halves of a first element, and one in the second
        data = bytearray(proof.data)
        data[start + offset] ^= 1
        # Other challenges follow, other positions among them: the columns cannot fit.
        assert rejected(case, proof, proof=bytes(data)) in ("columns", "format")


def test_a_node_of_the_last_multiproof(proven: tuple[Case, Proof]) -> None:
    case, proof = proven
    changed = proof.data[:-1] + bytes([proof.data[-1] ^ 1])
    assert rejected(case, proof, proof=changed) == "columns"


def test_length_is_exact(proven: tuple[Case, Proof]) -> None:
    case, proof = proven
    for data in (b"", proof.data[:31], proof.data[:-1], proof.data + b"\0"):
        assert rejected(case, proof, proof=data) == "format"


def test_nothing_else_may_change(proven: tuple[Case, Proof]) -> None:
    case, proof = proven
    for field in ("circuit", "testset", "commitment", "model", "context"):
        assert rejected(case, proof, public={**proof.public, field: "cd" * 32}) == "columns"
    assert rejected(case, proof, public={**proof.public, "shard": 1}) == "columns"
    assert rejected(case, proof, shard_root=proof.roots["model"]) == "columns"
    assert rejected(case, proof, model_root=proof.roots["shard"]) == "columns"
    assert rejected(case, proof, shape=replace(case.shape, samples=4)) == "public"
    assert rejected(case, proof, metrics=Metrics()) == "public"


def shifted(outputs: dict[str, Any]) -> dict[str, Any]:
    """Return counts that say that one more prediction was right, and agree with each other."""
    found = copy.deepcopy(outputs)
    found["correct"] += 1
    wrong = next(
        (i, j)
        for i, row in enumerate(found["confusion"])
        for j, n in enumerate(row)
        if n and i != j
    )
    found["confusion"][wrong[0]][wrong[1]] -= 1
    found["confusion"][wrong[0]][wrong[0]] += 1
    found["per_class"][wrong[0]][0] += 1
    return found


def test_counts_must_be_the_true_ones(proven: tuple[Case, Proof]) -> None:
    case, proof = proven
    public = {**proof.public, "outputs": shifted(proof.public["outputs"])}
    assert rejected(case, proof, public=public) == "columns"
    false = prove(case, outputs=public["outputs"])
    assert rejected(case, false) == "sum"


@pytest.mark.parametrize("metric", ["per_class", "groups"])
def test_totals_must_be_the_true_ones(proven: tuple[Case, Proof], metric: str) -> None:
    case, proof = proven
    outputs = copy.deepcopy(proof.public["outputs"])
    (_, first), (_, second), *_ = outputs[metric]
    outputs[metric][0][1], outputs[metric][1][1] = first + second, 0
    if first + second == first:
        outputs[metric][0][1] = 0
    assert rejected(case, prove(case, outputs=outputs)) == "sum"


@pytest.mark.parametrize(
    ("polynomial", "coefficient", "check"),
    [("u", 5, "proximity"), ("q", 5, "linear"), ("q", 0, "sum"), ("q", 1024, "sum")],
)
def test_polynomials_must_be_those_of_the_rows(
    polynomial: str, coefficient: int, check: str
) -> None:
    case = case_of("dense", "one sample")
    assert rejected(case, prove(case, spoil=(polynomial, coefficient))) == check


@pytest.mark.parametrize("lie", LIES)
def test_slots_must_satisfy_every_constraint(lie: str) -> None:
    case = case_of("dense", "padded, all metrics")
    assert rejected(case, prove(case, edit=LIES[lie])) == "sum"


def verify_shape(case: Case, made: Proof) -> None:
    verify_well_formed(
        shape=case.shape,
        input_format=case.architecture.input_format,
        public=made.public,
        shard_root=made.roots["shard"],
        proof=made.data,
    )


@pytest.mark.parametrize("batch", BATCHES)
def test_well_formed_shards_pass(batch: str) -> None:
    case = case_of("convolution", batch)
    verify_shape(case, prove_well_formed(case))


@pytest.mark.parametrize("flaw", MALFORMED)
def test_malformed_shards_are_refused(flaw: str) -> None:
    case = case_of("dense", "padded, all metrics")
    made = prove_well_formed(case, edit=MALFORMED[flaw])
    with pytest.raises(ProofRejected, match="sum"):
        verify_shape(case, made)


def test_a_point_with_a_zero_coordinate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """There t(1) would be the prover's to choose (5.4)."""
    case = case_of("dense", "one sample")
    made = prove(case)
    draw = Transcript.draw
    monkeypatch.setattr(
        Transcript,
        "draw",
        lambda self, label, count: [ZERO] if label == "round" else draw(self, label, count),
    )
    assert rejected(case, made) == "degenerate challenge"
