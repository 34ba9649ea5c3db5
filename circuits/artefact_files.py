"""Artefacts of either backend, read by what they say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeAlias

from circuits.encoding import parse_canonical, read_bytes
from circuits.errors import CorruptedArtefact, WrongVersion
from circuits.halo2 import circuit as halo2_circuit
from circuits.halo2 import model as halo2_model
from circuits.sumcheck import circuit as sumcheck_circuit
from circuits.sumcheck import model as sumcheck_model

BACKENDS: Final = ("sumcheck", "halo2")
"""The default first."""

Circuit: TypeAlias = halo2_circuit.Circuit | sumcheck_circuit.Circuit
ModelCommitment: TypeAlias = halo2_model.ModelCommitment | sumcheck_model.ModelCommitment
ModelOpening: TypeAlias = halo2_model.ModelOpening | sumcheck_model.ModelOpening

MAX_CIRCUIT_BYTES: Final = 1 << 26
_MAX_SECRET_BYTES = 1 << 32
_MAX_MODEL_BYTES = 1 << 16


_CIRCUITS: dict[str, type[halo2_circuit.Circuit] | type[sumcheck_circuit.Circuit]] = {
    "halo2": halo2_circuit.Circuit,
    "sumcheck": sumcheck_circuit.Circuit,
}
_MODELS: dict[str, type[halo2_model.ModelCommitment] | type[sumcheck_model.ModelCommitment]] = {
    "halo2": halo2_model.ModelCommitment,
    "sumcheck": sumcheck_model.ModelCommitment,
}
_SECRETS: dict[str, type[halo2_model.ModelOpening] | type[sumcheck_model.ModelOpening]] = {
    "halo2": halo2_model.ModelOpening,
    "sumcheck": sumcheck_model.ModelOpening,
}


def decode_circuit(data: bytes) -> Circuit:
    """Read a circuit file's bytes; CorruptedArtefact, WrongVersion or WouldOverflow."""
    return _CIRCUITS[_backend(data, "circuit")].decode(data)


def load_circuit(path: Path) -> Circuit:
    """Read the circuit file at `path`; MissingArtefact if there is none, else as above."""
    return decode_circuit(read_bytes(path, "circuit file", MAX_CIRCUIT_BYTES))


def load_model(path: Path) -> ModelCommitment:
    """Read a public commitment to a model; CorruptedArtefact, WrongVersion or MissingArtefact."""
    return _MODELS[_backend(read_bytes(path, "model file", _MAX_MODEL_BYTES), "model")].load(path)


def load_model_secret(path: Path) -> ModelOpening:
    """Read a model's opening; CorruptedArtefact, WrongVersion or MissingArtefact."""
    data = read_bytes(path, "model-secret file", _MAX_SECRET_BYTES)
    return _SECRETS[_backend(data, "model-secret", absent="halo2")].load(path)


def _backend(data: bytes, kind: str, absent: str | None = None) -> str:
    value: Any = parse_canonical(data, kind)
    magic = value.get("magic") if isinstance(value, dict) else None
    if magic != f"zkpot-{kind}":
        raise CorruptedArtefact(
            f"this is no {kind} file but {magic or 'something else'}", artefact=kind
        )
    name = value.get("backend", absent)
    if name not in BACKENDS:
        raise WrongVersion(f"the {kind} file is for the backend {name!r}, which this tool lacks")
    return str(name)
