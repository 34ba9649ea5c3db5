"""The prover's side of the lookup argument (docs/protocol.md, sections 5.1 and 5.4).

LogUp (Haböck 2022) in the form of Papini and Haböck (2023): every lookup and every table entry is a
fraction, and a tree of additions of fractions shows that they sum to zero. Each layer of the tree
is reduced to the one below it by a sumcheck.

A slot's 2^a leaves have a tree of their own; lookups and tables are stored apart, as only tables
have numerators. The fractions 0/1 of slots beyond the last one are not stored: while the sample
variables are bound, they add a constant to every message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.sumcheck.field_arrays import readable
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ONE, ZERO, K, from_array, to_array
from circuits.sumcheck.field_lanes import LANES
from circuits.sumcheck.multilinear import eq_table
from circuits.sumcheck.sums import k_total
from circuits.sumcheck.vectors import k_add, k_multiply
from prover.sumcheck.lookups_kernels import TILE, LeafArrays, advance, advance_leaves, grow

_LANE_BITS = LANES.bit_length() - 1
_SKIPPED = 2
"""Lowest layers of a tree that are not stored, but made again when they are reached: it takes 16
bytes a leaf and not 48, and few nanoseconds more."""


@dataclass(frozen=True, repr=False)
class Leaves:
    """The leaves of consecutive slots: of all lookups, or of all tables (section 5.1).

    Attributes
    ----------
    first, second : int32 array [slots, 2^a]
        The pairs that are looked up, or the entries of the tables.
    tags : int64 array [slots]
        Tag of each slot's table.
    multiplicities : int64 array [slots, 2^a], optional
        How often each entry is looked up; None for lookups.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    tags: NDArray[np.int64]
    multiplicities: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class _Part:
    """A layer of the trees of some slots, in blocks (`lookups_kernels`).

    Either its nodes are stored from entry `at` on, or `leaves` says what to make them from, as
    layer `above` over the leaves; then they are stored once a variable is bound. If `ones`, all
    numerators are one.
    """

    slots: int
    p: U64Array
    q: U64Array
    at: int = 0
    ones: bool = False
    leaves: LeafArrays | None = None
    above: int = 0

    def fractions(self, width: int) -> tuple[U64Array, U64Array]:
        """Return numerators and denominators of `width` entries, each uint64 [slots, width, 2]."""
        p = _filled(ONE, self.slots, width) if self.ones else self._by_slot(self.p, width)
        return p, self._by_slot(self.q, width)

    def _by_slot(self, values: U64Array, width: int) -> U64Array:
        rows = values[:, 2 * self.at : 2 * (self.at + width)]
        by_slot = rows.transpose(0, 2, 1).reshape(-1, width, 2)
        return np.ascontiguousarray(by_slot[: self.slots])


