"""The proof bundle: statement, public circuit and one proof per shard, in one file.

It holds nothing that a verifier could derive: no keys, settings or instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from circuits import container
from circuits.encoding import canonical_json, digest, read_bytes
from circuits.statement import Statement

VERSION: Final = 2
MAX_BYTES: Final = 1 << 30
_FIELDS = {"statement": dict, "circuit": dict, "details": dict}


@dataclass(frozen=True)
class Bundle:
    """A proof bundle.

    Attributes
    ----------
    statement : Statement
        What is claimed.
    circuit : dict
        The backend's public description of the circuit.
    details : dict
        What else the backend's verifier has to be told. halo2: ``srs_insecure``, true if the
        prover used a development SRS. sumcheck: ``model``, the public commitment, and
        ``outputs``, the counts of each shard.
    proofs : tuple of bytes
        One per shard, in the order of the manifest.
    """

    statement: Statement
    circuit: dict[str, Any]
    details: dict[str, Any]
    proofs: tuple[bytes, ...]

    @property
    def srs_insecure(self) -> bool:
        """Whether the bundle says of itself that it rests on a development SRS."""
        return self.details.get("srs_insecure") is True

    def encode(self) -> bytes:
        """Return the canonical bytes of the bundle."""
        fields = {
            "statement": self.statement.to_dict(),
            "circuit": self.circuit,
            "details": self.details,
        }
        return container.encode("bundle", VERSION, fields, self.proofs)

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
        fields, proofs = container.decode(data, "bundle", VERSION, _FIELDS)
        statement = Statement.decode(canonical_json(fields["statement"]))
        return cls(statement, fields["circuit"], fields["details"], proofs)

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """Read the bundle at `path`; MissingArtefact if there is none, else as `decode`."""
        return cls.decode(read_bytes(path, "bundle", MAX_BYTES))

    @property
    def digest(self) -> str:
        """Digest of the encoded bundle, as hex."""
        return digest("bundle", self.encode())
