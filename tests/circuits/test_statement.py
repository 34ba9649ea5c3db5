"""The statement and the context: one encoding each, and nothing that contradicts itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.encoding import canonical_json
from circuits.errors import CorruptedArtefact, WrongVersion
from circuits.statement import Context, Statement

digests = st.binary(min_size=32, max_size=32).map(bytes.hex)


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    counts = tuple(draw(st.lists(st.integers(0, 2**40), max_size=5)))
    return Statement(
        backend=draw(st.sampled_from(["halo2", "sumcheck"])),
        circuit=draw(digests), model=draw(digests), testset=draw(digests),
        samples=sum(counts) + draw(st.integers(0, 2**40)), correct=sum(counts),
        shard_correct=counts, context=draw(digests),
    )  # fmt: skip


contexts = st.builds(
    Context, digests, digests, st.integers(0, 2**32 - 1),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)  # fmt: skip

EXAMPLE = Statement(
    "halo2", "aa" * 32, "bb" * 32, "cc" * 32, samples=9, correct=6, shard_correct=(4, 2),
    context="dd" * 32,
)  # fmt: skip


@given(statements())
def test_round_trip(statement: Statement) -> None:
    data = statement.encode()
    found = Statement.decode(data)
    assert (found, found.encode(), found.digest) == (statement, data, statement.digest)


@given(statements(), statements())
def test_digest_names_one_statement(one: Statement, two: Statement) -> None:
    assert (one.digest == two.digest) == (one == two)


def test_digests_are_stable() -> None:
    assert EXAMPLE.digest == STATEMENT
    assert Context("11" * 32, "22" * 32, 7, "ledger.example").digest == CONTEXT


STATEMENT = "d3584f6bad3ca4c7b157ea81021220b21a3801a93b055b161343038d7f5e788c"
CONTEXT = "aebc3e796965627bfa27351c3e27893e71d5e3a4a230e8e555df37f5198b0bea"


@pytest.mark.parametrize(
    "change",
    [
        {"backend": "sumcheck"}, {"circuit": "ab" * 32}, {"model": "ab" * 32},
        {"testset": "ab" * 32}, {"samples": 10}, {"shard_correct": (2, 4)},
        {"correct": 7, "shard_correct": (4, 3)}, {"context": "ab" * 32},
    ],
)  # fmt: skip
def test_digest_binds_every_field(change: dict[str, Any]) -> None:
    assert replace(EXAMPLE, **change).digest != EXAMPLE.digest


@pytest.mark.parametrize(
    "change",
    [
        {"circuit": "AA" * 32}, {"circuit": "aa" * 31}, {"model": "zz" * 32}, {"model": None},
        {"testset": 5}, {"context": ""}, {"correct": 7}, {"correct": 5},
        {"shard_correct": (4, 3)}, {"shard_correct": ()}, {"samples": 5}, {"samples": -9},
        {"samples": True}, {"samples": 2**53}, {"correct": 6.0}, {"shard_correct": (7, -1)},
        {"shard_correct": (True, 5)}, {"shard_correct": ("4", "2")},
    ],
)  # fmt: skip
def test_contradictions_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptedArtefact):
        replace(EXAMPLE, **change)


def tampered(**change: Any) -> bytes:
    value = {**EXAMPLE.to_dict(), **change}
    return canonical_json({name: item for name, item in value.items() if item is not ...})


@pytest.mark.parametrize("name", [n for n in EXAMPLE.to_dict() if n != "version"])
def test_missing_field_is_named(name: str) -> None:
    with pytest.raises(CorruptedArtefact, match=name):
        Statement.decode(tampered(**{name: ...}))


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1}, {"version": True}, {"shard_correct": "42"}, {"shard_correct": 6},
        {"shard_correct": {"4": 1}}, {"shard_correct": [[4], [2]]}, {"shard_correct": None},
        {"samples": "9"}, {"correct": None}, {"circuit": ["aa" * 32]}, {"shard_correct": [6.5]},
    ],
)  # fmt: skip
def test_tampered_statement_is_refused(change: dict[str, Any]) -> None:
    try:
        data = tampered(**change)
    except TypeError:
        data = json.dumps({**EXAMPLE.to_dict(), **change}, sort_keys=True).encode()
    with pytest.raises((CorruptedArtefact, WrongVersion)):
        Statement.decode(data)


@pytest.mark.parametrize("backend", [5, None, {}, [], "", "Halo2", "plonk"])
def test_backend_is_one_of_two(backend: Any) -> None:
    with pytest.raises(CorruptedArtefact):
        Statement.decode(tampered(backend=backend))


@pytest.mark.parametrize("version", [0, 2, "1", None, ...])
def test_other_version_is_named(version: Any) -> None:
    with pytest.raises(WrongVersion, match="this tool reads 1"):
        Statement.decode(tampered(version=version))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"1", b'"statement"'])
def test_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptedArtefact):
        Statement.decode(data)


# --- context


@given(contexts, contexts)
def test_context_digest_names_one_context(one: Context, two: Context) -> None:
    assert (one.digest == two.digest) == (one == two)
    assert len(bytes.fromhex(one.digest)) == 32


@pytest.mark.parametrize(
    "change",
    [{"submitter": "33" * 32}, {"task": "33" * 32}, {"round": 8}, {"origin": "other"}],
)
def test_context_binds_every_field(change: dict[str, Any]) -> None:
    context = Context("11" * 32, "22" * 32, 7, "ledger.example")
    assert replace(context, **change).digest != context.digest


@pytest.mark.parametrize(
    "change",
    [
        {"submitter": "11" * 31}, {"submitter": "XX" * 32}, {"submitter": b"11" * 32},
        {"task": ""}, {"task": None}, {"round": -1}, {"round": 2**32}, {"round": True},
        {"round": 1.0}, {"round": "1"},
    ],
)  # fmt: skip
def test_malformed_context_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptedArtefact):
        replace(Context("11" * 32, "22" * 32, 7, ""), **change)


@pytest.mark.parametrize("origin", [5, None, b"x", "\ud800"])
def test_origin_is_text(origin: Any) -> None:
    with pytest.raises(CorruptedArtefact):
        Context("11" * 32, "22" * 32, 7, origin)


# --- tables

TABLES = replace(
    EXAMPLE,
    backend="sumcheck",
    per_class=((3, 4), (2, 3), (1, 2)),
    confusion=((3, 1, 0), (0, 2, 1), (1, 0, 1)),
    groups=((6, 7), (0, 2)),
)


def test_tables_round_trip_and_change_nothing_where_they_are_empty() -> None:
    assert Statement.decode(TABLES.encode()) == TABLES
    assert "groups" not in EXAMPLE.to_dict()
    for name in ("per_class", "confusion", "groups"):
        assert replace(TABLES, **{name: ()}).digest != TABLES.digest


@pytest.mark.parametrize(
    "change",
    [
        {"per_class": ((3, 4), (2, 3), (0, 2))}, {"per_class": ((3, 4), (2, 3), (1, 1))},
        {"per_class": ((2, 4), (3, 3), (1, 2))}, {"per_class": ((3, 4, 0), (2, 3, 0), (1, 2, 0))},
        {"confusion": ((3, 1, 0), (0, 2, 1))}, {"confusion": ((3, 1), (0, 2), (1, 0))},
        {"confusion": ((3, 0, 1), (1, 2, 0), (2, 0, 0)), "per_class": ()},
        {"confusion": ((3, 1, 0), (0, 2, 1), (0, 0, 1)), "per_class": ()},
        {"groups": ((6, 8), (0, 2))}, {"groups": ((7, 7), (0, 2))}, {"groups": ((6, 9),) * 2},
        {"groups": ((6.0, 7), (0, 2))}, {"groups": ((True, 7), (5, 2))},
        {"groups": ((-1, 7), (7, 2))}, {"groups": [(6, 7), (0, 2)]}, {"groups": ([6, 7], [0, 2])},
        {"groups": ((6,), (0,))},
    ],
)  # fmt: skip
def test_tables_that_contradict_the_counts_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptedArtefact):
        replace(TABLES, **change)


@pytest.mark.parametrize("value", [[], None, 5, "x", [[6, 7], 2], {"6": 7}])
def test_malformed_tables_are_refused(value: Any) -> None:
    data = canonical_json({**TABLES.to_dict(), "groups": value})
    with pytest.raises(CorruptedArtefact):
        Statement.decode(data)
