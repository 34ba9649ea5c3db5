"""Values the verifier knows only up to secrets: affine forms of pads and of committed slots.

A prover's message arrives masked, so the verifier computes with "masked value - pad". Whatever it
would check of the values themselves becomes a linear constraint on committed slots (6.2).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from verifier.plain.field import ONE, ZERO, Element, add, sub, times
from verifier.plain.transcript import Transcript, encode


@dataclass(frozen=True)
class Functional:
    """A linear functional of committed slots.

    Attributes
    ----------
    along : str
        Name of the vector over samples with which every feature is multiplied.
    shard, model, proof : mapping
        Coefficient by feature of a matrix; a feature of the model matrix is a run of 2^a slots.
    single : mapping
        Coefficient by slot of the model matrix, for single weights and biases.
    """

    along: str
    shard: Mapping[int, Element] = field(default_factory=dict)
    model: Mapping[int, Element] = field(default_factory=dict)
    proof: Mapping[int, Element] = field(default_factory=dict)
    single: Mapping[int, Element] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """``constant + sum of coefficient * pad + sum of factor * functional``."""

    constant: Element = ZERO
    pads: Mapping[int, Element] = field(default_factory=dict)
    functionals: tuple[tuple[Element, Functional], ...] = ()

    def __add__(self, other: Form) -> Form:
        """Return the sum of two forms."""
        pads = defaultdict(lambda: ZERO, self.pads)
        for pad, coefficient in other.pads.items():
            pads[pad] = add(pads[pad], coefficient)
        return Form(
            add(self.constant, other.constant),
            dict(pads),
            self.functionals + other.functionals,
        )

    def __sub__(self, other: Form) -> Form:
        """Return the difference of two forms."""
        return self + other.times(sub(ZERO, ONE))

    def times(self, factor: Element) -> Form:
        """Return the form multiplied by a public factor."""
        return Form(
            times(self.constant, factor),
            {pad: times(coefficient, factor) for pad, coefficient in self.pads.items()},
            tuple((times(scalar, factor), item) for scalar, item in self.functionals),
        )


def constant(value: Element) -> Form:
    """Return a public value as a form."""
    return Form(value)


def committed(functional: Functional) -> Form:
    """Return the value of a functional."""
    return Form(functionals=((ONE, functional),))


def combination(factors: Iterable[Element], forms: Iterable[Form]) -> Form:
    """Return the sum of forms, each multiplied by its factor."""
    found = Form()
    for factor, form in zip(factors, forms, strict=True):
        found += form.times(factor)
    return found


@dataclass(frozen=True)
class Sent:
    """A message of the prover: its masked value and the number of its pad."""

    masked: Element
    pad: int

    @property
    def value(self) -> Form:
        """The true value."""
        return Form(self.masked, {self.pad: sub(ZERO, ONE)})


class Exchange:
    """The prover's masked messages and the products among them (5.2, 5.5).

    Parameters
    ----------
    transcript : Transcript
        Absorbs every message.
    masked : list of Element
        All masked values, in order of sending.
    differences : list of Element
        d_j of every product.
    eps : Element
        The challenge of the products.
    """

    def __init__(
        self,
        transcript: Transcript,
        masked: list[Element],
        differences: list[Element],
        eps: Element,
    ) -> None:
        self.transcript = transcript
        self._masked = masked
        self._differences = differences
        self._eps = eps
        self._sent = 0
        self._factors: list[tuple[Sent, Sent]] = []

    def send(self, label: str, count: int) -> list[Sent]:
        """Receive a group of messages."""
        numbers = range(self._sent, self._sent + count)
        self._sent += count
        values = [self._masked[pad] for pad in numbers]
        self.transcript.absorb(label, encode(values))
        return [Sent(value, pad) for value, pad in zip(values, numbers, strict=True)]

    def product(self, x: Sent, y: Sent) -> Form:
        """Return the product of two true values, X^ Y^ - X^ y - Y^ x + z."""
        z, _, _ = self._pads_of(len(self._factors))
        self._factors.append((x, y))
        pads = Form(pads={z: ONE})
        for masked, pad in ((x.masked, y.pad), (y.masked, x.pad)):
            pads += Form(pads={pad: sub(ZERO, masked)})
        return constant(times(x.masked, y.masked)) + pads

    def product_constraints(self) -> Iterator[Form]:
        """Yield the two constraints of every product: that z = x y for its pads.

        With eps drawn after the pads are committed, eps (z - x y) = z' - x' y has to hold.
        """
        assert (self._sent, len(self._factors)) == (len(self._masked), len(self._differences))
        for j, (x, y) in enumerate(self._factors):
            z, x_, z_ = self._pads_of(j)
            d = self._differences[j]
            eps_x = Form(pads={x.pad: self._eps})
            eps_z = Form(pads={z: self._eps})
            yield eps_x - Form(pads={x_: ONE}) - constant(d)
            yield eps_z - Form(pads={z_: ONE}) - Form(pads={y.pad: d})

    def _pads_of(self, j: int) -> tuple[int, int, int]:
        first = len(self._masked) + 3 * j
        return first, first + 1, first + 2


@dataclass
class Combined:
    """``sum_k r^k constraint_k``: coefficients of slots, and the constant (6.2).

    Attributes
    ----------
    features : dict
        By (matrix, vector over samples): coefficient by feature.
    single : dict
        Coefficient by slot of the model matrix.
    pads : dict
        Coefficient by pad.
    constant : Element
        The right-hand side.
    """

    features: dict[tuple[str, str], dict[int, Element]]
    single: dict[int, Element]
    pads: dict[int, Element]
    constant: Element


def combine(constraints: Iterable[Form], r: Element) -> Combined:
    """Combine constraints, each a form that must vanish, with the powers r^1, r^2, .. ."""
    found = Combined({}, {}, {}, ZERO)
    power = ONE
    for form in constraints:
        power = times(power, r)
        found.constant = sub(found.constant, times(form.constant, power))
        _accumulate(found.pads, form.pads, power)
        for factor, item in form.functionals:
            weight = times(factor, power)
            for matrix, by_feature in (
                ("shard", item.shard),
                ("model", item.model),
                ("proof", item.proof),
            ):
                if by_feature:
                    into = found.features.setdefault((matrix, item.along), {})
                    _accumulate(into, by_feature, weight)
            _accumulate(found.single, item.single, weight)
    return found


def _accumulate(into: dict[int, Element], terms: Mapping[int, Element], weight: Element) -> None:
    for key, coefficient in terms.items():
        into[key] = add(into.get(key, ZERO), times(coefficient, weight))
