"""A prover for small cases, as plain as the verifier.

What it commits and sends is computed from the definitions. Which slots a constraint weighs it
takes from the verifier, so a proof is accepted only if those constraints hold of the slots that
`toy_witness` lists.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from circuits.encoding import canonical_json
from tests.verifier.plain.toy_commitment import Committed, codeword, from_codeword, interpolated
from tests.verifier.plain.toy_messages import Logged, messages
from tests.verifier.plain.toy_witness import Case, Edit, Slots, WellFormedWitness, Witness
from verifier.plain.field import (
    GENERATOR,
    Element,
    P,
    add,
    columns,
    dot,
    root_of_unity,
    sub,
    times,
)
from verifier.plain.forms import combine
from verifier.plain.opening import Coefficients, coefficients
from verifier.plain.proof_bytes import Reader
from verifier.plain.reduction import Reduced, reduce_accuracy, reduce_well_formed
from verifier.plain.relation import Relation
from verifier.plain.transcript import encode


@dataclass(frozen=True)
class Proof:
    """A proof with everything that a verifier is given besides the circuit."""

    public: dict[str, Any]
    roots: dict[str, bytes]
    data: bytes


class _Masked(list[Element]):
    """Masked values, each computed when the verifier's side of the exchange asks for it."""

    def __init__(self, values: Iterator[Element], pads: list[Element]) -> None:
        super().__init__(pads)
        self._values = values

    def __getitem__(self, index: Any) -> Any:
        self[index] = add(next(self._values), super().__getitem__(index))
        return super().__getitem__(index)


class _Source(Reader):
    """Stands where the verifier reads the proof, and makes it."""

    def __init__(self, *parts: Callable[[], list[Element]]) -> None:
        super().__init__(b"")
        self._parts = list(parts)

    def elements(self, count: int) -> list[Element]:
        part = self._parts.pop(0)()
        assert len(part) == count
        return part


def factors(relation: Relation) -> list[tuple[int, int]]:
    """Return the pads of the factors of every product, in the order of 5.5."""
    first = 3 * relation.zero_variables
    found = [(first, first)]
    if relation.is_accuracy:
        found += [(first, first + 1), (first, first + 2)]
        first += 2
    first += 1
    for asked in (relation.metrics.groups, relation.metrics.confusion):
        if asked:
            found.append((first, first + 1))
            first += 2
    for j in range(relation.depth):
        first += 2 * j
        found += [(first, first + 3), (first + 1, first + 2)] + [(first + 2, first + 3)] * (j > 0)
        first += 4
    first += 2 * relation.linear_variables
    return [*found, (first, first + 1)] if relation.is_accuracy else found


def pack(features: list[list[int]], kappa: int) -> list[list[int]]:
    """Put features into rows (3.1), and something else than zero into the slots left over."""
    flat = [value % P for feature in features for value in feature]
    size = 1 << kappa
    flat += [1234567] * (-len(flat) % size)
    return [flat[i : i + size] for i in range(0, len(flat), size)]


def prove(
    case: Case,
    *,
    edit: Edit = None,
    outputs: dict[str, Any] | None = None,
    spoil: tuple[str, int] | None = None,
) -> Proof:
    """Prove a case.

    Parameters
    ----------
    case : Case
        The network and the batch.
    edit : callable, optional
        Changes the witness.
    outputs : dict, optional
        Counts to be claimed in place of the true ones.
    spoil : (str, int), optional
        "u" or "q", and which of its coefficients becomes another.
    """
    witness = Witness(case, edit)
    claimed = {
        "relation": "accuracy",
        **dict.fromkeys(("circuit", "testset", "context", "model"), "ab" * 32),
        "shard": 0,
        "outputs": outputs or witness.outputs(),
    }
    return _prove(witness, claimed, spoil)


def prove_well_formed(case: Case, *, edit: Edit = None) -> Proof:
    """Prove that the shard of a case is well-formed; `edit` changes the witness."""
    witness = WellFormedWitness(case, edit)
    return _prove(witness, {"relation": "well-formed", "kappa": case.kappa, "a": case.a}, None)


