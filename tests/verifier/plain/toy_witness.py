"""Every slot and every leaf of a small case, listed from the definitions of sections 4 and 5.1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from circuits.integer import trace
from circuits.network import Architecture, MaxPool, Requantise, bounds, parameter_shapes, windows
from circuits.weights import Weights
from verifier.plain.relation import Metrics, Relation, ShardShape, accuracy, well_formed
from verifier.plain.tables import Limbs

Edit: TypeAlias = Callable[[Any], None] | None
"""What a dishonest prover changes in its witness before it commits to it."""


@dataclass(frozen=True)
class Case:
    """What is to be proven: a network with its weights, and a batch with its labels."""

    architecture: Architecture
    weights: Weights
    x: NDArray[np.int64]
    labels: list[int]
    a: int
    kappa: int = 9
    metrics: Metrics = field(default_factory=Metrics)
    groups: tuple[int, ...] = ()
    group_count: int = 0

    @property
    def shape(self) -> ShardShape:
        return ShardShape(
            kappa=self.kappa,
            a=self.a,
            samples=len(self.x),
            features=math.prod(self.architecture.input_shape),
            classes=self.architecture.classes,
            groups=self.group_count,
        )


class Slots:
    """What proofs of both relations have: the shard matrix, the leaves and the multiplicities."""

    def __init__(self, case: Case, relation: Relation) -> None:
        self.case, self.relation, self.size = case, relation, 1 << case.a
        self.named: dict[str, list[list[int]]] = {}
        self.leaves: list[list[tuple[int, int]]] = []
        x = np.zeros((self.size, *case.architecture.input_shape), dtype=np.int64)
        x[: len(case.x)] = case.x
        self.shard = [
            *x.reshape(self.size, -1).T.tolist(),
            *self.one_hot(case.labels, case.architecture.classes),
            *self.one_hot(case.groups, case.group_count),
        ]

    def one_hot(self, chosen: Sequence[int], count: int) -> list[list[int]]:
        padded = [*chosen, *[-1] * (self.size - len(chosen))]
        return [[int(value == c) for value in padded] for c in range(count)]

    def multiplicities(self) -> None:
        found: list[list[int]] = []
        self.tables: list[list[tuple[int, int, int]]] = []
        for tag, table in enumerate(self.relation.tables, 1):
            entries = [(v, table.image(v)) for v in range(table.lo, table.hi + 1)]
            place = {entry: i for i, entry in enumerate(entries)}
            counts = [0] * (-(-len(entries) // self.size) * self.size)
            first = 0
            for run in self.relation.lookups:
                for slot in self.leaves[first : first + run.slots] if run.table == table else ():
                    for pair in slot:
                        if pair in place:  # a dishonest witness looks up what is in no table
                            counts[place[pair]] += 1
                first += run.slots
            padded = entries + [entries[-1]] * (len(counts) - len(entries))
            for i in range(0, len(counts), self.size):
                found.append(counts[i : i + self.size])
                self.tables.append([(v, z, tag) for v, z in padded[i : i + self.size]])
        self.named["multiplicities"] = found


class WellFormedWitness(Slots):
    """What a proof of well-formedness commits and looks up (4.6)."""

    def __init__(self, case: Case, edit: Edit = None) -> None:
        super().__init__(case, well_formed(case.shape, case.architecture.input_format))
        if edit:
            edit(self)
        self.leaves = [[(v, 0) for v in row] for row in self.shard[: case.shape.features]]
        self.multiplicities()
        self.features = self.named["multiplicities"]


class Witness(Slots):
    """What a proof of accuracy commits and looks up."""

    def __init__(self, case: Case, edit: Edit = None) -> None:
        super().__init__(case, accuracy(case.architecture, case.shape, case.metrics))
        x = np.zeros((self.size, *case.architecture.input_shape), dtype=np.int64)
        x[: len(case.x)] = case.x
        self.tensors = {
            name: [[int(v) for v in row] for row in value]
            for name, value in trace(case.architecture, case.weights, x)
        }
        self._layers()
        self._margins()
        self.model = self._parameters()
        self.leaves = [slot for run in self.relation.lookups for slot in self._lookups(run)]
        self.multiplicities()
        if edit:
            edit(self)
        self.features = [feature for name in self._order() for feature in self.named[name]]

    def _parameters(self) -> list[int]:
        """Return the slots of the model matrix (3.6)."""
        size = 1 << self.case.kappa
        found = {"weight": list[int](), "bias": list[int]()}
        for name in parameter_shapes(self.case.architecture):
            kind = name.split(".")[1]
            found[kind] += [int(v) for v in self.case.weights[name].reshape(-1)]
        slots = []
        for values in found.values():
            slots += values + [0] * (-len(values) % size)
        return slots

    def outputs(self) -> dict[str, Any]:
        case, real = self.case, len(self.case.x)
        guesses = list(zip(*self.named["predictions"], strict=True))[:real]
        predicted = [guess.index(max(guess)) for guess in guesses]
        hits = [label == guess for label, guess in zip(case.labels, predicted, strict=True)]
        found: dict[str, Any] = {"correct": sum(hits)}

        def counts(of: Sequence[int], size: int) -> list[list[int]]:
            return [
                [sum(h for h, o in zip(hits, of, strict=True) if o == i), list(of).count(i)]
                for i in range(size)
            ]

        classes = range(case.architecture.classes)
        if case.metrics.per_class:
            found["per_class"] = counts(case.labels, len(classes))
        if case.metrics.groups:
            found["groups"] = counts(case.groups, case.group_count)
        if case.metrics.confusion:
            pairs = list(zip(case.labels, predicted, strict=True))
            found["confusion"] = [[pairs.count((i, j)) for j in classes] for i in classes]
        return found

    def _order(self) -> list[str]:
        layers = []
        for layer in self.case.architecture.layers:
            layers += [f"{layer.name}.{part}" for part in "zqu"]
        names = [*layers, "logits", "predictions", "largest", "limbs", "multiplicities"]
        return [name for name in names if name in self.named]

    def _layers(self) -> None:
        split = {run.source for run in self.relation.lookups if run.kind.name == "QUOTIENT"}
        for layer in self.case.architecture.layers:
            if isinstance(layer, Requantise):
                self.named[f"{layer.name}.z"] = self.tensors[layer.name]
                if layer.name in split:
                    self.named[f"{layer.name}.q"] = [
                        [(v + layer.half) >> layer.shift for v in row]
                        for row in self.tensors[layer.inputs[0]]
                    ]
            elif isinstance(layer, MaxPool):
                pairs = list(self._increments(layer))
                if pairs:
                    self.named[f"{layer.name}.u"] = [[u for _, u in slot] for slot in pairs]

    def _increments(self, layer: MaxPool) -> Iterator[list[tuple[int, int]]]:
        source = self.tensors[layer.inputs[0]]
        for window in windows(layer).reshape(-1, layer.fan_in).tolist():
            first, *others = [source[tap] for tap in window if tap >= 0]
            best = first
            for x in others:
                d = [m - v for m, v in zip(best, x, strict=True)]
                yield [(v, max(v, 0)) for v in d]
                best = [max(m, v) for m, v in zip(best, x, strict=True)]

    def _margins(self) -> None:
        logits = self.tensors[self.case.architecture.output]
        by_sample = list(zip(*logits, strict=True))
        guesses = [row.index(max(row)) for row in by_sample]
        bound = bounds(self.case.architecture)[self.case.architecture.output]
        self.limbs = Limbs.of(bound)
        mask = (1 << self.limbs.width) - 1
        margins = [
            [max(row) - row[c] - (guess > c) for row, guess in zip(by_sample, guesses, strict=True)]
            for c in range(len(logits))
        ]
        self.margins = [
            [[(v >> (self.limbs.width * i)) & mask for v in row] for row in margins]
            for i in range(self.limbs.count)
        ]
        self.named["logits"] = logits
        self.named["predictions"] = self.one_hot(guesses, len(logits))
        self.named["largest"] = [[max(row) for row in by_sample]]
        self.named["limbs"] = [row for limb in self.margins[1:] for row in limb]

    def _lookups(self, run: Any) -> list[list[tuple[int, int]]]:
        """Return (v0, v1) of a run of slots, by slot and sample."""
        kind, name = run.kind.name, str(run.source)
        if kind == "INCREMENT":
            layer = self.case.architecture.layer(name)
            assert isinstance(layer, MaxPool)
            return list(self._increments(layer))
        if kind == "LIMB":
            first, second = self.margins[run.source], None
        elif kind == "WEIGHT":
            flat = self.model[: run.slots * self.size]
            first = [flat[i : i + self.size] for i in range(0, len(flat), self.size)]
            second = None
        else:
            layer = self.case.architecture.layer(name)
            assert isinstance(layer, Requantise)
            source = self.tensors[layer.inputs[0]]
            second = self.tensors[name]
            if kind == "DIRECT":
                first = source
            elif kind == "QUOTIENT":
                first = self.named[f"{name}.q"]
            else:
                second = None
                mask = (1 << layer.shift) - 1
                first = [[(v + layer.half) & mask for v in row] for row in source]
        if second is None:
            second = [[0] * self.size for _ in first]
        return [list(zip(v, z, strict=True)) for v, z in zip(first, second, strict=True)]
