"""The proof bundle: statement, public circuit and one proof per shard, in one file.

It holds nothing that a verifier could derive: no keys, settings or instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from circuits import artefact
from circuits.encoding import canonical_json, digest, read_bytes
from circuits.errors import CorruptedArtefact
from circuits.statement import Statement

VERSION: Final = 1
MAX_BYTES: Final = 1 << 28
_FIELDS = {"statement": dict, "circuit": dict, "proofs": list, "srs_insecure": bool}


@dataclass(frozen=True)
class Bundle:
    """A proof bundle.

    Attributes
    ----------
    statement : Statement
        What is claimed.
    circuit : dict
        The backend's public description of the circuit.
    proofs : tuple of bytes
        One per shard, in the order of the manifest.
    srs_insecure : bool
        True if the prover used a development SRS; the verifier finds out for itself.
    """

    statement: Statement
    circuit: dict[str, Any]
    proofs: tuple[bytes, ...]
    srs_insecure: bool

    def encode(self) -> bytes:
        """Return the canonical bytes of the bundle."""
        fields = {
            "statement": self.statement.to_dict(),
            "circuit": self.circuit,
            "proofs": [proof.hex() for proof in self.proofs],
            "srs_insecure": self.srs_insecure,
        }
        return artefact.encode("bundle", VERSION, fields)

    @classmethod
    def decode(cls, data: bytes) -> Bundle:
        """Read a bundle back.

        Raises
        ------
        CorruptedArtefact
            If the bytes are not the canonical encoding of a well-formed bundle.
        WrongVersion
            If bundle or statement are of another version.
        """
        fields = artefact.decode(data, "bundle", VERSION, _FIELDS)
        try:
            proofs = tuple(bytes.fromhex(proof) for proof in fields["proofs"])
        except (TypeError, ValueError):
            raise CorruptedArtefact("bundle: a proof is not hex", artefact="bundle") from None
        statement = Statement.decode(canonical_json(fields["statement"]))
        bundle = cls(statement, fields["circuit"], proofs, fields["srs_insecure"])
        # bytes.fromhex takes capitals and spaces: one bundle must have one encoding.
        if bundle.encode() != data:
            raise CorruptedArtefact("bundle: a proof is not lowercase hex", artefact="bundle")
        return bundle

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """Read the bundle at `path`; MissingArtefact if there is none, else as `decode`."""
        return cls.decode(read_bytes(path, "bundle", MAX_BYTES))

    @property
    def digest(self) -> str:
        """Digest of the encoded bundle, as hex."""
        return digest("bundle", self.encode())
