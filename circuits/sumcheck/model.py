"""Committing to a model for the sumcheck backend (docs/protocol.md, 3.4 and 3.6)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from circuits import artefact, weights_file
from circuits.encoding import is_hex
from circuits.errors import CorruptedArtefact, InputError
from circuits.network import Architecture
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.commitment import Matrix, commit, commitment_id, model_header
from circuits.sumcheck.field_arrays import from_signed
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.layout import ModelLayout
from circuits.sumcheck.params import MAX_KAPPA, MIN_KAPPA, Profile
from circuits.sumcheck.randomness import SEED_BYTES
from circuits.sumcheck.testset import BACKEND
from circuits.weights import Weights

VERSION: Final = 1
_PUBLIC = {
    "backend": str, "architecture": str, "kappa": int, "budget": int, "rows": int, "root": str,
    "id": str,
}  # fmt: skip
_SECRET = {
    "backend": str, "model": str, "architecture": dict, "values": str, "kappa": int, "budget": int,
    "seed": str,
}  # fmt: skip


@dataclass(frozen=True)
class ModelCommitment:
    """What everyone may know about a committed model.

    Attributes
    ----------
    architecture : str
        Digest of the integer architecture, as hex.
    kappa : int
        The profile: 2^kappa slots in a row.
    budget : int
        Shard proofs that may be published with this commitment.
    rows : int
        Rows of the matrix.
    root : str
        Merkle root, 32 bytes of lowercase hex.

    Raises
    ------
    CorruptedArtefact
        If a field is malformed.
    """

    backend: ClassVar[str] = BACKEND

    architecture: str
    kappa: int
    budget: int
    rows: int
    root: str

    def __post_init__(self) -> None:
        if not (is_hex(self.architecture, 32) and is_hex(self.root, 32)):
            raise CorruptedArtefact("model file: a digest is malformed", artefact="model")
        if not MIN_KAPPA <= self.kappa <= MAX_KAPPA:
            raise CorruptedArtefact(f"model file: kappa is {self.kappa}", artefact="model")
        if not 1 <= self.budget <= Profile(self.kappa).max_openings or self.rows < 1:
            raise CorruptedArtefact(
                f"model file: {self.budget} openings of {self.rows} rows", artefact="model"
            )

    @property
    def model_id(self) -> str:
        """The 32-byte name of the commitment in statements and on the ledger, as hex."""
        header = model_header(
            kappa=self.kappa, architecture=self.architecture, budget=self.budget, rows=self.rows
        )
        return commitment_id(header, bytes.fromhex(self.root))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {"backend": BACKEND, **vars(self), "id": self.model_id}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> ModelCommitment:
        """Read the fields back; CorruptedArtefact if they are malformed."""
        fields = artefact.exact_fields(value, "model", _PUBLIC)
        if fields.pop("backend") != BACKEND:
            raise CorruptedArtefact("model file: made for another backend", artefact="model")
        expected = fields.pop("id")
        commitment = cls(**fields)
        # Any 32 bytes could be a root: without this, damage would go unnoticed until a proof.
        if commitment.model_id != expected:
            raise CorruptedArtefact(
                f"model file: it is of {commitment.model_id} and says {expected}",
                artefact="model",
                expected=expected,
                found=commitment.model_id,
            )
        return commitment

    def save(self, path: Path) -> None:
        """Write the public file."""
        artefact.save(path, "model", VERSION, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> ModelCommitment:
        """Read the public file; CorruptedArtefact, WrongVersion or MissingArtefact."""
        return cls.from_dict(artefact.load(path, "model", VERSION, _PUBLIC, limit=1 << 16))


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
    kappa, budget : int
        As in the commitment.
    seed : bytes
        From which all random coefficients and salts of the matrix come.
    """

    backend: ClassVar[str] = BACKEND

    model: str
    architecture: Architecture
    weights: Weights
    kappa: int
    budget: int
    seed: bytes

    def __repr__(self) -> str:
        return f"<ModelOpening of {self.model[:16]}>"

    def matrix(self) -> Matrix:
        """Return the committed matrix, made anew."""
        rows = model_rows(self.architecture, self.weights, self.kappa)
        return commit(rows, self.seed)

    def commitment(self, matrix: Matrix) -> ModelCommitment:
        """Return the public side of a matrix that `matrix` made."""
        return ModelCommitment(
            architecture=self.architecture.digest,
            kappa=self.kappa,
            budget=self.budget,
            rows=matrix.rows,
            root=matrix.root.hex(),
        )

    def save(self, path: Path) -> None:
        """Write the secret file, 0600."""
        fields = {
            "backend": BACKEND,
            "model": self.model,
            "architecture": self.architecture.to_dict(),
            "values": weights_file.pack(self.weights),
            "kappa": self.kappa,
            "budget": self.budget,
            "seed": self.seed.hex(),
        }
        artefact.save(path, "model-secret", VERSION, fields, secret=True)

    @classmethod
    def load(cls, path: Path) -> ModelOpening:
        """Read the secret file; CorruptedArtefact, WrongVersion or MissingArtefact."""
        fields = artefact.load(path, "model-secret", VERSION, _SECRET)
        architecture = Architecture.from_dict(fields["architecture"])
        if (
            fields["backend"] != BACKEND
            or not is_hex(fields["seed"], SEED_BYTES)
            or not is_hex(fields["model"], 32)
            or not MIN_KAPPA <= fields["kappa"] <= MAX_KAPPA
            or not 1 <= fields["budget"] <= Profile(fields["kappa"]).max_openings
        ):
            raise CorruptedArtefact("model secret: a field is malformed", artefact="model secret")
        return cls(
            model=fields["model"],
            architecture=architecture,
            weights=weights_file.unpack(architecture, fields["values"]),
            kappa=fields["kappa"],
            budget=fields["budget"],
            seed=bytes.fromhex(fields["seed"]),
        )


def model_rows(architecture: Architecture, weights: Weights, kappa: int) -> U64Array:
    """Return the rows of the model matrix: all weights, then, in new rows, all biases (3.6)."""
    layout = ModelLayout.of(architecture, kappa)
    slots = np.zeros(layout.rows << kappa, np.int64)
    for name, values in weights.items():
        slots[layout.span(name)] = values.reshape(-1)
    return from_signed(slots).reshape(layout.rows, 1 << kappa)


def commit_model(
    circuit: Circuit, weights: Weights, *, budget: int | None = None, seed: bytes | None = None
) -> tuple[ModelCommitment, ModelOpening]:
    """Commit to a model.

    Parameters
    ----------
    circuit : Circuit
        Gives architecture and profile.
    weights : Weights
        Integer weights of that architecture.
    budget : int, optional
        Shard proofs that may be published with the commitment; by default all that the profile
        allows.
    seed : bytes, optional
        Given in tests only.

    Returns
    -------
    ModelCommitment, ModelOpening
        What to publish and what to keep.

    Raises
    ------
    InputError
        If the profile does not allow so many openings.
    """
    most = Profile(circuit.kappa).max_openings
    budget = most if budget is None else budget
    if not 1 <= budget <= most:
        raise InputError(
            f"a model in rows of 2^{circuit.kappa} slots can be opened 1 to {most} times, not "
            f"{budget}: commit the test set for more, or commit the model again later"
        )
    draft = ModelOpening(
        "",
        circuit.architecture,
        weights,
        circuit.kappa,
        budget,
        seed or secrets.token_bytes(SEED_BYTES),
    )
    commitment = draft.commitment(draft.matrix())
    return commitment, replace(draft, model=commitment.model_id)
