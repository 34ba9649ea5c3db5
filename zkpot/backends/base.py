"""What the API and the command line ask of a backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from circuits.artefact_files import Circuit, ModelCommitment, ModelOpening
from circuits.datasets import Dataset
from circuits.float_network import FloatNetwork
from circuits.integer import Ties
from circuits.network import Architecture, NumberFormat
from circuits.sumcheck.wellformed import WellFormed
from circuits.testset import Commit, Manifest, Opening
from circuits.weights import Weights
from prover.session import Job

GIGABYTE = 1 << 30
DEFAULT_MEMORY = 8 * GIGABYTE
"""Bytes that proving may use unless the user says otherwise."""


@dataclass(frozen=True)
class SrsChoice:
    """Which SRS the halo2 backend may use; the other has none.

    Attributes
    ----------
    path : Path, optional
        SRS file; by default the one of the local store.
    allow_insecure : bool
        Whether a development SRS will do.
    """

    path: Path | None = None
    allow_insecure: bool = False


@dataclass(frozen=True)
class DataSettings:
    """How shards are sized.

    Attributes
    ----------
    network : FloatNetwork or None
        The public architecture, to size shards for.
    input_format, input_exponent
        How features become integers.
    weight_bits, activation_bits : int, optional
        Widths to size for; by default the backend's.
    shard_size : int, optional
        Samples of a shard.
    memory : int
        Bytes that proving one shard may use.
    budget : int, optional
        Proofs that may be published against the set.
    k : int, optional
        Base-2 logarithm of the rows of a halo2 circuit.
    srs : SrsChoice
    """

    network: FloatNetwork | None
    input_format: NumberFormat
    input_exponent: int
    weight_bits: int | None = None
    activation_bits: int | None = None
    shard_size: int | None = None
    memory: int = DEFAULT_MEMORY
    budget: int | None = None
    k: int | None = None
    srs: SrsChoice = SrsChoice()


@dataclass(frozen=True)
class CompileSettings:
    """How a network becomes a circuit.

    Attributes
    ----------
    weight_bits, activation_bits : int, optional
        Widths of the integers; by default the backend's. halo2 has no activations of a width of
        their own.
    calibration : Dataset or None
        Samples like those to come, to choose scales by.
    model_budget : int, optional
        Shard proofs that may be published with one commitment to the model. In halo2 it is part
        of the circuit.
    per_class, confusion, per_group : bool
        What the circuit counts beside the right predictions; sumcheck only.
    """

    weight_bits: int | None = None
    activation_bits: int | None = None
    calibration: Dataset | None = None
    model_budget: int | None = None
    per_class: bool = False
    confusion: bool = False
    per_group: bool = False


@dataclass(frozen=True)
class Sized:
    """A circuit and its sizes.

    Attributes
    ----------
    circuit : Circuit
    summary : str
        Its sizes, for people.
    facts : mapping
        Its sizes, for programs.
    """

    circuit: Circuit
    summary: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Cost:
    """What proving will take; times in seconds, sizes in bytes.

    Attributes
    ----------
    shards, jobs : int
        Proofs to make, and how many at a time.
    setup_seconds, shard_seconds, seconds : float
        For what comes before the proofs, for one of them, and in all.
    peak_bytes : int
        Memory of all processes together.
    key_bytes : int
        Proving key; 0 where there is none.
    proof_bytes : int
        All proofs together.
    """

    shards: int
    jobs: int
    setup_seconds: float
    shard_seconds: float
    seconds: float
    peak_bytes: int
    key_bytes: int
    proof_bytes: int


@dataclass(frozen=True)
class ProveSettings:
    """How to prove.

    Attributes
    ----------
    memory : int
        Bytes that all of it may use.
    jobs : int, optional
        Shards at a time.
    srs : SrsChoice
    cluster : str, optional
        Address of a dask scheduler, whose workers prove; sumcheck only.
    send_secrets : bool
        Whether samples and weights may be sent there.
    """

    memory: int = DEFAULT_MEMORY
    jobs: int | None = None
    srs: SrsChoice = SrsChoice()
    cluster: str | None = None
    send_secrets: bool = False


@dataclass(frozen=True)
class Pins:
    """What a task pins beside the circuit; 32 zero bytes, as hex, where a backend has none."""

    verifying_key: str = "00" * 32
    srs: str = "00" * 32


class Backend(Protocol):
    """One proof system."""

    name: ClassVar[str]
    ties: ClassVar[Ties]

    def commit(self, dataset: Dataset, settings: DataSettings) -> Commit:
        """Size the shards and return how to commit to the set."""

    def well_formed(
        self, manifest: Manifest, opening: Opening, progress: Callable[[int, int], None]
    ) -> WellFormed | None:
        """Prove that a committed set is well-formed; None where accuracy proofs show it."""

    def quantise(
        self, network: FloatNetwork, manifest: Manifest, settings: CompileSettings
    ) -> tuple[Architecture, Weights]:
        """Turn a network into integers of the test set's format."""

    def circuit(
        self, architecture: Architecture, manifest: Manifest, settings: CompileSettings
    ) -> Sized:
        """Return the circuit of one shard of a test set."""

    def commit_model(
        self, circuit: Circuit, weights: Weights, budget: int | None, srs: SrsChoice
    ) -> tuple[ModelCommitment, ModelOpening]:
        """Commit to a model."""

    def require_testset(self, circuit: Circuit, manifest: Manifest) -> None:
        """Raise ShapeMismatch where a circuit was not compiled for a test set."""

    def check_commitment(self, model: ModelCommitment) -> None:
        """Raise CorruptedArtefact where a commitment cannot be one."""

    def cost(self, circuit: Circuit, manifest: Manifest, memory: int, jobs: int | None) -> Cost:
        """Predict what proving takes; OutOfMemory where it does not fit."""

    def job(
        self,
        circuit: Circuit,
        manifest: Manifest,
        opening: Opening,
        model: ModelOpening,
        context: str,
        settings: ProveSettings,
    ) -> AbstractContextManager[Job]:
        """Give the proof of a whole test set, ready to be run."""

    def pins(self, circuit: Circuit, srs: SrsChoice) -> Pins:
        """Return what a task pins for a circuit."""

    def facts(self, circuit: Circuit) -> Mapping[str, Any]:
        """Return what follows from a circuit and is not in its file."""
