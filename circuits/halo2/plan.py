"""Sizes a circuit and says what it will cost, before anything is paid for.

Times and memory are linear in the rows, 2^k, and depend on the columns as measured on two cores
(k = 14 to 17, the digits network). ``zkpot doctor --calibrate`` measures how fast this machine is
against the one on which that was done.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from circuits.errors import OutOfMemory, WouldOverflow
from circuits.halo2.circuit import MAX_COLUMNS, Circuit, decomposition
from circuits.halo2.keys import compile_settings
from circuits.halo2.kzg import column_capacity
from circuits.halo2.settings import refuse_unsafe
from circuits.network import Architecture

DEFAULT_K = 16
DEFAULT_COLUMNS = 3
"""The least time a sample: fewer columns pay more for range checks, a fourth raises the degree."""
DEFAULT_MODEL_BUDGET = 256
"""Shard proofs that one commitment to a model allows; its salts take rows."""


@dataclass(frozen=True)
class Estimate:
    """Predicted cost of one shard's proof and of the keys.

    Attributes
    ----------
    setup_seconds, prove_seconds : float
        Wall time on two cores of the reference machine, times the calibration.
    peak_bytes : int
        Peak memory of the proving process; key generation stays below it.
    key_bytes : int
        Proving key.
    proof_bytes : int
        One shard's proof.
    """

    setup_seconds: float
    prove_seconds: float
    peak_bytes: int
    key_bytes: int
    proof_bytes: int


def estimate(k: int, columns: int, *, speed: float = 1.0) -> Estimate:
    """Predict the cost of a circuit of 2^k rows and a number of inner columns.

    Parameters
    ----------
    k, columns : int
        As in `Circuit`.
    speed : float
        How fast this machine is relative to the reference; 2.0 halves the times.
    """
    rows = 1 << k
    # Between two measured widths the wider one's figures hold.
    setup, prove, memory, key = _PER_ROW[min(c for c in _PER_ROW if c >= columns)]
    return Estimate(
        setup_seconds=rows * setup * 1e-6 / speed,
        prove_seconds=rows * prove * 1e-6 / speed,
        peak_bytes=_BASE_MEMORY + rows * memory,
        key_bytes=rows * key,
        proof_bytes=_PROOF[0] + _PROOF[1] * columns,
    )


# By columns: microseconds of key generation and of proving, peak bytes, and bytes of the proving
# key, all per row. Four columns raise the degree of the constraints, and with it everything.
_PER_ROW = {
    1: (107, 130, 9_900, 4_620),
    2: (150, 195, 15_400, 6_350),
    3: (183, 255, 20_600, 7_900),
    4: (325, 460, 43_500, 15_500),
    6: (500, 650, 47_800, 20_700),
    8: (940, 1300, 105_000, 46_500),
    12: (1500, 1680, 138_000, 65_000),
}
_PROOF = (1600, 1632)
_BASE_MEMORY = 64 << 20


def require_memory(circuit: Circuit, limit: int) -> None:
    """Raise OutOfMemory if one process at work on a circuit would need more than `limit` bytes."""
    needed = estimate(circuit.k, circuit.columns).peak_bytes
    if needed > limit:
        raise OutOfMemory(
            f"a circuit of 2^{circuit.k} rows and {circuit.columns} columns takes "
            f"{needed / 2**30:.1f} GB, and the limit is {limit / 2**30:.1f} GB",
            needed=needed,
            available=limit,
        )


@dataclass(frozen=True)
class Sizing:
    """A circuit with the rows it uses.

    Attributes
    ----------
    circuit : Circuit
        The circuit.
    rows, assignments : int
        As ezkl counts them.
    """

    circuit: Circuit
    rows: int
    assignments: int


def fit_columns(
    architecture: Architecture,
    *,
    shard_size: int,
    k: int,
    testset_budget: int,
    model_budget: int,
    srs: str,
) -> Sizing:
    """Return the circuit with the fewest columns whose rows fit 2^k.

    Fewer columns take less time and memory for a given k.

    Raises
    ------
    WouldOverflow
        If `MAX_COLUMNS` columns do not suffice; says how many samples would fit.
    UnsafeConfiguration
        If the network cannot be expressed safely.
    """
    base, legs = decomposition(architecture, k)
    room = column_capacity(k)
    columns = 1
    while True:
        circuit = Circuit(
            architecture, shard_size, k, columns, base, legs, testset_budget, model_budget, srs
        )
        sizing = _size(circuit)
        if sizing.rows <= room:
            return sizing
        # Assignments hardly depend on the columns, so this is nearly always the second try.
        columns = max(columns + 1, -(-sizing.assignments // room))
        if columns > MAX_COLUMNS:
            samples = fit_shard_size(
                architecture,
                shard_size,
                k=k,
                columns=MAX_COLUMNS,
                testset_budget=testset_budget,
                model_budget=model_budget,
                srs=srs,
            )
            raise WouldOverflow(
                "the shard",
                sizing.assignments.bit_length(),
                k,
                f"{shard_size} samples take {sizing.assignments} assignments; commit the set in "
                f"shards of at most {samples} samples, or with a larger k",
            )


def _size(circuit: Circuit) -> Sizing:
    with tempfile.TemporaryDirectory(prefix="zkpot-size-") as folder:
        settings = compile_settings(circuit, Path(folder))
    rows, assignments = int(settings["num_rows"]), int(settings["total_assignments"])
    if rows <= column_capacity(circuit.k):
        refuse_unsafe(settings, circuit)
    return Sizing(circuit, rows, assignments)


def fit_shard_size(
    architecture: Architecture,
    samples: int,
    *,
    k: int,
    columns: int,
    testset_budget: int,
    model_budget: int,
    srs: str,
) -> int:
    """Return the shard size for which one shard fills, but does not exceed, the circuit.

    All shards then have nearly the same number of samples, so little is spent on padding.

    Raises
    ------
    WouldOverflow
        If not even one sample fits.
    """
    base, legs = decomposition(architecture, k)

    def size(shard_size: int) -> Sizing:
        return _size(
            Circuit(
                architecture, shard_size, k, columns, base, legs, testset_budget, model_budget, srs
            )
        )

    room = column_capacity(k) * columns
    one = size(1).assignments
    # The features of a shard share one column with their salts.
    most = min(
        samples, (column_capacity(k) - testset_budget - 1) // math.prod(architecture.input_shape)
    )
    if most > 1:
        most = min(most, (room - one) // max(1, size(2).assignments - one) + 1)
    elif one > room:
        most = 0
    if most < 1:
        raise WouldOverflow(
            "one sample",
            one.bit_length(),
            room.bit_length(),
            f"it takes {one:,} assignments and 2^{k} rows of {columns} columns hold {room:,}; use "
            "a larger k or more columns, or the sumcheck backend",
        )
    # The count above is exact up to how ezkl pads each product to its columns.
    while most > 1 and size(most).rows > column_capacity(k):
        most = min(most - 1, most * 99 // 100)
    shards = -(-samples // most)
    return -(-samples // shards)
