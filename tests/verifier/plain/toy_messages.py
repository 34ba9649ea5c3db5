"""The true values of the messages of section 5, from arrays written out in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.verifier.plain.networks import uses
from tests.verifier.plain.toy_witness import Slots, Witness
from verifier.plain.field import (
    ONE,
    ZERO,
    Element,
    add,
    base,
    eq,
    scale,
    sub,
    times,
    total,
)
from verifier.plain.linear_layers import weigh_lookups
from verifier.plain.network import linear_layers, trace_back
from verifier.plain.transcript import Transcript

Array = list[Element]


class Logged(Transcript):
    """A transcript that remembers what was drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[tuple[str, list[Element]]] = []

    def draw(self, label: str, count: int) -> list[Element]:
        found = super().draw(label, count)
        self.drawn.append((label, found))
        return found

    def last(self, label: str) -> list[Element]:
        return next(values for name, values in reversed(self.drawn) if name == label)


def at(array: Array, x: Element) -> Array:
    """Bind variable 0 of a multilinear array to x."""
    return [
        add(low, times(x, sub(high, low)))
        for low, high in zip(array[::2], array[1::2], strict=True)
    ]


def evaluate(values: list[int], weights: Array) -> Element:
    return total(scale(w, v) for w, v in zip(weights, values, strict=True))


def sum_of(terms: Callable[..., Element], arrays: list[Array], x: int) -> Element:
    return total(map(terms, *(at(array, base(x)) for array in arrays)))


def messages(witness: Slots, log: Logged) -> Iterator[Element]:
    """Yield the true values in order of sending; challenges are read from the log."""
    if isinstance(witness, Witness):
        yield from _zero_check(witness, log)
        point = yield from _lookups(witness, log)
        yield from _linear(witness, log, point)
    else:
        yield from _bits(witness, log)
        yield from _lookups(witness, log)


def _bits(witness: Slots, log: Logged) -> Iterator[Element]:
    relation = witness.relation
    _, *tau = log.last("zero")
    flat = [base(v) for row in witness.shard[relation.shape.features :] for v in row]
    arrays = [eq(tau), flat + [ZERO] * ((1 << relation.zero_variables) - len(flat))]
    for _ in range(relation.zero_variables):
        for x in (0, 2, 3):
            yield sum_of(lambda e, b: times(e, sub(times(b, b), b)), arrays, x)
        (c,) = log.last("round")
        arrays = [at(array, c) for array in arrays]
    yield arrays[1][0]


def _zero_check(witness: Witness, log: Logged) -> Iterator[Element]:
    case, size = witness.case, witness.size
    metrics, classes, real = case.metrics, case.architecture.classes, len(case.x)
    wide = 1 << witness.relation.zero_high
    beta, *tau = log.last("zero")
    drawn = log.last("outputs")
    omega = drawn[:classes] if metrics.per_class else drawn[:1] * classes
    rest = drawn[classes if metrics.per_class else 1 :]
    psi, rest = (
        (rest[: case.group_count], rest[case.group_count :]) if metrics.groups else ([], rest)
    )
    theta, phi = rest[:classes], rest[classes:]

    def spread(rows: list[list[int]]) -> Array:
        flat = [base(v) for row in rows for v in row]
        return flat + [ZERO] * (wide * size - len(flat))

    y = witness.one_hot(case.labels, classes)
    g = witness.one_hot(case.groups, case.group_count)
    p, (m,) = witness.named["predictions"], witness.named["largest"]
    d = [[a - b for a, b in zip(m, row, strict=True)] for row in witness.named["logits"]]

    def weigh(rows: list[list[int]], weights: Array) -> Array:
        """Return the weighted sum of rows, the same for every class."""
        columns = zip(*rows, strict=True) if weights else [()] * size
        return [total(map(scale, weights, column)) for column in columns] * wide

    sel_omega = [omega[c] if n < real else ZERO for c in range(classes) for n in range(size)]
    sel_first = [base(c == 0 and n < real) for c in range(wide) for n in range(size)]
    sel_omega += [ZERO] * (wide * size - len(sel_omega))
    # One array a factor; sel and omega depend on different variables.
    arrays = [
        eq(tau), spread(p), spread(d), spread(y), sel_omega, weigh(g, psi),
        sel_first, weigh(y, theta), weigh(p, phi),
    ]  # fmt: skip

    def f(
        e: Element, p: Element, d: Element, y: Element, so: Element,
        ga: Element, sf: Element, yt: Element, pf: Element,
    ) -> Element:  # fmt: skip
        zero = add(sub(times(p, p), p), times(beta, times(p, d)))
        return total([times(e, zero), times(times(add(so, ga), p), y), times(sf, times(yt, pf))])

    for _ in range(witness.relation.zero_variables):
        for x in (0, 2, 3):
            yield sum_of(f, arrays, x)
        (c,) = log.last("round")
        arrays = [at(array, c) for array in arrays]
    _, (p_,), (d_,), (y_,), _, (ga,), _, (yt,), (pf,) = arrays
    yield from (p_, d_, y_)
    if metrics.groups:
        yield from (times(p_, y_), ga)
    if metrics.confusion:
        yield from (yt, pf)


