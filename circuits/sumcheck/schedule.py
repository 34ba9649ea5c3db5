"""How many values a proof sends, in which order, and which are multiplied (docs/protocol.md, 5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from circuits.sumcheck.public import Metrics


@dataclass(frozen=True)
class Schedule:
    """What follows from the sizes of a relation alone.

    Attributes
    ----------
    messages : int
        Number of secret values sent; message i is masked by pad i.
    products : tuple of (int, int)
        The messages that are multiplied, in the order of section 5.5. Product j has the pads
        ``messages + 3 j`` (z), and the next two (x', z').
    constraints : int
        Number of linear constraints with those of the products. A proof that a shard is
        well-formed has one less if the shard has no padding.
    """

    messages: int
    products: tuple[tuple[int, int], ...]
    constraints: int

    @property
    def pads(self) -> int:
        """Number of pads, each an element of K."""
        return self.messages + 3 * len(self.products)


@dataclass
class _Draft:
    messages: int = 0
    products: list[tuple[int, int]] = field(default_factory=list)
    constraints: int = 0

    def send(self, count: int) -> int:
        """Count messages; return the number of the first."""
        self.messages += count
        return self.messages - count

    def multiply(self, first: int, *pairs: tuple[int, int]) -> None:
        self.products += [(first + x, first + y) for x, y in pairs]

    def lookups(self, depth: int) -> None:
        """Section 5.4: depth steps and constraint p."""
        self.multiply(self.send(4), (0, 3), (1, 2))
        for step in range(1, depth):
            self.send(2 * step)
            self.multiply(self.send(4), (0, 3), (1, 2), (2, 3))
        self.constraints += depth + 1

    def done(self) -> Schedule:
        constraints = self.constraints + 2 * len(self.products)
        return Schedule(self.messages, tuple(self.products), constraints)


def accuracy(variables: int, depth: int, inputs: int, classes: int, metrics: Metrics) -> Schedule:
    """Return the schedule of the relation "accuracy".

    Parameters
    ----------
    variables : int
        Of the zero check: a + s_c (section 5.3).
    depth : int
        D of section 5.1.
    inputs : int
        s_I of section 5.6.
    classes : int
        Number of classes.
    metrics : Metrics
        What is counted.
    """
    draft = _Draft()
    draft.send(3 * variables)
    first = draft.send(3)
    draft.multiply(first, (0, 0), (0, 1), (0, 2))
    draft.constraints += 5
    for wanted in (bool(metrics.groups), metrics.confusion):
        if wanted:
            draft.multiply(draft.send(2), (0, 1))
            draft.constraints += 2
    draft.constraints += classes * metrics.per_class + metrics.groups
    draft.lookups(depth)
    draft.send(2 * inputs)
    draft.multiply(draft.send(2), (0, 1))
    draft.constraints += 3
    return draft.done()


def well_formed(variables: int, depth: int, *, groups: bool) -> Schedule:
    """Return the schedule of the relation "well-formed" for a shard that has padding.

    Parameters
    ----------
    variables : int
        Of the zero check: a + s_b (section 5.3).
    depth : int
        D of section 5.1.
    groups : bool
        Whether the shard has groups.
    """
    draft = _Draft()
    draft.send(3 * variables)
    draft.multiply(draft.send(1), (0, 0))
    draft.constraints += 4 + groups
    draft.lookups(depth)
    draft.constraints += 1
    return draft.done()
