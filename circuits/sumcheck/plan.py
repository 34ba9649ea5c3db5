"""Sizes shards, and says what a proof will cost, before anything is paid for.

Bytes follow exactly from the relation, but for the Merkle nodes, of which the expected number is
taken. Times and memory are fitted to measurements on two cores. ``zkpot doctor --calibrate``
measures how fast this machine is against the one on which that was done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from circuits.errors import InputError, OutOfMemory
from circuits.network import Architecture, macs
from circuits.sumcheck import relation as relations
from circuits.sumcheck.params import MAX_KAPPA, MIN_KAPPA, Profile
from circuits.sumcheck.public import Metrics
from circuits.sumcheck.relation import Relation

DEFAULT_BUDGET = 16
"""Proofs that a set allows at least, if its owner does not say."""

SMALLEST_A, LARGEST_A = 9, 14
"""A few samples are padded, since rows of many short features cost more. Shards of more samples
save no bytes worth their memory."""

_MODEL_ROUNDS = 2
"""One commitment to a model must do for so many proofs of the whole set."""

_SECONDS_PER_BYTE = 1e-6
"""A megabyte of proof is worth a second of proving: it is stored, sent and verified by many."""


@dataclass(frozen=True)
class Estimate:
    """Predicted cost of one shard's proof.

    Attributes
    ----------
    seconds : float
        Wall time on two cores of the reference machine, times the calibration.
    peak_bytes : int
        Peak memory of the proving process.
    proof_bytes : int
        One shard's proof.
    """

    seconds: float
    peak_bytes: int
    proof_bytes: int


def estimate(relation: Relation, *, speed: float = 1.0) -> Estimate:
    """Predict the cost of a proof.

    Parameters
    ----------
    relation : Relation
        What is proven.
    speed : float
        How fast this machine is relative to the reference; 2.0 halves the time.
    """
    sizes = (
        1,
        relation.profile.positions,
        relation.profile.row_slots << (relation.profile.kappa - relation.a),
        relation.proof.rows << relation.profile.kappa,
        (relation.shard.rows + (relation.model.rows if relation.model else 0))
        << relation.profile.kappa,
        relation.slots << relation.a,
        0 if relation.architecture is None else macs(relation.architecture) << relation.a,
    )
    seconds = sum(size * price for size, price in zip(sizes, _SECONDS, strict=True))
    peak = sum(size * price for size, price in zip(sizes, _BYTES, strict=True))
    return Estimate(seconds / speed, peak, proof_bytes(relation))


# For a proof, and for each column that is hashed, slot of a row times features in it, slot of the
# proof matrix, slot of the two other matrices, leaf of the lookups, and product of the network:
# fitted to the 10,000 images of MNIST and two networks in shards of 2^9 to 2^14.
_SECONDS = (0.15, 2e-6, 0.25e-6, 95e-9, 35e-9, 40e-9, 0.15e-9)
_BYTES = (300 << 20, 0, 0, 86, 20, 12, 0)


def proof_bytes(relation: Relation) -> int:
    """Return the expected length of a proof (docs/protocol.md, 6.6)."""
    profile = relation.profile
    rows = [relation.shard.rows, relation.proof.rows]
    rows += [] if relation.model is None else [relation.model.rows]
    elements = len(relation.schedule.products) + relation.schedule.messages
    elements += profile.degree + profile.linear_degree
    columns = profile.opened * sum(32 + 8 * count for count in rows)
    return 32 + 16 * elements + columns + round(32 * len(rows) * _nodes(profile))


def _nodes(profile: Profile) -> float:
    """Return the expected nodes of a multiproof of t random positions of L.

    A node is sent where exactly one of two siblings lies above an opened leaf.
    """
    total, size = 0.0, profile.positions
    while size > 1:
        one, both = ((1 - k / size) ** profile.opened for k in (1, 2))
        total += size * (one - both)
        size //= 2
    return total


@dataclass(frozen=True)
class Sizing:
    """How a set is cut.

    Attributes
    ----------
    shard_size, kappa : int
        As in `Circuit`.
    shards : int
        Their number.
    one : Estimate
        Cost of one of them.
    """

    shard_size: int
    kappa: int
    shards: int
    one: Estimate


def fit_shards(
    architecture: Architecture,
    samples: int,
    groups: int,
    *,
    proofs: int,
    memory: int,
    shard_size: int | None = None,
) -> Sizing:
    """Return the shard size and the profile for which proofs are made soonest and smallest.

    Parameters
    ----------
    architecture : Architecture
        The network to size for.
    samples, groups : int
        Of the test set.
    proofs : int
        Accuracy proofs that the commitments must allow at least.
    memory : int
        Bytes that proving one shard may use.
    shard_size : int, optional
        Samples of a shard, a power of two; by default up to 2^14.

    Raises
    ------
    OutOfMemory
        If no shard would fit `memory`; says how much the smallest needs.
    InputError
        If `shard_size` is no power of two, or no profile allows so many proofs.
    UnsupportedOperator, WouldOverflow
        If the network cannot be proven.
    """
    if shard_size is not None and shard_size.bit_count() != 1:
        raise InputError(f"a shard has a power of two of samples, not {shard_size}")
    most = min(LARGEST_A, max(SMALLEST_A, (samples - 1).bit_length()))
    sizes = range(most + 1) if shard_size is None else [shard_size.bit_length() - 1]
    found = list(_candidates(architecture, samples, groups, proofs, sizes))
    if not found:
        raise InputError(
            f"no profile allows {proofs} proofs in shards of this size: ask for fewer, or let "
            "shards be larger"
        )
    fitting = [item for item in found if item.one.peak_bytes <= memory]
    if not fitting:
        least = min(item.one.peak_bytes for item in found)
        raise OutOfMemory(
            f"proving the smallest shard takes {least >> 20} MB, and the limit is "
            f"{memory >> 20} MB",
            needed=least,
            available=memory,
        )
    return min(fitting, key=_price)


def _price(item: Sizing) -> float:
    return item.shards * (item.one.seconds + item.one.proof_bytes * _SECONDS_PER_BYTE)


def _candidates(
    architecture: Architecture, samples: int, groups: int, proofs: int, sizes: range | list[int]
) -> Iterator[Sizing]:
    for a in sizes:
        shards = -(-samples >> a)
        for kappa in range(max(a, MIN_KAPPA), MAX_KAPPA + 1):
            if Profile(kappa).max_openings < max(proofs + 1, _MODEL_ROUNDS * shards):
                continue
            metrics = Metrics(groups=groups)
            made = relations.accuracy(architecture, a, kappa, metrics, groups)
            yield Sizing(1 << a, kappa, shards, estimate(made))
