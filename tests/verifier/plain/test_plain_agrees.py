"""Two verifiers, two provers: each verifier accepts what either prover makes, and both reject
every change of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from circuits.errors import ProofRejected
from circuits.sumcheck.commitment import commit, feature_rows
from circuits.sumcheck.field_arrays import from_signed
from circuits.sumcheck.public import AccuracyInput, Outputs, WellFormedInput
from circuits.sumcheck.public import Metrics as FastMetrics
from circuits.sumcheck.relation import Relation, accuracy, well_formed
from prover.sumcheck.shard import prove_shard, prove_well_formed
from tests.verifier.plain import networks, toy_prover
from tests.verifier.plain.cases import BATCHES, LIES, MALFORMED, case_of
from tests.verifier.plain.toy_witness import Case, Witness
from verifier import plain
from verifier.sumcheck import shard as fast


@dataclass(frozen=True)
class Given:
    """What both verifiers are given."""

    case: Case
    public: dict[str, Any]
    roots: dict[str, bytes]
    proof: bytes

    @property
    def is_accuracy(self) -> bool:
        return "outputs" in self.public

    def relation(self) -> Relation:
        case = self.case
        groups, metrics = case.group_count, case.metrics
        if not self.is_accuracy:
            shape = case.shape
            return well_formed(
                case.architecture.input_format,
                shape.features,
                shape.classes,
                groups,
                case.a,
                case.kappa,
            )
        wanted = FastMetrics(metrics.per_class, metrics.confusion, groups * metrics.groups)
        return accuracy(case.architecture, case.a, case.kappa, wanted, groups)


def by_plain(given: Given) -> None:
    case = given.case
    common: dict[str, Any] = {
        "shape": case.shape,
        "public": given.public,
        "shard_root": given.roots["shard"],
        "proof": given.proof,
    }
    if given.is_accuracy:
        plain.verify_shard(
            case.architecture, metrics=case.metrics, model_root=given.roots["model"], **common
        )
    else:
        plain.verify_well_formed(input_format=case.architecture.input_format, **common)


def by_fast(given: Given) -> None:
    fast.verify_shard(given.relation(), fast_public(given.public), given.roots, given.proof)


def fast_public(public: dict[str, Any]) -> AccuracyInput | WellFormedInput:
    fields = {name: public[name] for name in public.keys() - {"protocol", "version", "relation"}}
    if "outputs" not in public:
        return WellFormedInput(**fields)
    tables = {
        name: table if name == "correct" else tuple(tuple(row) for row in table)
        for name, table in fields.pop("outputs").items()
    }
    return AccuracyInput(**fields, outputs=Outputs(**tables))


def check_of(verify: Callable[[Given], None], given: Given) -> str:
    """Return the name of the check that fails, or "accepted"."""
    try:
        verify(given)
    except ProofRejected as error:
        return error.check
    return "accepted"


def by_fast_prover(case: Case, *, accuracy_proof: bool = True) -> Given:
    witness = Witness(case)
    public: dict[str, Any] = {
        "protocol": "zkpot-sumcheck",
        "version": 1,
        "commitment": "12" * 32,
        "samples": len(case.x),
    }
    if accuracy_proof:
        public |= {
            "relation": "accuracy",
            **dict.fromkeys(("circuit", "testset", "context", "model"), "ab" * 32),
            "shard": 2,
            "outputs": {"correct": 0},
        }
    else:
        public |= {"relation": "well-formed", "kappa": case.kappa, "a": case.a}
    relation = Given(case, public, {}, b"").relation()
    shard = commit(feature_rows(np.array(witness.shard), relation.profile), bytes(32))
    if not accuracy_proof:
        statement = fast_public(public)
        assert isinstance(statement, WellFormedInput)
        return Given(
            case, public, {"shard": shard.root}, prove_well_formed(relation, statement, shard)
        )
    flat = np.array(witness.model).reshape(-1, relation.profile.row_slots)
    model = commit(from_signed(flat), b"\1" * 32)
    statement = fast_public(public)
    assert isinstance(statement, AccuracyInput)
    groups = np.array(case.groups) if case.groups else None
    labels = np.array(case.labels)
    outputs, proof = prove_shard(
        relation, statement, shard, model, case.x, labels, groups, case.weights
    )
    public["outputs"] = outputs.to_dict()
    assert public["outputs"] == witness.outputs()
    return Given(case, public, {"shard": shard.root, "model": model.root}, proof)


def by_toy_prover(case: Case, **lies: Any) -> Given:
    made = toy_prover.prove(case, **lies)
    return Given(case, made.public, made.roots, made.data)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", networks.ALL)
def test_honest_proofs(name: str, batch: str) -> None:
    given = by_fast_prover(case_of(name, batch))
    assert check_of(by_plain, given) == check_of(by_fast, given) == "accepted"


@pytest.mark.parametrize("batch", BATCHES)
def test_honest_shards(batch: str) -> None:
    given = by_fast_prover(case_of("convolution", batch), accuracy_proof=False)
    assert check_of(by_plain, given) == check_of(by_fast, given) == "accepted"


@pytest.mark.parametrize("name", networks.ALL)
def test_honest_proofs_of_the_toy_prover(name: str) -> None:
    given = by_toy_prover(case_of(name, "padded, all metrics"))
    assert check_of(by_plain, given) == check_of(by_fast, given) == "accepted"


@pytest.fixture(scope="module")
def proven() -> Given:
    return by_fast_prover(case_of("residual", "padded, all metrics"))


@pytest.fixture(scope="module")
def proven_shard() -> Given:
    return by_fast_prover(case_of("residual", "padded, all metrics"), accuracy_proof=False)


def both_reject(given: Given) -> None:
    found = check_of(by_plain, given), check_of(by_fast, given)
    assert "accepted" not in found


def parts(given: Given) -> Iterator[tuple[str, int, int]]:
    """Yield every part of a proof, by name, first byte and length (6.6)."""
    relation = given.relation()
    profile, shape = relation.profile, relation.shape
    opened, size = profile.opened, 1 << profile.kappa
    sizes = {
        "root": 32,
        "differences": 16 * len(relation.schedule.products),
        "messages": 16 * shape.messages,
        "u": 16 * (size + size // 2),
        "q": 16 * (2 * size + size // 2 - 1),
    }
    at = 0
    for name, length in sizes.items():
        yield name, at, length
        at += length
    columns = {name: opened * (32 + 8 * relation.rows[name]) for name in given.roots}
    columns["proof"] = opened * (32 + 8 * relation.rows["proof"])
    nodes = (len(given.proof) - at - sum(columns.values())) // len(columns)
    for name, length in columns.items():
        yield f"{name} columns", at, length
        yield f"{name} nodes", at + length, nodes
        at += length + nodes
    assert at == len(given.proof)


def changes(data: bytes, start: int, length: int) -> Iterator[bytes]:
    """Yield a proof with one part changed in several ways, its length kept."""
    part = data[start : start + length]
    middle, end = length // 2 // 16 * 16, length // 16 * 16 - 16
    for place in (0, middle + 8, length - 1):
        yield part[:place] + bytes([part[place] ^ 1]) + part[place + 1 :]
        yield part[:place] + bytes([part[place] ^ 128]) + part[place + 1 :]
    for place in (0, end):  # not below p, and all zero
        yield part[:place] + b"\xff" * 16 + part[place + 16 :]
        yield part[:place] + bytes(16) + part[place + 16 :]
    yield part[16:32] + part[:16] + part[32:]
    yield part[::-1]


@pytest.mark.parametrize(
    "name",
    ["root", "differences", "messages", "u", "q"]
    + [
        f"{matrix} {what}"
        for matrix in ("shard", "model", "proof")
        for what in ("columns", "nodes")
    ],
)
@pytest.mark.parametrize("relation", ["proven", "proven_shard"])
def test_no_byte_may_change(relation: str, name: str, request: pytest.FixtureRequest) -> None:
    given: Given = request.getfixturevalue(relation)
    for part, start, length in parts(given):
        if part != name:
            continue
        for changed in changes(given.proof, start, length):
            data = given.proof[:start] + changed + given.proof[start + length :]
            if data != given.proof:
                both_reject(replace(given, proof=data))


def test_random_bits(proven: Given) -> None:
    rng = np.random.default_rng(11)
    for place in rng.integers(0, 8 * len(proven.proof), 30).tolist():
        data = bytearray(proven.proof)
        data[place // 8] ^= 1 << place % 8
        both_reject(replace(proven, proof=bytes(data)))


def test_no_other_length(proven: Given) -> None:
    data = proven.proof
    for other in (b"", data[:40], data[:-32], data[:-1], data + b"\0", data + data[-32:], 2 * data):
        both_reject(replace(proven, proof=other))


def test_elements_have_one_form(proven: Given) -> None:
    """A message below 2^32 - 1 could be written as itself plus p; no such word is accepted."""
    for part, start, length in parts(proven):
        if part in ("messages", "u", "q", "shard columns"):
            end = start + length
            places = [
                i for i in range(start, end - 7, 8) if proven.proof[i + 4 : i + 8] == bytes(4)
            ]
            for place in places[:1]:
                word = (
                    int.from_bytes(proven.proof[place : place + 8], "little")
                    + (1 << 64)
                    - (1 << 32)
                    + 1
                )
                data = proven.proof[:place] + word.to_bytes(8, "little") + proven.proof[place + 8 :]
                both_reject(replace(proven, proof=data))


STATEMENTS: dict[str, Callable[[dict[str, Any]], object]] = {
    **{
        name: lambda public, name=name: public.update({name: "cd" * 32})  # type: ignore[misc]
        for name in ("circuit", "testset", "commitment", "model", "context")
    },
    "shard": lambda public: public.update(shard=3),
    "samples": lambda public: public.update(samples=2),
    "more samples": lambda public: public.update(samples=4),
    "correct": lambda public: public["outputs"].update(correct=public["outputs"]["correct"] ^ 1),
    "correct below zero": lambda public: public["outputs"].update(correct=-1),
    "correct as bool": lambda public: public["outputs"].update(correct=True),
    "totals swapped": lambda public: public["outputs"]["groups"].reverse(),
    "confusion transposed": lambda public: public["outputs"].update(
        confusion=[list(row) for row in zip(*public["outputs"]["confusion"], strict=True)]
    ),
    "a class missing": lambda public: public["outputs"]["per_class"].pop(),
    "no groups": lambda public: public["outputs"].pop("groups"),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_nothing_said_may_change(proven: Given, name: str) -> None:
    public = copy.deepcopy(proven.public)
    STATEMENTS[name](public)
    assert public != proven.public
    both_reject(replace(proven, public=public))


@pytest.mark.parametrize(
    "change", [{"commitment": "cd" * 32}, {"samples": 2}, {"a": 3}, {"kappa": 10}]
)
def test_nothing_said_of_a_shard_may_change(proven_shard: Given, change: dict[str, Any]) -> None:
    both_reject(replace(proven_shard, public={**proven_shard.public, **change}))


def test_no_proof_for_another_circuit_or_root(proven: Given) -> None:
    case = proven.case
    for other in (
        replace(case, metrics=plain.Metrics(per_class=True, confusion=True)),
        replace(case, architecture=replace(case.architecture, weight_bits=4)),
        replace(case, a=3),
        replace(case, kappa=10),
    ):
        both_reject(replace(proven, case=other))
    for name in proven.roots:
        both_reject(replace(proven, roots={**proven.roots, name: bytes(32)}))


@pytest.mark.parametrize("lie", LIES)
def test_lies_fail_by_the_same_check(lie: str) -> None:
    given = by_toy_prover(case_of("dense", "padded, all metrics"), edit=LIES[lie])
    assert check_of(by_plain, given) == check_of(by_fast, given) == "sum"


@pytest.mark.parametrize("flaw", MALFORMED)
def test_flaws_of_shards_fail_by_the_same_check(flaw: str) -> None:
    case = case_of("dense", "padded, all metrics")
    made = toy_prover.prove_well_formed(case, edit=MALFORMED[flaw])
    given = Given(case, made.public, made.roots, made.data)
    assert check_of(by_plain, given) == check_of(by_fast, given) == "sum"


@pytest.mark.parametrize(
    ("spoil", "check"),
    [(("u", 5), "proximity"), (("q", 5), "linear"), (("q", 0), "sum"), (("q", 1024), "sum")],
)
def test_wrong_polynomials_fail_by_the_same_check(spoil: tuple[str, int], check: str) -> None:
    given = by_toy_prover(case_of("max_pool", "one sample"), spoil=spoil)
    assert check_of(by_plain, given) == check_of(by_fast, given) == check
