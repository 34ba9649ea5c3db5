"""The public description of a sumcheck circuit, and its digest.

Everything that fixes what is proven is in `Circuit`; tables, layout and number of messages follow
from it (`circuits.sumcheck.relation`), and there are no keys.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, NoReturn

from circuits._testset_parts import MAX_GROUPS
from circuits.encoding import canonical_json, json_digest, parse_canonical
from circuits.errors import CorruptedArtefact, WrongVersion
from circuits.network import Architecture
from circuits.sumcheck import relation
from circuits.sumcheck.params import MAX_KAPPA, MIN_KAPPA
from circuits.sumcheck.public import Metrics
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.testset import BACKEND

MAGIC: Final = "zkpot-circuit"
VERSION: Final = 1
PROTOCOL: Final = 1
"""Version of docs/protocol.md."""
TIE_RULE: Final = "first"
"""The first of several equal maxima is the prediction, as numpy and ONNX have it."""


@dataclass(frozen=True)
class Circuit:
    """A shard circuit of the sumcheck backend.

    Attributes
    ----------
    architecture : Architecture
        The integer network, without weights.
    shard_size : int
        Samples in every shard, padding included: 2^a.
    kappa : int
        The profile: 2^kappa slots in a row of a commitment.
    per_class : bool
        Whether right predictions and samples of each class are public.
    confusion : bool
        Whether the confusion matrix is public.
    per_group : bool
        Whether right predictions and samples of each group are public.
    groups : int
        Number of groups of the test set; 0 if it has none.

    Raises
    ------
    CorruptedArtefact
        If a field is out of range.
    """

    backend: ClassVar[str] = BACKEND

    architecture: Architecture
    shard_size: int
    kappa: int
    per_class: bool
    confusion: bool
    per_group: bool
    groups: int

    def __post_init__(self) -> None:
        ranges = {
            "kappa": (MIN_KAPPA, MAX_KAPPA),
            "shard_size": (1, 1 << min(max(self.kappa, MIN_KAPPA), MAX_KAPPA)),
            "groups": (0, MAX_GROUPS),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                _bad(f"{name} is {getattr(self, name)}, not {low} to {high}")
        if self.shard_size & (self.shard_size - 1):
            _bad(f"the shard size is {self.shard_size}, which is no power of two")
        if self.per_group and not self.groups:
            _bad("it counts groups, and the test set has none")

    @property
    def a(self) -> int:
        """Base-2 logarithm of the shard size."""
        return self.shard_size.bit_length() - 1

    @property
    def metrics(self) -> Metrics:
        """What is counted beside the right predictions."""
        return Metrics(self.per_class, self.confusion, self.groups if self.per_group else 0)

    @cached_property
    def relation(self) -> Relation:
        """What a proof of one shard shows, with all its sizes.

        Raises
        ------
        UnsupportedOperator, WouldOverflow
            If the protocol cannot prove the network; names the layer.
        """
        return relation.accuracy(self.architecture, self.a, self.kappa, self.metrics, self.groups)

    def to_dict(self) -> dict[str, Any]:
        """Return the circuit as JSON values, with what this backend fixes spelled out."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            **fields,
            "architecture": self.architecture.to_dict(),
            "magic": MAGIC,
            "version": VERSION,
            "backend": BACKEND,
            "protocol": PROTOCOL,
            "tie_rule": TIE_RULE,
        }

    def encode(self) -> bytes:
        """Return the canonical bytes of the circuit file."""
        return canonical_json(self.to_dict())

    @property
    def digest(self) -> str:
        """The circuit digest of the statement, as hex."""
        return json_digest("circuit", self.to_dict())

    @classmethod
    def from_dict(cls, value: object) -> Circuit:
        """Read a circuit from JSON values.

        Raises
        ------
        CorruptedArtefact
            If a field is missing, unknown, of a wrong type or out of range.
        WrongVersion
            If it was made for another format, backend or protocol.
        """
        if not isinstance(value, dict) or value.get("magic") != MAGIC:
            _bad("this is another kind of file")
        fixed = {"version": VERSION, "backend": BACKEND, "protocol": PROTOCOL}
        for name, expected in fixed.items():
            if type(value.get(name)) is not type(expected) or value[name] != expected:
                raise WrongVersion(
                    f"the circuit has {name} {value.get(name)!r}, this tool has {expected!r}"
                )
        fields: dict[str, Any] = {f.name: value.get(f.name) for f in dataclasses.fields(cls)}
        kinds = {"architecture": dict, "per_class": bool, "confusion": bool, "per_group": bool}
        for name, item in fields.items():
            if type(item) is not kinds.get(name, int):
                _bad(f"{name} is {item!r}")
        fields["architecture"] = Architecture.from_dict(fields["architecture"])
        circuit = cls(**fields)
        if circuit.to_dict() != value:
            _bad("it has unknown fields, or another tie rule")
        return circuit

    @classmethod
    def decode(cls, data: bytes) -> Circuit:
        """Read a circuit file; errors as in `from_dict`."""
        return cls.from_dict(parse_canonical(data, "circuit"))


def _bad(message: str) -> NoReturn:
    raise CorruptedArtefact(f"circuit: {message}", artefact="circuit")
