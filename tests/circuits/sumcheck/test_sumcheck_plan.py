"""Shards are sized within limits, and what proofs will take is said before they are made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from circuits.errors import InputError, OutOfMemory, UnsupportedOperator
from circuits.layers import Relu
from circuits.network import Architecture, Dense, NumberFormat, Requantise
from circuits.sumcheck import plan, relation
from circuits.sumcheck.params import Profile
from circuits.sumcheck.plan import Sizing, estimate, fit_shards, proof_bytes
from circuits.sumcheck.public import Metrics
from tests.sumcheck_world import World

HUGE = 1 << 50


def network(features: int = 64, hidden: int = 16, classes: int = 10) -> Architecture:
    layers = (
        Dense("d1", ("input",), features, hidden, True),
        Requantise("r1", ("d1",), (hidden,), 9, NumberFormat(8, False)),
        Dense("d2", ("r1",), hidden, classes, True),
    )
    return Architecture((features,), NumberFormat(5, False), 0, 8, classes, layers, "d2")


def sized(samples: int = 300, *, memory: int = HUGE, proofs: int = 16, **options: int) -> Sizing:
    return fit_shards(network(), samples, 0, proofs=proofs, memory=memory, **options)


# --- shards


@pytest.mark.parametrize("samples", [1, 2, 300, 512, 513, 10_000])
def test_shards_hold_all_samples_and_little_else(samples: int) -> None:
    found = sized(samples)
    assert found.shard_size.bit_count() == 1
    assert (found.shards - 1) * found.shard_size < samples <= found.shards * found.shard_size
    assert found.shards * found.shard_size <= max(2 * samples, 1 << plan.SMALLEST_A)
    assert found.shard_size <= 1 << min(found.kappa, plan.LARGEST_A)


def test_a_small_set_is_one_shard() -> None:
    assert (sized(300).shards, sized(300).shard_size) == (1, 512)
    # A tiny one is padded: rows of a thousand features of a few samples would take seconds.
    assert sized(5).shards == 1
    assert sized(5).shard_size >= 64
    assert of(2, 13).seconds > 4 * of(9, 13).seconds


@pytest.mark.parametrize("proofs", [1, 8, 30, 120])
def test_the_profile_allows_the_proofs_and_the_one_that_it_is_well_formed(proofs: int) -> None:
    assert Profile(sized(proofs=proofs).kappa).max_openings >= proofs + 1


def test_one_commitment_to_a_model_proves_a_set_twice() -> None:
    """Each shard's proof opens the model: a profile for one proof would not do."""
    found = sized(2000, proofs=1, shard_size=16)
    assert found.shards == 125
    assert Profile(found.kappa).max_openings >= 250


def test_less_memory_makes_smaller_shards() -> None:
    large = fit_shards(network(64, 2048), 10_000, 0, proofs=16, memory=HUGE)
    limit = large.one.peak_bytes // 2
    small = fit_shards(network(64, 2048), 10_000, 0, proofs=16, memory=limit)
    assert small.shard_size < large.shard_size
    assert small.one.peak_bytes <= limit
    with pytest.raises(OutOfMemory, match="100 MB") as caught:
        fit_shards(network(64, 2048), 10_000, 0, proofs=16, memory=100 << 20)
    assert caught.value.details["available"] == 100 << 20
    assert int(str(caught.value.details["needed"])) > 300 << 20


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(InputError, match="power of two of samples, not 3"):
        sized(shard_size=3)
    with pytest.raises(InputError, match="no profile allows 4000 proofs"):
        sized(proofs=4000)
    with pytest.raises(InputError, match="no profile"):
        sized(shard_size=1 << 20)


def test_a_network_that_cannot_be_proven_is_named() -> None:
    layers = (*network().layers[:1], Relu("r", ("d1",), (16,)), Dense("d2", ("r",), 16, 10, True))
    raw = replace(network(), layers=layers)
    with pytest.raises(UnsupportedOperator, match="Relu"):
        fit_shards(raw, 300, 0, proofs=16, memory=HUGE)


# --- costs


def test_proofs_are_as_long_as_predicted(small: World, tmp_path: Path) -> None:
    """But for the nodes of the Merkle proofs, which depend on the positions."""
    predicted = proof_bytes(small.circuit.relation)
    for proof in small.prove(tmp_path)[0].proofs:
        assert abs(len(proof) - predicted) < 0.03 * predicted


def of(a: int, kappa: int, arch: Architecture | None = None) -> plan.Estimate:
    return estimate(relation.accuracy(arch or network(), a, kappa, Metrics(), 0))


def test_costs_grow_with_what_is_proven() -> None:
    one, more, wider = of(9, 13), of(12, 13), of(9, 13, network(hidden=256))
    for other in (more, wider):
        assert one.seconds < other.seconds
        assert one.peak_bytes < other.peak_bytes
        assert one.proof_bytes < other.proof_bytes
    assert of(9, 15).proof_bytes > one.proof_bytes > 32 * 64 * (1 << 13) // 64


def test_a_faster_machine_takes_less_time_and_as_much_memory() -> None:
    made = relation.accuracy(network(), 9, 13, Metrics(), 0)
    fast, slow = estimate(made, speed=2.0), estimate(made, speed=0.5)
    assert slow.seconds == pytest.approx(4 * fast.seconds)
    assert slow.peak_bytes == fast.peak_bytes


@pytest.mark.parametrize(
    ("features", "hidden", "a", "kappa", "seconds", "megabytes"),
    [(784, 56, 14, 14, 1.3, 800), (784, 56, 11, 12, 0.36, 500)],
)
def test_predictions_are_near_what_was_measured(
    features: int, hidden: int, a: int, kappa: int, seconds: float, megabytes: float
) -> None:
    """On two cores: the images of MNIST and a network of one hidden layer."""
    found = of(a, kappa, network(features, hidden))
    assert seconds / 1.6 < found.seconds < 1.6 * seconds
    assert megabytes / 1.6 < found.peak_bytes / 2**20 < 1.6 * megabytes
