"""The proof of one shard: its public instances, its bytes, and ezkl's file around them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from circuits.errors import CorruptedArtefact, WorkerFailed
from circuits.halo2.circuit import Circuit
from circuits.halo2.keys import Keys
from circuits.halo2.kzg import COMMITMENT_BYTES
from circuits.halo2.process import call_ezkl
from circuits.halo2.testset import SCALAR_FIELD

FIELD_ORDER = SCALAR_FIELD
"""r, the order of BN254's scalar field."""

VERIFY_TIMEOUT = 600.0
"""Seconds; a verification takes a fraction of one."""

_REFUSALS = ("[halo2]", "PanicException")
"""How ezkl says no, politely or by panicking; a key it cannot read is something else."""

MAX_PROOF_BYTES = 1 << 20


def felt(value: int) -> str:
    """Return a field element as ezkl writes it: 32 bytes, little-endian, hex."""
    return (value % FIELD_ORDER).to_bytes(32, "little").hex()


def context_elements(context: str) -> tuple[int, int]:
    """Split a 32-byte context digest (hex) into two 128-bit elements, high half first."""
    value = int(context, 16)
    return value >> 128, value & ((1 << 128) - 1)


def instances(circuit: Circuit, *, correct: int, samples: int, context: str) -> list[int]:
    """Return the public instances of an honest proof of a shard.

    The verifier computes them from the statement and never reads any: a proof for another count,
    number of samples or context, or with an element out of range, is then a proof of something
    else and fails.
    """
    return [correct, samples, *context_elements(context), circuit.in_range]


def commitments(proof: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the commitments to features, labels and weights that a proof was made for.

    ezkl's polycommit columns are the circuit's first advice columns, so their commitments are
    the first points of the transcript.

    Raises
    ------
    CorruptedArtefact
        If the proof is too short to hold them, or too long to be one.
    """
    size = COMMITMENT_BYTES
    if not 4 * size <= len(proof) <= MAX_PROOF_BYTES:
        raise CorruptedArtefact(f"a proof of {len(proof)} bytes is none", artefact="proof")
    return proof[:size], proof[size : 2 * size], proof[2 * size : 3 * size]


def ezkl_proof(proof: bytes, public: Sequence[int]) -> str:
    """Return the JSON file that ``ezkl.verify`` reads, with nothing in it that it ignores."""
    return json.dumps(
        {
            "protocol": None,
            "instances": [[felt(value) for value in public]],
            "proof": list(proof),
            "hex_proof": None,
            "split": None,
            "pretty_public_inputs": None,
            "timestamp": None,
            "version": None,
        }
    )


def ezkl_accepts(keys: Keys, srs: Path, proof: bytes, public: Sequence[int]) -> bool:
    """Tell whether ``ezkl.verify`` accepts a shard's proof for the given public instances.

    Raises
    ------
    WorkerFailed
        If the process died or ran out of time, which says nothing of the proof.
    """
    with tempfile.TemporaryDirectory(prefix="zkpot-verify-") as folder:
        path = Path(folder) / "proof.json"
        path.write_text(ezkl_proof(proof, public))
        try:
            result = call_ezkl(
                "verify",
                timeout=VERIFY_TIMEOUT,
                proof_path=path,
                settings_path=keys.path("settings"),
                vk_path=keys.path("verifying_key"),
                srs_path=srs,
            )
        except WorkerFailed as error:
            if error.details.get("raised") and any(no in error.message for no in _REFUSALS):
                return False
            raise
    return result.value is True
