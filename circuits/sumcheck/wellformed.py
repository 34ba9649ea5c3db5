"""The proof that a committed test set is well-formed: made once, by who committed it.

Every commitment to a shard has one proof (docs/protocol.md, 4.6): features are in the input format,
each real sample has exactly one label and one group, and padding is zero. An accuracy proof says
something only of a set that has these.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from circuits import container
from circuits.encoding import digest, read_bytes, write_atomic

VERSION: Final = 1
MAX_BYTES: Final = 1 << 30
_FIELDS = {"commitments": list}


@dataclass(frozen=True)
class WellFormed:
    """The proofs of all shards of a set.

    Attributes
    ----------
    commitments : tuple of str
        Id of each shard's commitment, as hex, in the order of the manifest.
    proofs : tuple of bytes
        One proof for each.
    """

    commitments: tuple[str, ...]
    proofs: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the canonical bytes of the file."""
        fields = {"commitments": list(self.commitments)}
        return container.encode("wellformed", VERSION, fields, self.proofs)

    @classmethod
    def decode(cls, data: bytes) -> WellFormed:
        """Read the file's bytes back; CorruptedArtefact or WrongVersion."""
        fields, proofs = container.decode(data, "wellformed", VERSION, _FIELDS)
        return cls(tuple(fields["commitments"]), proofs)

    @property
    def digest(self) -> str:
        """Digest of the encoded file, as hex."""
        return digest("wellformed", self.encode())

    def save(self, path: Path) -> None:
        """Write the file to `path`, whole or not at all."""
        write_atomic(path, self.encode())

    @classmethod
    def load(cls, path: Path) -> WellFormed:
        """Read the file at `path`; MissingArtefact if there is none, else as `decode`."""
        return cls.decode(read_bytes(path, "proof that the test set is well-formed", MAX_BYTES))


def path_beside(manifest: Path) -> Path:
    """Return where the file of a manifest is kept by custom."""
    return manifest.with_suffix(".wellformed")
