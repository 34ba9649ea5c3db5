"""All constraints of a proof as one: what the linear test of the opening proves (section 6.2).

Both sides draw one coefficient for every constraint and one for every row, and arrive here at the
same combination: a constant, and a coefficient for every slot of every matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from circuits.sumcheck.affine import Affine, MatrixName, VectorName
from circuits.sumcheck.commitment import MASK_ROWS
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ONE, ZERO, K, to_array
from circuits.sumcheck.proof_bytes import MATRICES
from circuits.sumcheck.transcript import Transcript
from circuits.sumcheck.vectors import k_add

X = K(0, 1)
_OWN_MASKS = 2  # m0, m1 hide the combination of rows and are not combined themselves


@dataclass(frozen=True)
class Combination:
    """The sum of coefficient times slot, over all matrices, must be `constant`.

    Attributes
    ----------
    constant : K
    features : mapping of (matrix, vector) to uint64 [features, 2]
        As in `Functional`.
    dense : mapping of (matrix, row) to uint64 [N, 2]
        Further coefficients, of all slots of a row.
    """

    constant: K
    features: Mapping[tuple[MatrixName, VectorName], U64Array]
    dense: Mapping[tuple[MatrixName, int], U64Array]


def combine(
    constraints: Iterable[Affine], pad_slot: int, row_slots: int, transcript: Transcript
) -> Combination:
    """Return sum_k r^k constraint_k for an r drawn here (docs/protocol.md, sections 5.2 and 6.2).

    Parameters
    ----------
    constraints : iterable of Affine
        Each must vanish; in the order of section 5.7.
    pad_slot : int
        Slot of the proof matrix in which the pads begin (section 5.5).
    row_slots : int
        N.
    transcript : Transcript
        In the state of step 7.
    """
    (r,) = transcript.draw("constraints", 1)
    total, power = Affine(ZERO), ONE
    for constraint in constraints:
        power = power * r
        total = total + constraint * power
    dense = _pad_rows(total.pads, pad_slot, row_slots)
    if total.functional is None:
        return Combination(-total.constant, {}, dense)
    for name, slots in total.functional.slots.items():
        for row in range(-(-len(slots) // row_slots)):
            coefficients = slots[row * row_slots : (row + 1) * row_slots]
            mine = dense.setdefault((name, row), np.zeros((row_slots, 2), np.uint64))
            mine[: len(coefficients)] = k_add(mine[: len(coefficients)], coefficients)
    return Combination(-total.constant, total.functional.features, dense)


def proximity_coefficients(
    rows: Mapping[MatrixName, int], transcript: Transcript
) -> dict[MatrixName, U64Array]:
    """Return the coefficient of every row in u, drawn here (docs/protocol.md, section 6.3).

    Parameters
    ----------
    rows : mapping of matrix to int
        Rows, masks included.
    transcript : Transcript
        In the state of step 7.
    """
    drawn = transcript.draw_array("rows", sum(rows.values()) - _OWN_MASKS)
    found: dict[MatrixName, U64Array] = {}
    for name in MATRICES:
        if name in rows and name != "proof":
            found[name], drawn = drawn[: rows[name]], drawn[rows[name] :]
    data = rows["proof"] - MASK_ROWS
    found["proof"] = np.concatenate([drawn[:data], to_array([ONE, X]), drawn[data:]])
    return found


def by_sub_block(coefficients: U64Array, blocks: int) -> U64Array:
    """Return the coefficients of features by their place in a row (docs/protocol.md, section 3.1).

    Parameters
    ----------
    coefficients : uint64 array [features, 2]
    blocks : int
        g, features in a row.

    Returns
    -------
    uint64 array [g, rows, 2]
        Of the rows that hold these features, the first ones of their matrix.
    """
    rows = -(-len(coefficients) // blocks)
    padded = np.zeros((rows * blocks, 2), np.uint64)
    padded[: len(coefficients)] = coefficients
    return np.ascontiguousarray(padded.reshape(rows, blocks, 2).transpose(1, 0, 2))


def _pad_rows(
    pads: Mapping[int, K], pad_slot: int, row_slots: int
) -> dict[tuple[MatrixName, int], U64Array]:
    """Return the coefficients of the slots of pads, which hold c0 and c1 of c0 + c1 X."""
    found: dict[tuple[MatrixName, int], U64Array] = {}
    for pad, coefficient in pads.items():
        for i, part in enumerate((coefficient, coefficient * X)):
            row, slot = divmod(pad_slot + 2 * pad + i, row_slots)
            if ("proof", row) not in found:
                found["proof", row] = np.zeros((row_slots, 2), np.uint64)
            found["proof", row][slot] = part.to_array()
    return found
