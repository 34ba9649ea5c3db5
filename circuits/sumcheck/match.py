"""Whether a sumcheck circuit, a committed test set and a committed model belong together."""

from __future__ import annotations

from collections.abc import Iterator

from circuits.errors import ShapeMismatch
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.model import ModelOpening
from circuits.testset import Manifest


def testset_differences(
    circuit: Circuit, manifest: Manifest
) -> Iterator[tuple[str, object, object]]:
    """Yield (what, test set's value, circuit's value) wherever the two disagree."""
    architecture, part = circuit.architecture, manifest.sumcheck
    pairs: dict[str, tuple[object, object]] = {
        "profile": (part.kappa, circuit.kappa),
        "shard size": (part.shard_size, circuit.shard_size),
        "feature shape": (manifest.shape, architecture.input_shape),
        "number of classes": (manifest.classes, architecture.classes),
        "number of groups": (manifest.groups, circuit.groups),
        "input format": (manifest.input_format, architecture.input_format),
        "input exponent": (manifest.input_exponent, architecture.input_exponent),
    }
    for name, (committed, compiled) in pairs.items():
        if committed != compiled:
            yield name, committed, compiled


def require_testset(circuit: Circuit, manifest: Manifest) -> None:
    """Raise ShapeMismatch where a circuit was not compiled for a test set."""
    for name, committed, compiled in testset_differences(circuit, manifest):
        raise ShapeMismatch(
            f"the circuit was not compiled for this test set: {name} is {compiled} in the circuit "
            f"and {committed} in the test set"
        )


def require_model(circuit: Circuit, model: ModelOpening) -> None:
    """Raise ShapeMismatch where a model was not committed for a circuit."""
    pairs = {
        "architecture": (model.architecture.digest, circuit.architecture.digest),
        "profile": (model.kappa, circuit.kappa),
    }
    for name, (committed, compiled) in pairs.items():
        if committed != compiled:
            raise ShapeMismatch(
                f"the model was not committed for this circuit: {name} is {compiled} in the "
                f"circuit and {committed} in the commitment"
            )
