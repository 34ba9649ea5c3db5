"""Committing to a model: quantised weights and salts in one KZG commitment.

The commitment is to the vector of all weights, then all biases (`graph.weight_order`), then
`budget` + 1 salts. It is the same in every proof made with it, which is what shows that one
model answered all shards.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from circuits import artefact, weights_file
from circuits.encoding import file_digest, is_hex, json_digest
from circuits.errors import CorruptedArtefact
from circuits.halo2 import kzg
from circuits.halo2.circuit import BACKEND, Circuit
from circuits.halo2.graph import weight_order
from circuits.halo2.proof import FIELD_ORDER
from circuits.network import Architecture
from circuits.weights import Weights

VERSION: Final = 1
_PUBLIC = {
    "backend": str,
    "architecture": str,
    "k": int,
    "srs": str,
    "budget": int,
    "commitment": str,
    "srs_insecure": bool,
}
_SECRET = {"model": str, "architecture": dict, "values": str, "salts": list}


@dataclass(frozen=True)
class ModelCommitment:
    """What everyone may know about a committed model.

    Attributes
    ----------
    architecture : str
        Digest of the integer architecture, as hex.
    k : int
        Base-2 logarithm of the circuit's rows.
    srs : str
        SHA-256 of the SRS file, as hex.
    srs_insecure : bool
        True for a development SRS.
    budget : int
        Shard proofs that may be published with this commitment.
    commitment : str
        64 bytes of lowercase hex.
    """

    backend: ClassVar[str] = BACKEND

    architecture: str
    k: int
    srs: str
    srs_insecure: bool
    budget: int
    commitment: str

    def __post_init__(self) -> None:
        if not (
            is_hex(self.architecture, 32)
            and is_hex(self.srs, 32)
            and is_hex(self.commitment, kzg.COMMITMENT_BYTES)
        ):
            raise CorruptedArtefact("model file: a digest is malformed", artefact="model")

    @property
    def model_id(self) -> str:
        """The 32-byte name of the commitment in statements and on the ledger, as hex."""
        return model_id(bytes.fromhex(self.commitment), self.k, self.srs)

    def save(self, path: Path) -> None:
        """Write the public file."""
        artefact.save(path, "model", VERSION, {"backend": BACKEND, **vars(self)})

    @classmethod
    def load(cls, path: Path) -> ModelCommitment:
        """Read the public file; CorruptedArtefact, WrongVersion or MissingArtefact."""
        fields = artefact.load(path, "model", VERSION, _PUBLIC, limit=1 << 16)
        if fields.pop("backend") != BACKEND:
            raise CorruptedArtefact("model file: made for another backend", artefact="model")
        return cls(**fields)


def model_id(commitment: bytes, k: int, srs: str) -> str:
    """Return the digest that names a model commitment.

    k and the SRS are bound in, because the same 64 bytes mean another vector under others.
    """
    return json_digest(
        "model", {"backend": BACKEND, "commitment": commitment.hex(), "k": k, "srs": srs}
    )


@dataclass(frozen=True, repr=False, eq=False)
class ModelOpening:
    """Everything a prover needs to open a model commitment; secret.

    Attributes
    ----------
    model : str
        `ModelCommitment.model_id` of the commitment this opens.
    architecture : Architecture
        The network.
    weights : Weights
        Its integer weights.
    salts : tuple of int
        Uniform field elements, budget + 1 of them.
    """

    backend: ClassVar[str] = BACKEND

    model: str
    architecture: Architecture
    weights: Weights
    salts: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<ModelOpening of {self.model[:16]}>"

    def vector(self) -> list[int]:
        """Return the committed vector."""
        return weight_vector(self.architecture, self.weights) + list(self.salts)

    def save(self, path: Path) -> None:
        """Write the secret file, 0600."""
        fields = {
            "model": self.model,
            "architecture": self.architecture.to_dict(),
            "values": weights_file.pack(self.weights),
            "salts": [f"{salt:064x}" for salt in self.salts],
        }
        artefact.save(path, "model-secret", VERSION, fields, secret=True)

    @classmethod
    def load(cls, path: Path) -> ModelOpening:
        """Read the secret file; CorruptedArtefact, WrongVersion or MissingArtefact."""
        fields = artefact.load(path, "model-secret", VERSION, _SECRET)
        architecture = Architecture.from_dict(fields["architecture"])
        weights = weights_file.unpack(architecture, fields["values"])
        salts = fields["salts"]
        if not all(is_hex(s, 32) and int(s, 16) < FIELD_ORDER for s in salts):
            raise CorruptedArtefact("model secret: a salt is malformed", artefact="model secret")
        return cls(fields["model"], architecture, weights, tuple(int(s, 16) for s in salts))


def weight_vector(architecture: Architecture, weights: Weights) -> list[int]:
    """Return all weights, then all biases, as Python integers."""
    return [int(v) for name in weight_order(architecture) for v in weights[name].reshape(-1)]


def commit_model(
    circuit: Circuit,
    weights: Weights,
    srs: Path,
    *,
    srs_insecure: bool,
    randbelow: Callable[[int], int] = secrets.randbelow,
) -> tuple[ModelCommitment, ModelOpening]:
    """Commit to a model.

    Parameters
    ----------
    circuit : Circuit
        Gives architecture, k and the opening budget.
    weights : Weights
        Integer weights of that architecture.
    srs : Path
        The circuit's SRS file.
    srs_insecure : bool
        Whether it is a development SRS; recorded.
    randbelow : callable
        Returns a uniform integer below its argument; replaced in tests only.

    Returns
    -------
    ModelCommitment, ModelOpening
        What to publish and what to keep.

    Raises
    ------
    SrsInvalid
        If the SRS is not the one the circuit names.
    """
    circuit.require_srs(srs, file_digest(srs))
    salts = tuple(randbelow(FIELD_ORDER) for _ in range(circuit.model_budget + 1))
    vector = weight_vector(circuit.architecture, weights) + list(salts)
    commitment = ModelCommitment(
        architecture=circuit.architecture.digest,
        k=circuit.k,
        srs=circuit.srs,
        srs_insecure=srs_insecure,
        budget=circuit.model_budget,
        commitment=kzg.commit(srs, vector).hex(),
    )
    return commitment, ModelOpening(commitment.model_id, circuit.architecture, weights, salts)
