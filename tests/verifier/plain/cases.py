"""Cases that several tests prove, honestly and not."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.verifier.plain import networks
from tests.verifier.plain.toy_witness import Case, Edit
from verifier.plain import Metrics

ALL = Metrics(per_class=True, confusion=True, groups=True)
BATCHES = {
    "one sample": (1, 0, Metrics(), 0),
    "padded, all metrics": (3, 2, ALL, 2),
    "full, groups": (4, 2, Metrics(groups=True), 3),
    "padded, groups not asked for": (5, 3, Metrics(confusion=True), 1),
}


def case_of(name: str, batch: str) -> Case:
    samples, a, metrics, groups = BATCHES[batch]
    rng = np.random.default_rng(7)
    architecture = networks.ALL[name]()
    return Case(
        architecture,
        networks.random_weights(architecture, rng),
        rng.integers(0, 4, (samples, *architecture.input_shape)),
        rng.integers(0, architecture.classes, samples).tolist(),
        a,
        metrics=metrics,
        groups=tuple(rng.integers(0, groups, samples).tolist()) if groups else (),
        group_count=groups,
    )


def shift(name: str, row: int, by: int, sample: int = 0) -> Edit:
    """Return a change of one slot of the proof matrix."""

    def edit(witness: Any) -> None:
        witness.named[name][row][sample] += by

    return edit


def shift_logits(*by: int) -> Edit:
    """Return a change of the logits of all samples, with the margins that belong to them."""

    def edit(witness: Any) -> None:
        named = witness.named
        shifted = [[v - k for v in row] for row, k in zip(named["logits"], by, strict=True)]
        guesses = [column.index(max(column)) for column in zip(*shifted, strict=True)]
        named["logits"], named["largest"] = shifted, [list(map(max, zip(*shifted, strict=True)))]
        named["predictions"] = witness.one_hot(guesses, len(by))

    return edit


def wider_weight(witness: Any) -> None:
    witness.model[0] = 4


LIES: dict[str, Edit] = {
    "activation": shift("q1.z", 1, 1),
    "quotient": shift("q1.q", 1, 1),
    "logit": shift("logits", 0, 1, 2),
    "all logits alike": shift_logits(1, 1, 1),
    "logits by class": shift_logits(5, 0, -3),
    "prediction of a padded sample": shift("predictions", 0, 1, 3),
    "two predictions": shift("predictions", 1, 1),
    "a prediction of -1": shift("predictions", 2, -1),
    "largest logit": shift("largest", 0, 1),
    "multiplicity": shift("multiplicities", 0, 1),
    "weight out of range": wider_weight,
}


def set_slots(value: int, sample: int, *features: int) -> Edit:
    def edit(witness: Any) -> None:
        for feature in features:
            witness.shard[feature][sample] = value

    return edit


MALFORMED: dict[str, Edit] = {
    "input out of range": set_slots(4, 0, 0),
    "negative input": set_slots(-1, 2, 3),
    "input of a padded sample": set_slots(1, 3, 1),
    "label of a padded sample": set_slots(1, 3, 4),
    "three labels": set_slots(1, 0, 4, 5, 6),
    "no label": set_slots(0, 1, 4, 5, 6),
    "label 5": set_slots(5, 0, 5),
    "two groups": set_slots(1, 0, 7, 8),
    "group of a padded sample": set_slots(1, 3, 8),
}
