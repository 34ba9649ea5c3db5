"""The public description of a halo2 circuit, its digest, and how it is sized.

Everything that fixes the constraint system is in `Circuit`; two parties with equal digests
derive the same graph, settings and keys (`circuits.halo2.keys`), and nobody needs another's.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from circuits._testset_parts import MAX_BUDGET
from circuits.encoding import canonical_json, is_hex, json_digest, parse_canonical
from circuits.errors import CorruptedArtefact, SrsInvalid, WouldOverflow, WrongVersion
from circuits.halo2.graph import checked_elements, vector_sizes
from circuits.halo2.kzg import column_capacity
from circuits.network import Architecture, MaxPool, Relu, bounds

BACKEND: Final = "halo2"
EZKL_VERSION: Final = "23.0.5"
MAGIC: Final = "zkpot-circuit"
VERSION: Final = 1
TIE_RULE: Final = "strict"
"""A tie for the largest logit counts as wrong."""

MIN_K: Final = 10
MAX_K: Final = 20
MAX_LEGS: Final = 5
MAX_COLUMNS: Final = 12


@dataclass(frozen=True)
class Circuit:
    """A shard circuit of the halo2 backend.

    Attributes
    ----------
    architecture : Architecture
        The integer network, without weights.
    shard_size : int
        Samples in every shard, padding included.
    k : int
        The circuit has 2^k rows; commitments of test set and model are bound to it.
    columns : int
        ezkl's ``num_inner_cols``; assignments / columns is the rows used.
    decomp_base, decomp_legs : int
        A value v is range-checked as a sign and `decomp_legs` digits: |v| < base^legs.
    testset_budget, model_budget : int
        Openings of one shard, and of the model, before their hiding would end.
    srs : str
        SHA-256 of the SRS file, as hex.
    """

    backend: ClassVar[str] = BACKEND

    architecture: Architecture
    shard_size: int
    k: int
    columns: int
    decomp_base: int
    decomp_legs: int
    testset_budget: int
    model_budget: int
    srs: str

    def __post_init__(self) -> None:
        ranges = {
            "k": (MIN_K, MAX_K),
            "shard_size": (1, 1 << MAX_K),
            "columns": (1, MAX_COLUMNS),
            "decomp_base": (2, 1 << (min(max(self.k, MIN_K), MAX_K) - 1)),
            "decomp_legs": (1, MAX_LEGS),
            "testset_budget": (1, MAX_BUDGET),
            "model_budget": (1, MAX_BUDGET),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise CorruptedArtefact(
                    f"circuit: {name} is {getattr(self, name)}, not {low} to {high}",
                    artefact="circuit",
                )
        if not is_hex(self.srs, 32):
            raise CorruptedArtefact("circuit: the SRS digest is malformed", artefact="circuit")
        check_fits(self)

    def require_srs(self, path: Path, found: str) -> None:
        """Raise SrsInvalid if the SRS file at `path`, of digest `found`, is not this circuit's."""
        if found != self.srs:
            raise SrsInvalid(
                f"the circuit is for the SRS {self.srs}, and {path} is {found}",
                expected=self.srs,
                found=found,
            )

    @property
    def salts(self) -> tuple[int, int, int, int]:
        """Salt elements of features, labels, weights and context.

        One more than the openings: each proof reveals one evaluation of each committed column,
        the commitment itself determines one more, and the context is public.
        """
        return self.testset_budget + 1, self.testset_budget + 1, self.model_budget + 1, 0

    @property
    def in_range(self) -> int:
        """What the circuit's last public output must be: all checked elements are in range."""
        return checked_elements(self.architecture, self.shard_size)

    def to_dict(self) -> dict[str, Any]:
        """Return the circuit as JSON values, with what this backend fixes spelled out."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            **fields,
            "architecture": self.architecture.to_dict(),
            "magic": MAGIC,
            "version": VERSION,
            "backend": BACKEND,
            "backend_version": EZKL_VERSION,
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
            If it was made for another format, backend or ezkl version.
        WouldOverflow
            If the network does not fit the circuit's integers or rows.
        """
        if not isinstance(value, dict) or value.get("magic") != MAGIC:
            raise CorruptedArtefact("not a circuit file", artefact="circuit")
        fixed = {"version": VERSION, "backend": BACKEND, "backend_version": EZKL_VERSION}
        for name, expected in fixed.items():
            if type(value.get(name)) is not type(expected) or value[name] != expected:
                raise WrongVersion(
                    f"the circuit has {name} {value.get(name)!r}, this tool has {expected!r}"
                )
        fields: dict[str, Any] = {f.name: value.get(f.name) for f in dataclasses.fields(cls)}
        for name, item in fields.items():
            kind = {"architecture": dict, "srs": str}.get(name, int)
            if type(item) is not kind:
                raise CorruptedArtefact(f"circuit: {name} is {item!r}", artefact="circuit")
        fields["architecture"] = Architecture.from_dict(fields["architecture"])
        circuit = cls(**fields)
        if circuit.to_dict() != value:
            raise CorruptedArtefact(
                "circuit: unknown fields, or another tie rule", artefact="circuit"
            )
        return circuit

    @classmethod
    def decode(cls, data: bytes) -> Circuit:
        """Read a circuit file; errors as in `from_dict`."""
        return cls.from_dict(parse_canonical(data, "circuit"))