def _prove(witness: Slots, claimed: dict[str, Any], spoil: tuple[str, int] | None) -> Proof:
    rng = random.Random(0)  # noqa: S311
    relation, case = witness.relation, witness.case
    matrices = {"shard": Committed(pack(witness.shard, case.kappa), case.kappa, rng)}
    if isinstance(witness, Witness):
        matrices["model"] = Committed(pack([witness.model], case.kappa), case.kappa, rng)
    pairs = factors(relation)
    pads = _pads(relation, pairs, rng)
    data = pack([*witness.features, *_pad_features(pads, witness.size)], case.kappa)
    matrices["proof"] = Committed(data, case.kappa, rng, masks=True)
    public = {
        "protocol": "zkpot-sumcheck",
        "version": 1,
        "commitment": matrices["shard"].root.hex(),
        "samples": len(case.x),
        **claimed,
    }
    log = Logged()
    log.absorb("public", canonical_json(public))
    log.absorb("root", matrices["proof"].root)
    masked = _Masked(messages(witness, log), pads[: relation.sent])
    sent: list[Element] = []

    def differences() -> list[Element]:
        (eps,) = log.last("products")
        first_x_ = relation.sent + 1
        sent.extend(
            sub(times(eps, pads[x]), pads[first_x_ + 3 * j]) for j, (x, _) in enumerate(pairs)
        )
        return list(sent)

    source = _Source(differences, lambda: masked)
    if isinstance(witness, Witness):
        outputs = claimed["outputs"]
        reduced = reduce_accuracy(case.architecture, relation, outputs, log, source)
    else:
        reduced = reduce_well_formed(relation, log, source)
    sent += list.__iter__(masked)
    u, q, positions = _polynomials(relation, matrices, reduced, log, spoil)
    parts = [matrices["proof"].root, encode(sent), encode(u), encode(q)]
    parts += [matrix.opening(positions) for matrix in matrices.values()]
    roots = {name: matrix.root for name, matrix in matrices.items()}
    return Proof(public, roots, b"".join(parts))


def _pads(relation: Relation, pairs: list[tuple[int, int]], rng: random.Random) -> list[Element]:
    def fresh() -> Element:
        return rng.randrange(P), rng.randrange(P)

    pads = [fresh() for _ in range(relation.sent)]
    for x, y in pairs:
        x_ = fresh()
        pads += [times(pads[x], pads[y]), x_, times(x_, pads[y])]
    return pads


def _pad_features(pads: list[Element], size: int) -> list[list[int]]:
    flat = [part for pad in pads for part in pad]
    flat += [0] * (-len(flat) % size)
    return [flat[i : i + size] for i in range(0, len(flat), size)]


def _polynomials(
    relation: Relation,
    matrices: dict[str, Committed],
    reduced: Reduced,
    log: Logged,
    spoil: tuple[str, int] | None,
) -> tuple[list[Element], list[Element], list[int]]:
    """Do steps 7 to 9: u and q by their definitions, q by its values at all positions."""
    profile = relation.profile
    (r,) = log.draw("constraints", 1)
    *others, proof = matrices.values()
    rows = [p for matrix in others for p in matrix.polynomials]
    rows += proof.polynomials[:-6] + proof.polynomials[-4:]
    s = columns(log.draw("rows", len(rows)))
    m0, m1 = proof.polynomials[-6:-4]
    u = []
    for k in range(profile.coefficients):
        row = [p[k] if k < len(p) else 0 for p in rows]
        u.append(add(dot(s, row), (m0[k], m1[k])))

    combined = combine(reduced.constraints, r)
    a0, a1, b0, b1 = (list(word) for word in proof.words[-4:])
    for j in range(profile.length):
        x = GENERATOR * pow(root_of_unity(profile.length), j, P) % P
        vanishing = pow(x, profile.slots, P) - 1
        a0[j] += vanishing * b0[j]
        a1[j] += vanishing * b1[j]
    for name, matrix in matrices.items():
        found = coefficients(combined, relation, name, len(matrix.rows))
        for i, word in enumerate(matrix.words[: len(matrix.rows)]):
            for half, into in ((0, a0), (1, a1)):
                slots = slot_coefficients(found, reduced, i, half, relation)
                values = codeword(interpolated(slots), profile.length)
                for j, value in enumerate(values):
                    into[j] += value * word[j]
    q0, q1 = (from_codeword([v % P for v in values]) for values in (a0, a1))
    degree = profile.slots + profile.coefficients - 1
    assert not any(q0[degree:]) and not any(q1[degree:])
    q = list(zip(q0[:degree], q1[:degree], strict=True))
    if spoil:
        polynomial = {"u": u, "q": q}[spoil[0]]
        polynomial[spoil[1]] = add(polynomial[spoil[1]], (1, 0))
    log.absorb("proximity", encode(u))
    log.absorb("linear", encode(q))
    return u, q, log.positions(profile.opened, profile.length)


def slot_coefficients(
    found: Coefficients, reduced: Reduced, row: int, half: int, relation: Relation
) -> list[int]:
    """Return one half, c0 or c1, of the coefficients of all slots of a row."""
    size = 1 << relation.shape.a
    slots = [0] * relation.profile.slots
    for (along, block), rows in found.blocks.items():
        vector = zip(*reduced.samples[along], strict=True)
        weight = rows[0][row], rows[1][row]
        for n, value in enumerate(vector):
            slots[block * size + n] += times(weight, value)[half]
    if row in found.rows:
        slots = [a + b for a, b in zip(slots, found.rows[row][half], strict=True)]
    return [value % P for value in slots]
