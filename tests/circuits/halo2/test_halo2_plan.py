"""Circuits are sized so that they fit, and what does not fit is said with numbers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from circuits.errors import OutOfMemory, WouldOverflow
from circuits.halo2.circuit import MAX_COLUMNS, Circuit, decomposition
from circuits.halo2.kzg import column_capacity
from circuits.halo2.plan import (
    Sizing,
    estimate,
    fit_columns,
    fit_shard_size,
    require_memory,
)
from circuits.halo2.plan import _size as measure
from circuits.network import Architecture, Dense, NumberFormat
from tests.circuits.halo2.halo2_world import NO_SRS, mlp

ROOM = column_capacity(10)


def fit(shard_size: int, architecture: Architecture | None = None, **fields: Any) -> Sizing:
    options = {"k": 10, "testset_budget": 2, "model_budget": 6, "srs": NO_SRS, **fields}
    return fit_columns(architecture or mlp(), shard_size=shard_size, **options)


def linear(features: int) -> Architecture:
    """The network with the fewest rows for its features."""
    layers = (Dense("d", ("input",), features, 2, False),)
    return Architecture((features,), NumberFormat(1, False), 0, 2, 2, layers, "d")


@pytest.mark.ezkl
@pytest.mark.parametrize("shard_size", [1, 5, 11, 20])
def test_columns_are_enough_and_not_one_too_many(shard_size: int) -> None:
    sizing = fit(shard_size)
    made = sizing.circuit
    assert sizing.rows <= ROOM
    assert (made.shard_size, made.k, made.srs) == (shard_size, 10, NO_SRS)
    assert (made.testset_budget, made.model_budget) == (2, 6)
    assert (made.decomp_base, made.decomp_legs) == decomposition(mlp(), 10)
    assert -(-sizing.assignments // made.columns) == sizing.rows
    if made.columns > 1:
        fewer = Circuit(mlp(), shard_size, 10, made.columns - 1, made.decomp_base,
                        made.decomp_legs, 2, 6, NO_SRS)  # fmt: skip
        assert measure(fewer).rows > ROOM


@pytest.mark.ezkl
def test_too_many_samples_are_refused_with_numbers() -> None:
    with pytest.raises(WouldOverflow) as caught:
        fit(80)
    error = caught.value
    assert error.details["layer"] == "the shard"
    assert "80 samples" in error.message
    assert "larger k" in error.message


@pytest.mark.ezkl
@pytest.mark.parametrize("shard_size", [40, 80])
def test_the_number_of_samples_it_offers_does_fit(shard_size: int) -> None:
    with pytest.raises(WouldOverflow) as caught:
        fit(shard_size)
    offered = re.search(r"at most (\d+) samples", caught.value.message)
    assert offered is not None
    assert fit(int(offered[1])).rows <= ROOM


@pytest.mark.ezkl
@pytest.mark.parametrize(
    ("architecture", "samples", "columns", "budget"),
    [(mlp(), 100, 2, 2), (mlp(), 3, 2, 2), (mlp(hidden=12), 50, 4, 9), (linear(60), 50, 4, 2)],
)
def test_shard_size_fits_and_is_the_largest(
    architecture: Architecture, samples: int, columns: int, budget: int
) -> None:
    def rows(size: int) -> int:
        base, legs = decomposition(architecture, 10)
        made = Circuit(architecture, size, 10, columns, base, legs, budget, 1, NO_SRS)
        return measure(made).rows

    size = fit_shard_size(
        architecture,
        samples,
        k=10,
        columns=columns,
        testset_budget=budget,
        model_budget=1,
        srs=NO_SRS,
    )
    assert 1 <= size <= samples
    assert rows(size) <= ROOM
    # The fewest shards, evenly filled: with one shard less, a shard would not fit.
    shards = -(-samples // size)
    assert size == -(-samples // shards)
    if shards > 1:
        assert rows(-(-samples // (shards - 1))) > ROOM


@pytest.mark.ezkl
def test_not_even_one_sample_fits() -> None:
    with pytest.raises(WouldOverflow, match="larger k or more columns") as caught:
        fit_shard_size(
            mlp(features=100), 50, k=10, columns=1, testset_budget=2, model_budget=1, srs=NO_SRS
        )
    assert caught.value.details["layer"] == "one sample"


@pytest.mark.ezkl
@pytest.mark.parametrize(
    ("features", "samples"),
    [(300, 8), (507, 2)],
)
def test_shard_size_respects_the_column_of_features(features: int, samples: int) -> None:
    """With many columns the committed features, not the rows, are what fills up first."""
    size = fit_shard_size(
        linear(features),
        samples,
        k=10,
        columns=MAX_COLUMNS,
        testset_budget=2,
        model_budget=1,
        srs=NO_SRS,
    )
    assert size * features + 3 <= ROOM


# --- estimates


def test_estimates_grow_with_rows_and_columns() -> None:
    small, wide, tall = estimate(12, 2), estimate(12, 3), estimate(13, 2)
    for field in ("setup_seconds", "prove_seconds", "peak_bytes", "key_bytes"):
        assert getattr(small, field) < getattr(wide, field)
        assert getattr(small, field) < getattr(tall, field)
    assert small.proof_bytes == tall.proof_bytes < wide.proof_bytes


def test_speed_changes_times_only() -> None:
    slow, fast = estimate(14, 2, speed=1.0), estimate(14, 2, speed=4.0)
    assert slow.prove_seconds == pytest.approx(4 * fast.prove_seconds)
    assert slow.setup_seconds == pytest.approx(4 * fast.setup_seconds)
    assert (slow.peak_bytes, slow.key_bytes) == (fast.peak_bytes, fast.key_bytes)


def test_memory_limit_is_exact_and_named() -> None:
    made = Circuit(mlp(), 3, 10, 2, 256, 2, 2, 6, NO_SRS)
    needed = estimate(10, 2).peak_bytes
    require_memory(made, needed)
    with pytest.raises(OutOfMemory) as caught:
        require_memory(made, needed - 1)
    assert caught.value.details == {"needed": needed, "available": needed - 1}
