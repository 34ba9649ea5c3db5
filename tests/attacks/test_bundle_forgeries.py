"""Whole bundles that say something else than was proven; most more are in tests/verifier.

Here are those for which a forger keeps the outer checks happy: statement, circuit and context are
rewritten consistently, so that only the proofs stand in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from py_ecc import optimized_bn128 as bn

from circuits.bundle import Bundle
from circuits.halo2.keys import Keys
from circuits.halo2.model import commit_model
from circuits.halo2.proof import ezkl_accepts, instances
from circuits.statement import Context
from circuits.weights import Weights
from tests.circuits.halo2.halo2_world import World
from verifier import halo2
from verifier.evm import SolidityVerifier
from verifier.verify import Expectation, Options, verify_bundle

pytestmark = pytest.mark.ezkl

OPTIONS = Options(allow_insecure_srs=True)
OTHERS = [
    Context("33" * 32, "22" * 32, 0, "tests"),
    Context("11" * 32, "44" * 32, 0, "tests"),
    Context("11" * 32, "22" * 32, 1, "tests"),
    Context("11" * 32, "22" * 32, 0, "elsewhere"),
]


@pytest.fixture(scope="module")
def contract(tiny: World, tiny_keys: Keys) -> SolidityVerifier:
    return halo2.generate_contract(tiny_keys, tiny.srs.path)


def both_refuse(
    tiny: World, keys: Keys, contract: SolidityVerifier, proof: bytes, public: Sequence[int]
) -> bool:
    return not ezkl_accepts(keys, tiny.srs.path, proof, public) and not contract.verify(
        public, proof
    )


@pytest.mark.parametrize("other", OTHERS, ids=["submitter", "task", "round", "origin"])
def test_a_proof_cannot_be_replayed(
    tiny: World, tiny_keys: Keys, tiny_bundle: Bundle, contract: SolidityVerifier, other: Context
) -> None:
    """Handed in as it is, the context differs; with the statement rewritten, the proofs do."""
    expected = Expectation(tiny.manifest, other.digest)
    error = verify_bundle(tiny_bundle.encode(), expected, OPTIONS).error
    assert error is not None and (error.code, error.check) == ("WRONG_CONTEXT", "context")
    statement = replace(tiny_bundle.statement, context=other.digest)
    rewritten = replace(tiny_bundle, statement=statement)
    error = verify_bundle(rewritten.encode(), expected, OPTIONS).error
    assert error is not None and error.check == "ezkl"
    public = halo2.expected_instances(rewritten, tiny.circuit, tiny.manifest.halo2)
    for proof, values in zip(rewritten.proofs, public, strict=True):
        assert both_refuse(tiny, tiny_keys, contract, proof, values)


def test_one_shard_cannot_be_answered_by_another_model(
    tiny: World, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    """The best model for each shard: real proofs all, and not of one model."""
    arrays = {name: -array for name, array in tiny.weights.items()}
    weights = Weights(tiny.circuit.architecture, arrays)
    _, opening = commit_model(tiny.circuit, weights, tiny.srs.path, srs_insecure=True)
    other, _ = replace(tiny, model=opening).prove(tmp_path)
    expected = Expectation(tiny.manifest, tiny.context.digest)
    assert verify_bundle(other.encode(), expected, OPTIONS).accepted
    counts = (*tiny_bundle.statement.shard_correct[:2], other.statement.shard_correct[2])
    statement = replace(tiny_bundle.statement, shard_correct=counts, correct=sum(counts))
    proofs = (*tiny_bundle.proofs[:2], other.proofs[2])
    mixed = replace(tiny_bundle, statement=statement, proofs=proofs)
    error = verify_bundle(mixed.encode(), expected, OPTIONS).error
    assert error is not None and error.check == "model"
    assert error.details["shard"] == 2


def test_no_number_has_two_encodings(
    tiny: World, tiny_keys: Keys, tiny_bundle: Bundle, contract: SolidityVerifier
) -> None:
    """A coordinate plus the modulus, or a scalar plus the group order: refused by both."""
    proof = tiny_bundle.proofs[0]
    public = instances(tiny.circuit, correct=tiny.counts[0], samples=3, context=tiny.context.digest)
    assert contract.verify(public, proof)
    tried = 0
    for place in range(0, len(proof), 32 * 7):
        word = int.from_bytes(proof[place : place + 32], "big")
        for modulus in (bn.field_modulus, bn.curve_order):
            if word + modulus < 1 << 256:
                again = (word + modulus).to_bytes(32, "big")
                forged = proof[:place] + again + proof[place + 32 :]
                assert both_refuse(tiny, tiny_keys, contract, forged, public), place
                tried += 1
    assert tried > 20
    for at in range(len(public)):
        values = [v + bn.curve_order * (i == at) for i, v in enumerate(public)]
        assert not contract.verify(values, proof)


def test_a_count_is_one_number(
    tiny: World, tiny_keys: Keys, tiny_bundle: Bundle, contract: SolidityVerifier
) -> None:
    """Every other count, number of samples and range total, for the first shard's proof."""
    proof = tiny_bundle.proofs[0]
    public = instances(tiny.circuit, correct=tiny.counts[0], samples=3, context=tiny.context.digest)
    for at, values in ((0, range(5)), (1, range(5)), (4, range(public[4] - 2, public[4] + 3))):
        for value in values:
            claimed = [*public[:at], value, *public[at + 1 :]]
            honest = claimed == public
            assert ezkl_accepts(tiny_keys, tiny.srs.path, proof, claimed) is honest
            assert contract.verify(claimed, proof) is honest


@pytest.mark.parametrize("table", ["per_class", "confusion", "groups"])
def test_tables_that_no_circuit_counts_are_refused(
    tiny: World, tiny_bundle: Bundle, table: str
) -> None:
    """Their sums fit the proven count, so that the statement itself is well-formed."""
    said = tiny_bundle.statement
    rest = said.samples - said.correct
    made_up = {
        "per_class": ((said.correct, said.correct), (0, rest)),
        "confusion": ((said.correct, 0), (rest, 0)),
        "groups": ((said.correct, said.correct), (0, rest)),
    }
    forged = replace(tiny_bundle, statement=replace(said, **{table: made_up[table]}))
    context = Context("11" * 32, "22" * 32, 0, "tests")
    expected = Expectation(tiny.manifest, context.digest)
    error = verify_bundle(forged.encode(), expected, OPTIONS).error
    assert error is not None and table in error.message
    assert verify_bundle(tiny_bundle.encode(), expected, OPTIONS).accepted