def decomposition(architecture: Architecture, k: int) -> tuple[int, int]:
    """Return the decomposition base and legs for the widest value a network can reach.

    Fewest legs first, because each is an assignment of every ReLU and comparison; the base is
    then the smallest power of two that fits, below 2^k so that its table is one column.

    Raises
    ------
    WouldOverflow
        If `MAX_LEGS` legs do not hold the widest value.
    """
    layer, widest = _widest(architecture)
    bits = widest.bit_length()
    for legs in range(1, MAX_LEGS + 1):
        leg_bits = -(-bits // legs)
        if leg_bits <= k - 1:
            return 1 << leg_bits, legs
    raise WouldOverflow(layer, bits, MAX_LEGS * (k - 1), _REMEDY)


_REMEDY = (
    "the halo2 circuit keeps exact integers without rescaling, so their width grows with every "
    "layer; use fewer bits, a smaller network, or the sumcheck backend"
)


def _widest(architecture: Architecture) -> tuple[str, int]:
    """Return the layer with the widest value that is decomposed, and that value's bound."""
    found = bounds(architecture)
    # The differences of two logits are compared, so twice the logits' bound.
    widest = {architecture.output: 2 * found[architecture.output]}
    for layer in architecture.layers:
        if isinstance(layer, Relu):
            widest[layer.name] = found[layer.inputs[0]]
        elif isinstance(layer, MaxPool):
            widest[layer.name] = 2 * found[layer.inputs[0]]
    name = max(widest, key=lambda n: widest[n])
    return name, widest[name]


def check_fits(circuit: Circuit) -> None:
    """Check that every value and every committed tensor of a circuit fits.

    Raises
    ------
    WouldOverflow
        If a value needs more than the decomposition holds, a range-checked element more than the
        lookup table, or a committed tensor more than its one column (a second would be unsalted).
    """
    if circuit.architecture.classes < 2:
        # The count's equation tells a stray label from a right one only from two classes on.
        raise CorruptedArtefact("circuit: fewer than two classes", artefact="circuit")
    layer, widest = _widest(circuit.architecture)
    room = circuit.decomp_base**circuit.decomp_legs
    if widest >= room:
        raise WouldOverflow(layer, widest.bit_length(), room.bit_length() - 1, _REMEDY)
    # One value more than the format has must still be in the table, to be told apart.
    form = circuit.architecture.input_format
    for name, bits in (("input", form.bits), ("weights", circuit.architecture.weight_bits)):
        if (1 << bits) + 1 >= column_capacity(circuit.k):
            raise WouldOverflow(name, bits, circuit.k - 1, "use fewer bits, or a larger k")
    rows = column_capacity(circuit.k)
    sizes = vector_sizes(circuit.architecture, circuit.shard_size)
    for name, size, salts in zip(
        ("features of a shard", "labels of a shard", "weights"), sizes, circuit.salts, strict=False
    ):
        if size + salts > rows:
            raise WouldOverflow(
                name,
                (size + salts).bit_length(),
                circuit.k,
                f"{size} values and {salts} salts do not fit one column of {rows} rows; "
                "use smaller shards, a smaller budget or a larger k",
            )