class _Tree:
    """The trees of some slots, but for their lowest layers if these are large."""

    def __init__(self, leaves: Leaves, alpha: K, gamma: K) -> None:
        self.slots, self.size = leaves.first.shape
        counts = leaves.multiplicities
        bases = to_array(alpha - gamma * gamma * tag for tag in range(leaves.tags.max() + 1))
        self._ones = counts is None
        self._leaves = (
            readable(leaves.first),
            readable(leaves.second),
            readable(np.zeros((0, self.size), np.int64) if counts is None else counts),
            _to_lanes(bases[leaves.tags, None]),
            gamma.to_array(),
        )
        self._skipped = _SKIPPED if self.size >= TILE else 0
        shape = (-(-self.slots // LANES), 4 * self.size >> self._skipped, LANES)
        self._p, self._q = np.empty(shape, np.uint64), np.empty(shape, np.uint64)
        grow(self._leaves, self._skipped, self._p, self._q)

    def layer(self, width: int) -> _Part:
        """Return the layer that has `width` nodes in every slot."""
        above = (self.size // width).bit_length() - 1
        ones = self._ones and above == 0
        if above >= self._skipped:
            return _Part(self.slots, self._p, self._q, width, ones)
        return _Part(self.slots, self._p, self._q, 0, ones, self._leaves, above)


class LookupTree:
    """The tree over all leaves: implements ``Lookups`` of `circuits.sumcheck.rounds`.

    Parameters
    ----------
    lookups, tables : Leaves
        All that is looked up, and in what.
    alpha, gamma : K
        Challenges of section 5.2.
    """

    def __init__(self, lookups: Leaves, tables: Leaves, alpha: K, gamma: K) -> None:
        self._trees = [_Tree(leaves, alpha, gamma) for leaves in (lookups, tables)]
        slots = sum(tree.slots for tree in self._trees)
        self._slot_bits = (slots - 1).bit_length()
        # Layers s, s - 1, .., 1: the roots of the slots, and what is above them.
        self._top = [_joined(self._parts(1), 1, self._slot_bits)]
        for _ in range(1, self._slot_bits):
            p, q = self._top[-1]
            cross = k_add(k_multiply(p[::2], q[1::2]), k_multiply(p[1::2], q[::2]))
            self._top.append((cross, k_multiply(q[::2], q[1::2])))

    def layer(self, j: int, point: Sequence[K], combine: K | None) -> LayerProver:
        """Return the sumcheck that leads from layer j to layer j + 1, and uses up the latter.

        Parameters
        ----------
        j : int
            0 has no rounds, only claims.
        point : sequence of K
            Of layer j.
        combine : K, optional
            lambda of section 5.4; None for layer 0.
        """
        combine = ONE if combine is None else combine
        if j < self._slot_bits:
            p, q = self._top[self._slot_bits - 1 - j]
            part, inner = _spread_over_lanes(p, q, j)
            return LayerProver([part], inner, point, combine)
        inner = j - self._slot_bits
        return LayerProver(self._parts(2 << inner), inner, point, combine)

    def _parts(self, width: int) -> list[_Part]:
        return [tree.layer(width) for tree in self._trees]


class LayerProver:
    """The sumcheck of one layer: implements ``Rounds`` of `circuits.sumcheck.rounds`.

    Parameters
    ----------
    parts : list of _Part
        The nodes of layer j + 1; all that follow have the fraction 0/1.
    inner : int
        Number of variables of the sumcheck that number pairs of nodes within a slot. The others,
        which number slots, come after them.
    point : sequence of K
        Of layer j.
    combine : K
        lambda of section 5.4.
    """

    def __init__(self, parts: list[_Part], inner: int, point: Sequence[K], combine: K) -> None:
        self._parts = parts
        self._inner = inner
        self._point = to_array(point)
        self._combine = combine.to_array()
        self._bound: K | None = None  # the last challenge, until the next message binds to it
        self._weigh()

    def message(self) -> list[K]:
        """Return t(0) and t(2) of the next round."""
        if self._inner == 0:
            self._regroup()
        inner = readable(eq_table(self._point[1 : self._inner]))
        sums = [self._advance(i, inner) for i in range(len(self._parts))]
        self._bound = None
        return [sum((found[i] for found in sums), self._implicit) for i in range(2)]

    def bind(self, c: K) -> None:
        """Bind the variable of the last message."""
        self._bound = c
        self._inner -= 1
        self._point = self._point[1:]

    def claims(self) -> list[K]:
        """Return p0, p1, q0, q1 at the end."""
        (part,) = self._parts
        found: list[K] = []
        for values in part.fractions(2 if self._bound is None else 4):
            left, right, *others = from_array(values[0])
            if self._bound is not None:
                left += self._bound * (others[0] - left)
                right += self._bound * (others[1] - right)
            found += [left, right]
        return found

    def _advance(self, number: int, inner: U64Array) -> tuple[K, K]:
        """Bind the last challenge in one part, and return its share of the message."""
        part, outer = self._parts[number], self._weights[number]
        out = np.empty((len(part.q), 4, LANES), np.uint64)
        c = to_array([] if self._bound is None else [self._bound])
        if part.leaves is None:
            p, q, combine = part.p, part.q, self._combine
            advance(p, q, part.at, part.ones, inner, outer, combine, c, out)
        else:
            advance_leaves(
                part.leaves, part.above, part.p, part.q, inner, outer, self._combine, c, out
            )
            if self._bound is not None:
                self._parts[number] = _Part(part.slots, part.p, part.q, 0, part.ones)
        t0, t2 = (k_total(out[:, i : i + 2].transpose(0, 2, 1).reshape(-1, 2)) for i in (0, 2))
        return t0, t2

    def _regroup(self) -> None:
        """Turn variables that number slots into variables within slots."""
        bits = len(self._point)
        p, q = _joined(self._parts, 2 if self._bound is None else 4, bits)
        part, self._inner = _spread_over_lanes(p, q, bits)
        self._parts = [part]
        self._weigh()

    def _weigh(self) -> None:
        """Set the factors of eq that number slots; the sum of those of implicit slots remains."""
        eq = eq_table(self._point[self._inner :])
        self._weights = []
        start = 0
        for part in self._parts:
            self._weights.append(_to_lanes(eq[start : start + part.slots, None]))
            start += part.slots
        self._implicit = k_total(eq[start:])


def _joined(parts: list[_Part], width: int, bits: int) -> tuple[U64Array, U64Array]:
    """Return the fractions of 2^bits slots in order, those that are not stored as 0/1."""
    found = [part.fractions(width) for part in parts]
    missing = (1 << bits) - sum(part.slots for part in parts)
    found.append((_filled(ZERO, missing, width), _filled(ONE, missing, width)))
    p, q = (np.concatenate([pair[i] for pair in found]).reshape(-1, 2) for i in range(2))
    return p, q


def _spread_over_lanes(p: U64Array, q: U64Array, bits: int) -> tuple[_Part, int]:
    """Return nodes as a part with a slot for each lane, and the number of variables in a slot.

    Of `bits` variables, the highest number the slots. Once there are none but these, there is one
    slot.
    """
    outer = _LANE_BITS if bits > _LANE_BITS else 0
    p, q = (_to_lanes(values.reshape(1 << outer, -1, 2)) for values in (p, q))
    return _Part(1 << outer, p, q), bits - outer


def _filled(value: K, slots: int, width: int) -> U64Array:
    return np.broadcast_to(value.to_array(), (slots, width, 2))


def _to_lanes(values: U64Array) -> U64Array:
    """Return uint64 [slots, width, 2] in blocks, uint64 [blocks, 2 width, 8], padded with zeros."""
    slots, width, _ = values.shape
    padded = np.zeros((-(-slots // LANES) * LANES, 2 * width), np.uint64)
    padded[:slots] = values.reshape(slots, -1)
    return np.ascontiguousarray(padded.reshape(-1, LANES, 2 * width).transpose(0, 2, 1))
