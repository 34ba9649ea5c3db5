"""One change at a time to an honest proof or to its public input: no verifier accepts any.

Small parts of a proof are changed element by element, large ones at places spread over them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pytest

from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.proof_bytes import MATRICES
from circuits.sumcheck.public import AccuracyInput, Outputs
from tests.attacks.sumcheck_lab import accepted
from tests.attacks.sumcheck_lab_networks import mlp, zoo
from tests.attacks.sumcheck_lab_proof import Made

MLP = mlp()
PROOFS = {"accuracy": MLP.attack(), "well-formed": MLP.attack_well_formed()}
SPREAD = 10
"""Places that are changed in a large part."""


def parts(made: Made) -> Iterator[tuple[str, int, int]]:
    """Yield name, first byte and size of every part of a proof, in order (6.6)."""
    shape, start = made.relation.shape, 0
    sizes = [("root", 32)]
    sizes += [(f"difference {i}", 16) for i in range(shape.differences)]
    sizes += [(f"message {i}", 16) for i in range(shape.messages)]
    sizes += [(f"u {i}", 16) for i in range(shape.profile.degree)]
    sizes += [(f"q {i}", 16) for i in range(shape.profile.linear_degree)]
    for name in MATRICES:
        if name in shape.rows:
            for i in range(shape.profile.opened):
                sizes += [(f"{name} salt {i}", 32)]
                sizes += [(f"{name} column {i} row {r}", 8) for r in range(shape.rows[name])]
            nodes = len(made.proof.openings[name].nodes)
            sizes += [(f"{name} node {i}", 32) for i in range(nodes)]
    for name, size in sizes:
        yield name, start, size
        start += size
    assert start == len(made.data)


def chosen(made: Made) -> list[tuple[str, int, int]]:
    """Return the parts to change: all small groups, and some of every large one."""
    groups: dict[str, list[tuple[str, int, int]]] = {}
    for part in parts(made):
        kind = "".join(c for c in part[0] if not c.isdigit())
        groups.setdefault(kind, []).append(part)
    found = []
    for members in groups.values():
        small = members[0][0].split()[0] in ("root", "difference", "message")
        places = range(len(members)) if small else _spread(len(members))
        found += [members[i] for i in places]
    return found


def _spread(count: int) -> list[int]:
    return sorted({*np.linspace(0, count - 1, SPREAD).astype(int).tolist()})


def flipped(data: bytes, at: int) -> bytes:
    """Change the lowest bit of a byte; a field element stays one."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


EXPECTED = {
    "root": ("sum", "columns"),
    "difference": ("sum", "columns"),
    "message": ("sum", "columns"),
    "u": ("columns", "columns"),
}
"""A change before the positions are drawn opens others; one of the verifiers adds up first."""


