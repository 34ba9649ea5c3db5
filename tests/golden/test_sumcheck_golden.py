"""Kept proofs: accepted ones stay accepted, rejected ones rejected, and both their bytes."""

from __future__ import annotations

import pytest

from tests.golden.sumcheck_vectors import FOLDER, load, names, product_proof, remade

NAMES = names()


def test_there_are_proofs_of_all_kinds() -> None:
    vectors = [load(name) for name in NAMES]
    assert {vector.relation for vector in vectors} == {"accuracy", "well-formed"}
    checks = {"", "sum", "columns", "proximity", "linear"}
    assert {vector.expected[0] for vector in vectors} == checks
    layers = {type(layer).__name__ for v in vectors for layer in v.bench.architecture.layers}
    assert layers >= {"Dense", "Conv2d", "MaxPool", "SumPool", "Add", "Requantise"}


@pytest.mark.parametrize("name", NAMES)
def test_both_verifiers_give_the_expected_verdict(name: str) -> None:
    vector = load(name)
    assert vector.verdicts() == vector.expected
    assert name.startswith("reject" if any(vector.expected) else "accept")


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("accept")])
def test_the_prover_makes_the_same_bytes(name: str) -> None:
    vector = load(name)
    made = product_proof(vector.bench, vector.relation)
    assert (made.public, made.roots) == (vector.public, vector.roots)
    assert made.data == vector.proof


def test_the_attackers_make_the_same_bytes() -> None:
    """So these are the lies that their names say."""
    made = {vector.name: vector for vector in remade()}
    assert sorted(made) == NAMES
    for name in NAMES:
        assert made[name].proof == load(name).proof, name
        assert made[name].expected == load(name).expected, name


def test_the_kept_proofs_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2 << 20
