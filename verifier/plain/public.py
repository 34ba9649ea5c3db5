"""Step 1 of section 5.2: the public input that a proof is bound to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from circuits.encoding import DIGEST_BYTES, is_hex
from circuits.errors import ProofRejected
from verifier.plain.relation import Metrics, ShardShape

_BOTH = {"protocol": "zkpot-sumcheck", "version": 1}
_ACCURACY_DIGESTS = ("circuit", "testset", "commitment", "model", "context")


def check_accuracy(public: Mapping[str, Any], shape: ShardShape, metrics: Metrics) -> None:
    """Refuse a public input of another form, or that disagrees with shard and metrics."""
    known = {**_BOTH, "relation": "accuracy", "samples": shape.samples}
    _check(public, known, _ACCURACY_DIGESTS, ("shard", "outputs"))
    _require(_is_count(public["shard"]), "the index of the shard")
    _check_outputs(public["outputs"], shape, metrics)


def check_well_formed(public: Mapping[str, Any], shape: ShardShape) -> None:
    """Refuse a public input of another form, or that disagrees with the shard."""
    known = {
        **_BOTH,
        "relation": "well-formed",
        "kappa": shape.kappa,
        "a": shape.a,
        "samples": shape.samples,
    }
    _check(public, known, ("commitment",), ())


def _check(
    public: Mapping[str, Any],
    known: Mapping[str, Any],
    digests: tuple[str, ...],
    others: tuple[str, ...],
) -> None:
    fields = {*known, *digests, *others}
    _require(isinstance(public, dict) and public.keys() == fields, "its fields")
    for name, value in known.items():
        # The exact type, because True is 1.
        _require(type(public[name]) is type(value) and public[name] == value, name)
    for name in digests:
        _require(is_hex(public[name], DIGEST_BYTES), name)


def _check_outputs(outputs: Any, shape: ShardShape, metrics: Metrics) -> None:
    """Check the counts in the clear: each is 0 .. n, and `correct` is what the others say."""
    asked = {
        "per_class": (metrics.per_class, shape.classes, 2),
        "confusion": (metrics.confusion, shape.classes, shape.classes),
        "groups": (metrics.groups, shape.groups, 2),
    }
    wanted = {name: size for name, (wants, *size) in asked.items() if wants}
    fields = {"correct", *wanted}
    _require(isinstance(outputs, dict) and outputs.keys() == fields, "its outputs")
    correct = outputs["correct"]
    _require(_is_count(correct, shape.samples), "correct")
    for name, (rows, width) in wanted.items():
        table = outputs[name]
        _require(_is_list(table, rows), name)
        for row in table:
            _require(_is_list(row, width), name)
            _require(all(_is_count(count, shape.samples) for count in row), name)
    if metrics.per_class:
        _require(sum(row[0] for row in outputs["per_class"]) == correct, "the sum of per_class")
    if metrics.confusion:
        trace = sum(row[i] for i, row in enumerate(outputs["confusion"]))
        _require(trace == correct, "the trace of confusion")


def _is_list(value: object, size: int) -> bool:
    return isinstance(value, list) and len(value) == size


def _is_count(value: object, most: int = (1 << 53) - 1) -> bool:
    return type(value) is int and 0 <= value <= most


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ProofRejected("public", f"the public input does not fit: {what}")
