"""The secret side of a committed test set: the samples, and what opens each backend's part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from circuits._manifest import Manifest
from circuits._opening_file import Content, pack, unpack
from circuits._testset_samples import NAME, Samples, unusable
from circuits.encoding import read_bytes, write_atomic
from circuits.errors import CorruptedArtefact, ShapeMismatch
from circuits.halo2.testset import Halo2Opening
from circuits.sumcheck.shards import SumcheckOpening


class PartOpening(Protocol):
    """What one backend keeps secret beside the samples."""

    @property
    def backend(self) -> str:
        """The backend's name."""

    def pack(self) -> tuple[dict[str, Any], bytes]:
        """Return the fields that size the secrets, and the secrets."""


_PARTS: dict[str, Callable[[Samples, dict[str, Any], bytes], PartOpening]] = {
    "halo2": Halo2Opening.unpack,
    "sumcheck": SumcheckOpening.unpack,
}


@dataclass(frozen=True, eq=False, repr=False)
class Opening:
    """Everything a prover needs to open the commitments of a manifest.

    Attributes
    ----------
    manifest_digest : str
        Digest of the manifest this opens, as hex.
    samples : Samples
        The quantised samples, in the order of the shards.
    parts : tuple of PartOpening
        What opens the commitments of each backend, in the order of their names.
    """

    manifest_digest: str
    samples: Samples
    parts: tuple[PartOpening, ...]

    def __repr__(self) -> str:
        """Say the sizes only: no feature, label or salt may end in a log."""
        names = ", ".join(part.backend for part in self.parts)
        return (
            f"Opening(manifest={self.manifest_digest[:16]}, samples={len(self.samples.labels)}, "
            f"{names})"
        )

    @property
    def halo2(self) -> Halo2Opening:
        """What opens the halo2 part; ShapeMismatch if there is none."""
        part = self._part("halo2")
        assert isinstance(part, Halo2Opening)
        return part

    @property
    def sumcheck(self) -> SumcheckOpening:
        """What opens the sumcheck part; ShapeMismatch if there is none."""
        part = self._part("sumcheck")
        assert isinstance(part, SumcheckOpening)
        return part

    def _part(self, backend: str) -> PartOpening:
        for part in self.parts:
            if part.backend == backend:
                return part
        raise ShapeMismatch(f"{NAME} does not open commitments for {backend}")

    def check(self, manifest: Manifest) -> None:
        """Check that this belongs to `manifest`; its parts check their own commitments.

        Raises
        ------
        CorruptedArtefact
            If it belongs to another manifest, or does not fit it.
        """
        if manifest.digest != self.manifest_digest:
            raise CorruptedArtefact(
                f"{NAME} belongs to manifest {self.manifest_digest}, not {manifest.digest}",
                artefact=NAME,
                expected=manifest.digest,
                found=self.manifest_digest,
            )
        self.samples.check(manifest)

    def to_bytes(self) -> bytes:
        """Return the file's content; secret."""
        parts = {part.backend: part.pack() for part in self.parts}
        return pack(Content(self.manifest_digest, self.samples, parts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Opening:
        """Read an opening back.

        Raises
        ------
        CorruptedArtefact
            If a byte is missing, added or changed, or the content contradicts itself.
        WrongVersion
            If it was written in another format version.
        """
        content = unpack(data)
        parts = []
        for name, (fields, secret) in sorted(content.parts.items()):
            if name not in _PARTS:
                unusable(f"it has a part for the backend {name!r}")
            parts.append(_PARTS[name](content.samples, fields, secret))
        return cls(content.manifest, content.samples, tuple(parts))

    def save(self, path: Path) -> None:
        """Write the opening to `path` with mode 0600, whole or not at all."""
        write_atomic(path, self.to_bytes(), secret=True)

    @classmethod
    def load(cls, path: Path) -> Opening:
        """Read the opening at `path`; MissingArtefact if there is none, else as `from_bytes`."""
        return cls.from_bytes(read_bytes(path, NAME))
