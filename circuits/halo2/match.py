"""Whether a circuit, a committed test set and a committed model belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from circuits.errors import CorruptedArtefact, ShapeMismatch
from circuits.halo2 import kzg
from circuits.halo2.circuit import Circuit
from circuits.halo2.model import ModelCommitment, ModelOpening
from circuits.halo2.testset import Halo2Part
from circuits.testset import Manifest


def testset_differences(
    circuit: Circuit, manifest: Manifest
) -> Iterator[tuple[str, object, object]]:
    """Yield (what, test set's value, circuit's value) wherever the two disagree."""
    architecture, part = circuit.architecture, manifest.halo2
    pairs: dict[str, tuple[object, object]] = {
        "k": (part.k, circuit.k),
        "SRS": (part.srs, circuit.srs),
        "shard size": (part.shard_size, circuit.shard_size),
        "opening budget": (part.budget, circuit.testset_budget),
        "feature shape": (manifest.shape, architecture.input_shape),
        "number of classes": (manifest.classes, architecture.classes),
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


def require_points(named: Mapping[str, str]) -> None:
    """Raise CorruptedArtefact where a commitment, as hex by name, is no point of the curve."""
    for name, commitment in named.items():
        if not kzg.is_commitment(bytes.fromhex(commitment)):
            raise CorruptedArtefact(
                f"the commitment to {name} is no point of the curve: the file is damaged",
                artefact=name,
            )


def testset_commitments(part: Halo2Part) -> dict[str, str]:
    """Return every commitment to a test set by name, as hex."""
    return {
        f"the {name} of shard {shard.index}": value
        for shard in part.shards
        for name, value in (("features", shard.features), ("labels", shard.labels))
    }


def require_model(circuit: Circuit, model: ModelCommitment | ModelOpening) -> None:
    """Raise ShapeMismatch where a model was not committed for a circuit."""
    if isinstance(model, ModelOpening):
        pairs = {
            "architecture": (model.architecture.digest, circuit.architecture.digest),
            "opening budget": (len(model.salts) - 1, circuit.model_budget),
        }
    else:
        pairs = {
            "architecture": (model.architecture, circuit.architecture.digest),
            "k": (model.k, circuit.k),
            "SRS": (model.srs, circuit.srs),
            "opening budget": (model.budget, circuit.model_budget),
        }
    for name, (committed, compiled) in pairs.items():
        if committed != compiled:
            raise ShapeMismatch(
                f"the model was not committed for this circuit: {name} is {compiled} in the "
                f"circuit and {committed} in the commitment"
            )
