"""How far an audit has come, so that it can be interrupted: proofs take long to verify."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from circuits.encoding import canonical_json, is_hex, parse_canonical, read_bytes
from circuits.errors import CorruptedArtefact

_VERSION = 1
_MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class Resume:
    """How far the proofs of a log were verified, for an audit that goes on from there.

    It is its owner's own note, and proves nothing to anyone else.

    Attributes
    ----------
    log : str
        The log's verifier key.
    size : int
        All proofs among so many entries were verified.
    root : str
        Merkle root over these entries.
    proofs : int
        How many proofs that were.
    """

    log: str
    size: int
    root: str
    proofs: int

    @classmethod
    def load(cls, path: Path) -> Resume | None:
        """Read the file; None if there is none yet.

        Raises
        ------
        CorruptedArtefact
            If it is something else.
        """
        if not path.exists():
            return None
        value = parse_canonical(read_bytes(path, "audit file", _MOST_BYTES), "audit file")
        try:
            found = cls(value["log"], value["size"], value["root"], value["proofs"])
            good = value["version"] == _VERSION and canonical_json(value) == found.encode()
            good = good and is_hex(found.root, 32) and type(found.size) is int
        except (TypeError, KeyError):
            good = False
        if not good:
            raise CorruptedArtefact(f"{path} is not the file of an audit", path=str(path))
        return found

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return canonical_json(
            {
                "version": _VERSION,
                "log": self.log,
                "size": self.size,
                "root": self.root,
                "proofs": self.proofs,
            }
        )
