"""The public input is held against the shard, the metrics and itself."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from circuits.errors import ProofRejected
from verifier.plain.public import check_accuracy, check_well_formed
from verifier.plain.relation import Metrics, ShardShape

SHAPE = ShardShape(9, 3, 5, 4, 2, 1)
ALL = Metrics(per_class=True, confusion=True, groups=True)
GOOD: dict[str, Any] = {
    "protocol": "zkpot-sumcheck",
    "version": 1,
    "relation": "accuracy",
    **dict.fromkeys(("circuit", "testset", "commitment", "model", "context"), "0a" * 32),
    "shard": 3,
    "samples": 5,
    "outputs": {
        "correct": 3,
        "per_class": [[1, 3], [2, 2]],
        "confusion": [[1, 2], [0, 2]],
        "groups": [[3, 5]],
    },
}
WELL_FORMED: dict[str, Any] = {
    "protocol": "zkpot-sumcheck",
    "version": 1,
    "relation": "well-formed",
    "kappa": 9,
    "a": 3,
    "commitment": "0a" * 32,
    "samples": 5,
}

CHANGES: dict[str, Callable[[Any], object]] = {
    "missing field": lambda p: p.pop("context"),
    "unknown field": lambda p: p.update(more=1),
    "version as bool": lambda p: p.update(version=True),
    "other version": lambda p: p.update(version=2),
    "other relation": lambda p: p.update(relation="well-formed"),
    "other samples": lambda p: p.update(samples=4),
    "short digest": lambda p: p.update(model="0a"),
    "upper-case digest": lambda p: p.update(model="0A" * 32),
    "negative shard": lambda p: p.update(shard=-1),
    "outputs no object": lambda p: p.update(outputs=[]),
    "metric not asked for": lambda p: p["outputs"].update(more=[]),
    "metric missing": lambda p: p["outputs"].pop("groups"),
    "count as bool": lambda p: p["outputs"]["groups"].__setitem__(0, [True, 5]),
    "count below 0": lambda p: p["outputs"]["groups"].__setitem__(0, [-1, 5]),
    "count above n": lambda p: p["outputs"]["groups"].__setitem__(0, [3, 6]),
    "row too long": lambda p: p["outputs"]["groups"].__setitem__(0, [3, 5, 0]),
    "row missing": lambda p: p["outputs"]["per_class"].pop(),
    "correct not the sum of per_class": lambda p: p["outputs"]["per_class"][0].__setitem__(0, 2),
    "correct not the trace of confusion": lambda p: p["outputs"]["confusion"][1].__setitem__(1, 1),
}


def test_good_ones_pass() -> None:
    check_accuracy(GOOD, SHAPE, ALL)
    check_accuracy({**GOOD, "outputs": {"correct": 5}}, SHAPE, Metrics())
    check_well_formed(WELL_FORMED, SHAPE)


@pytest.mark.parametrize("name", CHANGES)
def test_changed_ones_are_refused(name: str) -> None:
    changed = copy.deepcopy(GOOD)
    CHANGES[name](changed)
    with pytest.raises(ProofRejected, match="public"):
        check_accuracy(changed, SHAPE, ALL)


@pytest.mark.parametrize("change", [{"a": 2}, {"kappa": 10}, {"samples": 6}, {"model": "0a" * 32}])
def test_changed_well_formed_ones_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProofRejected, match="public"):
        check_well_formed({**WELL_FORMED, **change}, SHAPE)
