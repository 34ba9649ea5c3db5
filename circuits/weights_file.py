"""Integer weights as text in a JSON artefact, and the file that holds them before commitment."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Final

import numpy as np

from circuits import artefact
from circuits.encoding import json_digest
from circuits.errors import CorruptedArtefact
from circuits.network import Architecture
from circuits.weights import Weights

VERSION: Final = 1
_FIELDS = {"architecture": dict, "values": str, "digest": str}


def save_weights(path: Path, architecture: Architecture, weights: Weights) -> None:
    """Write quantised weights, which are secret, before they are committed."""
    fields = {"architecture": architecture.to_dict(), "values": pack(weights)}
    found = json_digest("weights", fields)
    artefact.save(path, "weights", VERSION, {**fields, "digest": found}, secret=True)


def load_weights(path: Path) -> tuple[Architecture, Weights]:
    """Read quantised weights; CorruptedArtefact, WrongVersion or MissingArtefact."""
    fields = artefact.load(path, "weights", VERSION, _FIELDS)
    expected, found = fields.pop("digest"), json_digest("weights", fields)
    if expected != found:
        raise CorruptedArtefact(
            f"weights {path} are damaged: expected digest {expected}, found {found}",
            artefact="weights",
            expected=expected,
            found=found,
        )
    architecture = Architecture.from_dict(fields["architecture"])
    return architecture, unpack(architecture, fields["values"])


def pack(weights: Weights) -> str:
    """Return weights as base64 of little-endian 64-bit integers, in canonical order."""
    return base64.b64encode(weights.flatten().astype("<i8").tobytes()).decode()


def unpack(architecture: Architecture, text: str) -> Weights:
    """Undo `pack`; CorruptedArtefact or WouldOverflow if they are no weights of `architecture`."""
    try:
        data = base64.b64decode(text, validate=True)
        flat = np.frombuffer(data, dtype="<i8").astype(np.int64)
    except (binascii.Error, ValueError):
        raise CorruptedArtefact("weights: not base64 of 64-bit integers", artefact="weights") \
            from None  # fmt: skip
    return Weights.from_flat(architecture, flat)
