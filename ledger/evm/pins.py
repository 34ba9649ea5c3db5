"""What a task tells the contract of its halo2 circuit, and that it is what its digests stand for.

The contract reads no JSON files, so a task's owner gives it these numbers. Whoever has the two
public files, the circuit and the test set's manifest, computes them again (`pins_of`).
"""

from __future__ import annotations

from dataclasses import dataclass

from circuits.artefact_files import decode_circuit
from circuits.encoding import is_hex
from circuits.halo2.circuit import Circuit
from circuits.testset import Manifest
from ledger.checks import NOTHING
from ledger.entries import DataRegister, TaskOpen
from ledger.errors import BadPins
from ledger.evm_keys import keccak256

NOBODY = "00" * 20
"""The address of a task that has no verifier contract."""


@dataclass(frozen=True)
class Pins:
    """Parameters of a halo2 task in the contract; all zero for sumcheck.

    Attributes
    ----------
    verifier : str
        Address of the verifier contract, 20 bytes of hex.
    k : int
        The circuit has 2^k rows; part of the name of a model commitment.
    shard_size : int
        Samples of every shard but the last.
    in_range : int
        The public instance by which the circuit says that all values are in range.
    shards : str
        Keccak-256 over the commitments to features and labels of all shards, in order: what the
        proofs start with.
    """

    verifier: str
    k: int
    shard_size: int
    in_range: int
    shards: str

    def __post_init__(self) -> None:
        if not is_hex(self.verifier, 20) or not is_hex(self.shards, 32):
            raise BadPins("the verifier is no address, or the shards are no digest")

    def require(self, expected: Pins) -> None:
        """Refuse a task whose parameters are not those of its circuit and test set.

        Raises
        ------
        BadPins
            Naming the first difference.
        """
        for name in ("k", "shard_size", "in_range", "shards"):
            found, wanted = getattr(self, name), getattr(expected, name)
            if found != wanted:
                raise BadPins(f"{name} of the task is {found}, its files give {wanted}")


NO_PINS = Pins(NOBODY, 0, 0, 0, NOTHING)


def pins_of(circuit: Circuit, manifest: Manifest, verifier: str) -> Pins:
    """Return the parameters of a task with this circuit and test set.

    Raises
    ------
    ShapeMismatch
        If the set was not committed for halo2.
    """
    part = manifest.halo2
    points = "".join(shard.features + shard.labels for shard in part.shards)
    return Pins(
        verifier=verifier,
        k=circuit.k,
        shard_size=part.shard_size,
        in_range=circuit.in_range,
        shards=keccak256(bytes.fromhex(points)).hex(),
    )


def read_pins(
    terms: TaskOpen, registered: DataRegister, circuit: bytes, manifest: bytes, verifier: str
) -> Pins:
    """Return the parameters of a task from its two public files.

    Raises
    ------
    BadPins
        If a file is not the one that the task names, or says something else than task and
        registration do: then no proof could be verified by who reads the files.
    CorruptedArtefact, WrongVersion, ShapeMismatch
        If a file cannot be used.
    """
    read, committed = decode_circuit(circuit), Manifest.from_bytes(manifest)
    if not isinstance(read, Circuit) or read.digest != terms.circuit:
        raise BadPins("the circuit file is not that of the task's circuit")
    if committed.testset_id != terms.testset:
        raise BadPins("the manifest is not that of the task's test set")
    for name, said, found in (
        ("SRS", terms.srs, read.srs),
        ("number of samples", registered.samples, committed.samples),
    ):
        if said != found:
            raise BadPins(f"{name}: the ledger says {said}, the file {found}")
    if terms.vk == NOTHING:
        raise BadPins("the task names no verifying key")
    if registered.openings > committed.proofs:
        raise BadPins(
            f"openings: registered for {registered.openings}, the set allows {committed.proofs}"
        )
    return pins_of(read, committed, verifier)
