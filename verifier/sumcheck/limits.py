"""What a verifier holds in memory, told from a description before anything is made of it.

A circuit and a manifest are small files, and a stranger's may stand for a network of any size. The
bytes of each thing were measured, and are rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from circuits.errors import OutOfMemory
from circuits.layers import Conv2d, MaxPool, Requantise, Windowed
from circuits.network import Architecture, bounds, layers_parameters
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.params import Profile
from circuits.sumcheck.provable import (
    Limbs,
    increment_table,
    input_table,
    requantise_tables,
    value_ranges,
    weight_table,
)
from circuits.sumcheck.tables import Table
from circuits.testset import Manifest

_VALUE = 400
"""Of a feature of a matrix or a value of the network: coefficients by sample, slot and layer."""
_WEIGHT = 160
_TAP = 40
_ENTRY = 80
_SLOT = 400
"""Of a slot of 2^a leaves, of a lookup or a table."""
_SYMBOL = 100
"""Of a coefficient of the polynomials that a proof consists of."""


def require_circuit(circuit: Circuit, limit: int) -> None:
    """Raise OutOfMemory if the proofs of a circuit would take more than `limit` bytes to verify.

    Raises
    ------
    OutOfMemory
        With both numbers.
    WouldOverflow
        If a table of the network is too large for any proof.
    """
    network, a = circuit.architecture, circuit.a
    features = math.prod(network.input_shape) + network.classes + circuit.groups
    values = sum(math.prod(layer.shape) for layer in network.layers)
    weights = sum(math.prod(shape) for shape in layers_parameters(network.layers).values())
    taps = sum(_taps(layer) for layer in network.layers if isinstance(layer, Windowed))
    needed = (
        _VALUE * (features + values)
        + _WEIGHT * weights
        + _TAP * taps
        + _SLOT * (weights >> a)
        + _tables(_accuracy_tables(network, a), a)
        + _polynomials(circuit.kappa)
    )
    _require(needed, limit, "the circuit")


def require_testset(manifest: Manifest, limit: int) -> None:
    """Raise OutOfMemory if verifying that a set is well-formed would take more than `limit` bytes.

    Raises
    ------
    OutOfMemory
        With both numbers.
    WouldOverflow
        If the input format is too wide for any proof.
    """
    features = manifest.feature_count + manifest.classes + manifest.groups
    part = manifest.sumcheck
    needed = (
        (_VALUE + _SLOT) * features
        + _tables([input_table(manifest.input_format)], part.a)
        + _polynomials(part.kappa)
    )
    _require(needed, limit, "the test set")


def _taps(layer: Windowed) -> int:
    """Return the size of `circuits.layers.windows`: of all windows, but once for all outputs."""
    groups = layer.groups if isinstance(layer, Conv2d) else layer.input_shape[0]
    return groups * math.prod(layer.positions) * layer.fan_in


def _accuracy_tables(network: Architecture, a: int) -> list[Table]:
    limits, ranges = bounds(network), value_ranges(network)
    limbs = Limbs.of(limits[network.output])
    found = [weight_table(network.weight_max), *(limbs.table(i) for i in range(limbs.count))]
    for layer in network.layers:
        if isinstance(layer, Requantise):
            found += requantise_tables(layer, limits[layer.inputs[0]], a)
        elif isinstance(layer, MaxPool):
            found.append(increment_table(layer, *ranges[layer.inputs[0]]))
    return found


def _tables(tables: Iterable[Table], a: int) -> int:
    return sum(_ENTRY * table.entries + _SLOT * table.slots(a) for table in set(tables))


def _polynomials(kappa: int) -> int:
    profile = Profile(kappa)
    return _SYMBOL * (profile.degree + profile.linear_degree)


def _require(needed: int, limit: int, what: str) -> None:
    if needed > limit:
        raise OutOfMemory(
            f"{what} takes {needed / 2**30:.1f} GB to verify, and the limit is "
            f"{limit / 2**30:.1f} GB (--memory)",
            needed=needed,
            available=limit,
        )
