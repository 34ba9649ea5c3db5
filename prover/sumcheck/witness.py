"""The secret values of a proof: what a network does with a shard's samples (docs/protocol.md, 4).

All that is looked up lies in two arrays with a row for each lookup slot. Most committed features
are rows of them and are stored nowhere else. No table has more than 2^22 entries, so that 32 bits
hold a value.
"""

from __future__ import annotations

from typing import TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from circuits.errors import WorkerFailed
from circuits.forward import batches
from circuits.integer import predict, trace
from circuits.layers import INPUT, Layer, MaxPool, Requantise
from circuits.sumcheck.field_jit import MODULUS, IntegerArray, U64Array
from circuits.sumcheck.layout import Block
from circuits.sumcheck.pooling import taps
from circuits.sumcheck.public import Metrics, Outputs
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.slots import Kind
from circuits.weights import Weights
from prover.sumcheck.lookups import Leaves
from prover.sumcheck.witness_kernels import count, increments

_Values: TypeAlias = NDArray[np.signedinteger]
_MOST = np.iinfo(np.int32).max


class Witness:
    """What is looked up and what is committed. Printed, it shows no secret.

    Made by `run_network` and `look_up_inputs`.

    Attributes
    ----------
    lookups, tables : Leaves
        The leaves of section 5.1.
    logits : int64 array [classes, 2^a]
        A of section 4.4. It and the next two are empty for "well-formed".
    predictions : uint8 array [classes, 2^a]
        P.
    maximum : int64 array [1, 2^a]
        M.
    """

    def __init__(self, relation: Relation) -> None:
        size, first_table = 1 << relation.a, relation.table_slots[0].start
        self._relation = relation
        self._spans: dict[tuple[Kind, str], slice] = {}
        for item in relation.lookups:
            start = self._spans.get((item.kind, item.layer), item.span).start
            self._spans[item.kind, item.layer] = slice(start, item.span.stop)
        tags = np.concatenate([np.full(item.count, item.tag) for item in relation.lookups])
        first, second = (np.zeros((first_table, size), np.int32) for _ in range(2))
        self.lookups = Leaves(first, second, tags)
        self.tables = _tables(relation)
        self.logits = np.zeros((0, size), np.int64)
        self.predictions = np.zeros((0, size), np.uint8)
        self.maximum = np.zeros((0, size), np.int64)

    def first(self, kind: Kind, layer: str = "") -> NDArray[np.int32]:
        """Return v0 of the slots of one kind (section 5.1), [slots, 2^a], to be written to."""
        return self.lookups.first[self._spans.get((kind, layer), slice(0, 0))]

    def second(self, kind: Kind, layer: str = "") -> NDArray[np.int32]:
        """Return v1 of the slots of one kind."""
        return self.lookups.second[self._spans.get((kind, layer), slice(0, 0))]

    def output(self, layer: str) -> NDArray[np.int32]:
        """Return z of a Requantise, [elements, 2^a]."""
        return self.second("direct" if ("direct", layer) in self._spans else "quotient", layer)

    def feature(self, block: Block) -> IntegerArray:
        """Return the features of a block of the proof matrix, pads excepted (section 4.5)."""
        classes = self._relation.shard.classes
        if block.role == "output":
            return self.output(block.layer)
        if block.role == "quotient":
            return self.first("quotient", block.layer)
        if block.role == "increments":
            return self.second("increment", block.layer)
        if block.role == "limbs":
            return self.first("limb")[classes:]
        counts = self.tables.multiplicities
        assert counts is not None
        found: dict[str, IntegerArray] = {
            "logits": self.logits,
            "predictions": self.predictions,
            "maximum": self.maximum,
            "multiplicities": counts,
        }
        return found[block.role]

    def count(self) -> None:
        """Count how often each entry of each table is looked up.

        Raises
        ------
        WorkerFailed
            If a value is in no table. Tables are as wide as the bounds of the network, so this
            would be a fault of the program.
        """
        relation, counts = self._relation, self.tables.multiplicities
        assert counts is not None
        first_table = relation.table_slots[0].start
        for table, entries in zip(relation.tables, relation.table_slots, strict=True):
            slots = slice(entries.start - first_table, entries.span.stop - first_table)
            found = counts[slots].reshape(-1)[: table.entries]
            for item in relation.lookups:
                if item.tag == entries.tag:
                    values = self.lookups.first[item.span]
                    # A count of its own for every thread, where values outnumber entries.
                    parts = max(1, min(numba.get_num_threads(), values.size // table.entries))
                    partial = np.zeros((parts, table.entries), np.int32)
                    if count(values, table.lo, partial):
                        raise WorkerFailed(f"a value of {item.layer or item.kind!r} is in no table")
                    found += partial.sum(axis=0)


def run_network(relation: Relation, weights: Weights, inputs: IntegerArray) -> Witness:
    """Return the witness of the relation "accuracy".

    Parameters
    ----------
    relation : Relation
    weights : Weights
        Of its network.
    inputs : integer array [samples, *input_shape]
        The real samples of the shard; zero inputs follow them, up to 2^a.
    """
    network, found = relation.architecture, Witness(relation)
    assert network is not None
    layers = {layer.name: layer for layer in network.layers}
    # What is looked up is known once the layer has an output; until then its input is held.
    last_reader = {
        name: layer.name
        for layer in network.layers
        if isinstance(layer, Requantise | MaxPool)
        for name in layer.inputs
    }
    found.logits = np.zeros((network.classes, 1 << relation.a), np.int64)
    for part in batches(network.input_shape, network.layers, 1 << relation.a):
        batch = _padded(inputs[part], part.stop - part.start)
        held: dict[str, _Values] = {}
        for name, value in trace(network, weights, batch):
            if name != INPUT:
                _look_up(found, layers[name], held, value, part)
            if name in last_reader:
                held[name] = value
            for other in [other for other in held if last_reader[other] == name]:
                del held[other]
            if name == network.output:
                found.logits[:, part] = value
    flat = found.first("weight").reshape(-1)
    parameters = [weights[f"{item.layer.name}.weight"].reshape(-1) for item in relation.linear]
    flat[: sum(map(len, parameters))] = np.concatenate(parameters)
    _predict(found, relation)
    found.count()
    return found


def look_up_inputs(relation: Relation, inputs: U64Array) -> Witness:
    """Return the witness of the relation "well-formed" (section 4.6).

    Parameters
    ----------
    relation : Relation
    inputs : uint64 array [features, 2^a]
        X, as committed.
    """
    found = Witness(relation)
    signed = inputs.astype(np.int64)
    # The word of v < 0 is v + p, and int64 made it v + p - 2^64.
    signed[signed < 0] -= MODULUS - (1 << 64)
    if signed.max() > _MOST or signed.min() < -_MOST:
        raise WorkerFailed("an input is far out of range")
    found.first("input")[:] = signed
    found.count()
    return found


def outputs(
    witness: Witness, labels: IntegerArray, groups: IntegerArray | None, metrics: Metrics
) -> Outputs:
    """Return the counts of real samples that a proof of this witness is for (section 5.2)."""
    classes, predictions = len(witness.logits), predict(witness.logits.T[: len(labels)], "first")
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    right = confusion.diagonal()
    by_group = []
    for group in range(metrics.groups):
        assert groups is not None
        hits = (predictions == labels)[groups == group]
        by_group.append((int(hits.sum()), len(hits)))
    by_class = zip(right.tolist(), confusion.sum(axis=1).tolist(), strict=True)
    return Outputs(
        int(right.sum()),
        tuple(by_class) if metrics.per_class else (),
        tuple(map(tuple, confusion.tolist())) if metrics.confusion else (),
        tuple(by_group),
    )


def _look_up(
    witness: Witness, layer: Layer, held: dict[str, _Values], value: _Values, part: slice
) -> None:
    """Write what a layer looks up, for the samples of one batch (sections 4.2 and 4.3)."""
    if isinstance(layer, MaxPool):
        pool, source = taps(layer), held[layer.inputs[0]]
        d, u = witness.first("increment", layer.name), witness.second("increment", layer.name)
        increments(source, pool.inputs, pool.starts, part.start, d, u)
    elif isinstance(layer, Requantise):
        source = held[layer.inputs[0]]
        direct = witness.first("direct", layer.name)
        if len(direct):
            direct[:, part] = source
            witness.second("direct", layer.name)[:, part] = value
            return
        rounded = source + np.int64(layer.half)
        witness.first("quotient", layer.name)[:, part] = rounded >> layer.shift
        witness.second("quotient", layer.name)[:, part] = value
        witness.first("remainder", layer.name)[:, part] = rounded & ((1 << layer.shift) - 1)


def _predict(witness: Witness, relation: Relation) -> None:
    """Fill in predictions, maximum and the limbs of the margins (section 4.4)."""
    logits, limbs = witness.logits, relation.limbs
    assert limbs is not None
    classes = np.arange(len(logits))[:, None]
    best = predict(logits.T, "first")
    witness.predictions = (classes == best).astype(np.uint8)
    witness.maximum = logits.max(axis=0, keepdims=True)
    margins = witness.maximum - logits - (best > classes)
    digits = witness.first("limb").reshape(limbs.count, len(logits), -1)
    for i in range(limbs.count):
        above = margins >> (limbs.width * i)
        last = i == limbs.count - 1
        digits[i] = above if last else above & ((1 << limbs.width) - 1)


def _padded(inputs: IntegerArray, count: int) -> IntegerArray:
    """Return a batch of inputs, followed by zeros."""
    missing = np.zeros((count - len(inputs), *inputs.shape[1:]), inputs.dtype)
    return np.concatenate([inputs, missing]) if len(missing) else inputs


def _tables(relation: Relation) -> Leaves:
    columns = [table.columns(relation.a) for table in relation.tables]
    first, second = (
        np.concatenate([pair[i] for pair in columns], dtype=np.int32, casting="same_kind")
        for i in range(2)
    )
    tags = np.concatenate([np.full(item.count, item.tag) for item in relation.table_slots])
    return Leaves(first, second, tags, np.zeros(first.shape, np.int64))
