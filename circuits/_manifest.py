"""The public side of a committed test set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from circuits._testset_parts import MANIFEST, Part, SetHeader, bad
from circuits.encoding import (
    canonical_json,
    digest,
    json_digest,
    parse_canonical,
    read_bytes,
    write_atomic,
)
from circuits.errors import ShapeMismatch, WrongVersion
from circuits.halo2.testset import Halo2Part
from circuits.network import NumberFormat
from circuits.sumcheck.testset import SumcheckPart

MANIFEST_VERSION: Final = 2

_MAGIC = "zkpot"
_KIND = "testset"
_MAX_FILE_BYTES = 2**25
_PARTS: dict[str, type[Part]] = {part.backend: part for part in (Halo2Part, SumcheckPart)}


@dataclass(frozen=True)
class Manifest(SetHeader):
    """What everyone may know about a committed test set.

    The samples may be committed for several backends. That all parts commit to the same samples
    is the evaluator's word; who opens the set checks it.

    Attributes
    ----------
    samples, shape, classes, groups, input_format, input_exponent
        As in `SetHeader`.
    parts : tuple of Part
        The commitments of each backend, in the order of their names.

    Raises
    ------
    CorruptedArtefact
        If a field is malformed or the fields contradict each other.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [part.backend for part in self.parts]
        if not names or names != sorted(set(names)):
            bad("it commits for no backend, or twice for one")
        for part in self.parts:
            part.check(self)

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of the backends that can prove on this set."""
        return tuple(part.backend for part in self.parts)

    def part(self, backend: str) -> Part:
        """Return the commitments of a backend.

        Raises
        ------
        ShapeMismatch
            If the set was not committed for it.
        """
        for part in self.parts:
            if part.backend == backend:
                return part
        raise ShapeMismatch(
            f"the test set is committed for {' and '.join(self.backends)}, not for {backend}"
        )

    @property
    def halo2(self) -> Halo2Part:
        """The commitments of the halo2 backend; ShapeMismatch if there are none."""
        part = self.part("halo2")
        assert isinstance(part, Halo2Part)
        return part

    @property
    def sumcheck(self) -> SumcheckPart:
        """The commitments of the sumcheck backend; ShapeMismatch if there are none."""
        part = self.part("sumcheck")
        assert isinstance(part, SumcheckPart)
        return part

    @property
    def proofs(self) -> int:
        """Accuracy proofs that may be published against the set, whatever the backend."""
        return min(part.proofs for part in self.parts)

    @property
    def srs_insecure(self) -> bool:
        """Whether a part was committed under a development SRS."""
        return any(isinstance(part, Halo2Part) and part.srs_insecure for part in self.parts)

    @property
    def header(self) -> dict[str, Any]:
        """Everything but the parts, as JSON-ready values."""
        return {
            "magic": _MAGIC,
            "kind": _KIND,
            "version": MANIFEST_VERSION,
            "samples": self.samples,
            "shape": list(self.shape),
            "classes": self.classes,
            "groups": self.groups,
            "input": {
                "bits": self.input_format.bits,
                "signed": self.input_format.signed,
                "exponent": self.input_exponent,
            },
        }

    @cached_property
    def testset_id(self) -> str:
        """Digest of header and parts: what a statement names as its test set.

        The header is bound too, because the same commitments under another scale or number of
        classes would be another test set.
        """
        parts = {part.backend: part.digest for part in self.parts}
        return json_digest("testset", {"header": self.header, "parts": parts})

    @property
    def digest(self) -> str:
        """Digest of the encoded manifest, as hex."""
        return digest("testset-manifest", self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the RFC 8785 encoding."""
        parts = {part.backend: part.to_dict() for part in self.parts}
        return canonical_json({**self.header, "parts": parts})

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest back.

        Raises
        ------
        CorruptedArtefact
            If the bytes are not the canonical encoding of a well-formed, consistent manifest.
        WrongVersion
            If it was written in another format version.
        """
        value = parse_canonical(data, MANIFEST)
        if not isinstance(value, dict) or (value.get("magic"), value.get("kind")) != (
            _MAGIC,
            _KIND,
        ):
            bad("this is another kind of file")
        if value.get("version") is not True and value.get("version") != MANIFEST_VERSION:
            raise WrongVersion(
                f"{MANIFEST} has version {value.get('version')}, this tool reads {MANIFEST_VERSION}"
            )
        try:
            manifest = cls(
                samples=value["samples"],
                shape=tuple(value["shape"]),
                classes=value["classes"],
                groups=value["groups"],
                input_format=NumberFormat(value["input"]["bits"], value["input"]["signed"]),
                input_exponent=value["input"]["exponent"],
                parts=tuple(
                    _PARTS[name].from_dict(part) for name, part in sorted(value["parts"].items())
                ),
            )
        except (AttributeError, KeyError, TypeError) as error:
            bad(f"a field is missing or has another type: {error}")
        if manifest.to_bytes() != data:
            bad("it has fields of its own")
        return manifest

    def save(self, path: Path) -> None:
        """Write the manifest to `path`, whole or not at all."""
        write_atomic(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read the manifest at `path`; MissingArtefact if there is none, else as `from_bytes`."""
        return cls.from_bytes(read_bytes(path, MANIFEST, _MAX_FILE_BYTES))