@pytest.mark.parametrize("relation", PROOFS)
def test_every_part_of_a_proof_counts(relation: str) -> None:
    made = PROOFS[relation]
    accepted(made)
    tried = set()
    for i, (name, start, size) in enumerate(chosen(made)):
        kind = name.split()[0]
        verdicts = made.verdicts(flipped(made.data, start + i % 2 * (size // 2)))
        if kind == "q":
            summed = int(name.split()[1]) % made.relation.profile.row_slots == 0
            assert verdicts == ("sum" if summed else "columns", "columns"), name
        else:
            assert verdicts == EXPECTED.get(kind, ("columns", "columns")), name
        tried.add(kind)
    assert tried >= {"root", "difference", "message", "u", "q", "shard", "proof"}


@pytest.mark.parametrize("relation", PROOFS)
@pytest.mark.parametrize("value", [MODULUS, MODULUS + 1, (1 << 64) - 1])
def test_no_element_has_a_second_form(relation: str, value: int) -> None:
    """Not the modulus for zero, nor any word above it, in either coordinate, anywhere."""
    made = PROOFS[relation]
    for name, start, size in chosen(made):
        if name == "root" or "salt" in name or "node" in name:
            continue
        for at in {start, start + size - 8}:
            data = made.data[:at] + value.to_bytes(8, "little") + made.data[at + 8 :]
            assert made.verdicts(data) == ("encoding", "format"), name


def test_a_zero_cannot_be_written_as_the_modulus() -> None:
    """The same element, in its other form: a proof with zero pads has zeros to rewrite."""
    made = MLP.attack(
        pads=lambda pads: pads.__setitem__(slice(None), [type(pads[0])(0)] * len(pads))
    )
    accepted(made)
    zeros = np.argwhere(made.proof.differences[:, 0] == 0)
    assert len(zeros)
    at = 32 + 16 * int(zeros[0, 0])
    data = made.data[:at] + MODULUS.to_bytes(8, "little") + made.data[at + 8 :]
    assert made.verdicts(data) == ("encoding", "format")


@pytest.mark.parametrize("relation", PROOFS)
def test_the_length_of_a_proof_is_fixed(relation: str) -> None:
    made = PROOFS[relation]
    node = 32 * len(made.roots) + 32
    for data in (b"", made.data[:-1], made.data[:-32], made.data + b"\0", made.data + bytes(32)):
        fast, plain = made.verdicts(data)
        assert fast == "encoding" and plain in ("format", "columns")
    # A node more or less for each matrix is a possible length, but not for these positions.
    for data in (made.data + bytes(node), made.data[:-node]):
        fast, plain = made.verdicts(data)
        assert fast in ("columns", "encoding") and plain in ("format", "columns")


def _swapped(array: np.ndarray, i: int, j: int) -> np.ndarray:
    found = array.copy()
    found[[i, j]] = found[[j, i]]
    return found


@pytest.mark.parametrize("relation", PROOFS)
def test_the_order_of_a_proof_counts(relation: str) -> None:
    made = PROOFS[relation]
    for name in ("differences", "messages", "u", "q"):
        changed = made.changed(**{name: _swapped(getattr(made.proof, name), 0, 1)})
        assert all(changed.verdicts()), name
    for name, opening in made.proof.openings.items():
        for part in ("salts", "columns", "nodes"):
            other = replace(opening, **{part: _swapped(getattr(opening, part), 0, 1)})
            changed = made.changed(openings={**made.proof.openings, name: other})
            assert changed.verdicts() == ("columns", "columns"), (name, part)


def test_the_columns_of_one_matrix_are_not_those_of_another() -> None:
    made = PROOFS["accuracy"]
    openings = dict(made.proof.openings)
    assert openings["shard"].columns.shape[1] + 1 == openings["model"].columns.shape[1]
    for part in ("salts", "nodes"):
        other = replace(openings["model"], **{part: getattr(openings["shard"], part)})
        changed = made.changed(openings={**openings, "model": other})
        assert changed.verdicts() == ("columns", "columns")


def outputs(found: Outputs) -> Iterator[Outputs]:
    """Yield every count changed, alone or with what else must change to fit in the clear."""
    for name in ("per_class", "confusion", "groups"):
        table = getattr(found, name)
        for i, row in enumerate(table):
            for j, value in enumerate(row):
                new = (*row[:j], value + 1 if value < 3 else value - 1, *row[j + 1 :])
                yield replace(found, **{name: (*table[:i], new, *table[i + 1 :])})
    yield replace(found, correct=found.correct + 1)


def test_every_field_of_the_public_input_counts() -> None:
    made = PROOFS["accuracy"]
    public = made.public
    assert isinstance(public, AccuracyInput)
    changes = {
        "circuit": "0" * 64,
        "testset": "0" * 64,
        "shard": 1,
        "commitment": public.model,
        "model": public.commitment,
        "samples": 2,
        "context": "0" * 64,
    }
    assert {*changes, "outputs"} == {field.name for field in fields(public)}
    for name, value in changes.items():
        assert made.claiming(**{name: value}).verdicts() == ("sum", "columns"), name
    tried = 0
    for other in outputs(public.outputs):
        assert made.claiming(outputs=other).verdicts() in (
            ("sum", "columns"),  # for instance the total of a class
            ("outputs", "public"),
        )
        tried += 1
    assert tried == 3 * 2 + 3 * 3 + 2 * 2 + 1


def test_every_field_of_a_shards_public_input_counts() -> None:
    made = PROOFS["well-formed"]
    for change in ({"commitment": "0" * 64}, {"samples": 2}, {"samples": 4}):
        assert made.claiming(**change).verdicts() != ("", "")
        assert all(made.claiming(**change).verdicts()), change
    for change in ({"kappa": 10}, {"a": 1}):
        assert made.claiming(**change).verdicts()[0] == "statement"
        assert made.claiming(**change).verdicts()[1] == "public"


@pytest.mark.parametrize("samples", [0, -1, 5, True])
def test_a_number_of_samples_is_one(samples: object) -> None:
    for made in PROOFS.values():
        fast, plain = made.claiming(samples=samples).verdicts()
        assert fast == "samples" and plain


def test_a_proof_of_one_relation_is_none_of_another() -> None:
    """A well-formedness proof handed in as an accuracy proof, the other way round, and so on."""
    accuracy, shard, other = PROOFS["accuracy"], PROOFS["well-formed"], zoo().attack()
    for target, data in (
        (accuracy, shard.data),
        (shard, accuracy.data),
        (accuracy, other.data),
        (other, accuracy.data),
    ):
        assert target.verdicts(data)[0] == "encoding"
        assert target.verdicts(data)[1] in ("format", "columns")
    # Nor does the statement of one fit the relation of the other.
    crossed = replace(accuracy, public=shard.public)
    assert crossed.verdicts()[0] == "statement"


def test_other_metrics_make_another_relation() -> None:
    """The same proof, for a circuit that asks for less: the sizes differ, or the transcript."""
    made = PROOFS["accuracy"]
    for metrics in (
        replace(made.relation.metrics, per_class=False),
        replace(made.relation.metrics, confusion=False),
        replace(made.relation.metrics, groups=0),
    ):
        found = made.public.outputs
        asked = Outputs(
            found.correct,
            found.per_class if metrics.per_class else (),
            found.confusion if metrics.confusion else (),
            found.groups if metrics.groups else (),
        )
        bench = replace(MLP, metrics=metrics)
        other = replace(made, relation=bench.relation, public=replace(made.public, outputs=asked))
        assert all(other.verdicts())