def _leaves(witness: Slots, log: Logged) -> tuple[Array, Array]:
    alpha, gamma = log.last("lookups")
    numerators: Array = []
    denominators: Array = []

    def append(numerator: int, v0: int, v1: int, tag: int) -> None:
        numerators.append(base(numerator))
        value = add(base(v0), add(scale(gamma, v1), scale(times(gamma, gamma), tag)))
        denominators.append(sub(alpha, value))

    slots = iter(witness.leaves)
    for run in witness.relation.lookups:
        tag = witness.relation.tables.index(run.table) + 1
        for _ in range(run.slots):
            for v0, v1 in next(slots):
                append(1, v0, v1, tag)
    for counts, table in zip(witness.named["multiplicities"], witness.tables, strict=True):
        for count, (v, z, tag) in zip(counts, table, strict=True):
            append(-count, v, z, tag)
    missing = (1 << witness.relation.depth) - len(numerators)
    return numerators + [ZERO] * missing, denominators + [ONE] * missing


def _lookups(witness: Slots, log: Logged) -> Iterator[Any]:
    layers = [_leaves(witness, log)]
    while len(layers[-1][0]) > 1:
        p, q = layers[-1]
        pairs = list(zip(p[::2], p[1::2], q[::2], q[1::2], strict=True))
        above = [add(times(p0, q1), times(p1, q0)) for p0, p1, q0, q1 in pairs]
        layers.append((above, [times(q0, q1) for *_, q0, q1 in pairs]))
    layers.reverse()
    point: list[Element] = []
    for j, (p, q) in enumerate(layers[1:]):
        arrays = [p[::2], p[1::2], q[::2], q[1::2]]
        lam = log.last("combine")[0] if j else ZERO
        challenges: list[Element] = []
        for i in range(j):

            def term(p0: Element, p1: Element, q0: Element, q1: Element, e: Element) -> Element:
                crossed = times(lam, add(times(p0, q1), times(p1, q0)))  # noqa: B023
                return times(e, add(crossed, times(q0, q1)))

            rest = eq(point[i + 1 :])
            for x in (0, 2):
                bound = [at(array, base(x)) for array in arrays]
                yield total(map(term, *bound, rest))
            (c,) = log.last("round")
            challenges.append(c)
            arrays = [at(array, c) for array in arrays]
        yield from (array[0] for array in arrays)
        (mu,) = log.last("round")
        point = [mu, *challenges]
    return point


def _linear(witness: Witness, log: Logged, point: list[Element]) -> Iterator[Element]:
    case, relation = witness.case, witness.relation
    _, gamma = log.last("lookups")
    delta = log.last("logits")
    rho, r_s = point[: case.a], point[case.a :]
    weighed = weigh_lookups(case.architecture, relation, eq(r_s)[: relation.lookup_slots], gamma)
    weighed.add_tensor(case.architecture.output, delta)
    _, e = trace_back(case.architecture, weighed.tensors, relation.features, {})
    samples = eq(rho)
    z: Array = []
    m: Array = []
    for layer in linear_layers(case.architecture):
        inputs = witness.tensors[layer.inputs[0]]
        z += [evaluate(row, samples) for row in inputs]
        weights = case.weights[f"{layer.name}.weight"].reshape(-1).tolist()
        products = [ZERO] * len(inputs)
        for i, k, o in uses(layer):
            products[i] = add(products[i], scale(e[layer.name][o], weights[k]))
        m += products
    missing = (1 << relation.linear_variables) - len(z)
    arrays = [z + [ZERO] * missing, m + [ZERO] * missing]
    for _ in range(relation.linear_variables):
        for x in (0, 2):
            yield sum_of(times, arrays, x)
        (c,) = log.last("round")
        arrays = [at(array, c) for array in arrays]
    yield from (arrays[0][0], arrays[1][0])
