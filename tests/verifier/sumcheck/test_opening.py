"""What an opening proves, and that nothing else passes (docs/protocol.md, section 6)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opening_world import PADS, violated, world

from circuits.errors import CorruptedArtefact, ProofRejected
from circuits.sumcheck.affine import Affine, Functional
from circuits.sumcheck.columns import Tree, leaf_hashes
from circuits.sumcheck.commitment import Matrix, commit, restore
from circuits.sumcheck.field import P
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.field_k import ONE, K
from circuits.sumcheck.ntt_code import encode as codeword
from circuits.sumcheck.params import BLOWUP
from circuits.sumcheck.proof_bytes import encode, parse
from prover.sumcheck import opening as prover

LAST = np.uint64(MODULUS - 1)


@pytest.fixture(scope="module")
def honest():
    return world()


@pytest.fixture(scope="module")
def proof(honest):
    return honest.prove()


def rejected(made, data, check=None):
    with pytest.raises(ProofRejected) as refused:
        made.verify(data)
    assert check in (None, refused.value.check)
    return refused.value.check


def plus_one(array, *place):
    """A copy of an array of field elements, one of them larger by one."""
    array = array.copy()
    array[place] = 0 if array[place] == LAST else array[place] + np.uint64(1)
    return array


@pytest.mark.parametrize(
    ("kappa", "a", "model"),
    [
        (6, 4, True),
        (6, 6, True),  # one feature in a row
        (6, 0, True),  # one sample
        (7, 3, False),
        (8, 8, False),
        (8, 5, True),
        (9, 7, True),
    ],
)
def test_honest_openings_are_accepted(kappa, a, model):
    made = world(kappa, a, seed=kappa, model=model)
    made.verify(made.prove())


def test_restored_matrices_open_as_well(honest):
    values, seed = honest.matrices["shard"].values, bytes(32)
    shard = restore(values, seed, commit(values, seed).leaves)
    made = replace(honest, matrices={**honest.matrices, "shard": shard})
    made.verify(made.prove())


def test_nothing_to_prove_is_provable(honest):
    made = replace(honest, constraints=[])
    made.verify(made.prove())


def test_unused_slots_are_without_effect(honest):
    """All of them are random already; here is another value in the last."""
    values = honest.matrices["shard"].values.copy()
    values[-1, -1] ^= np.uint64(1)
    made = replace(honest, matrices={**honest.matrices, "shard": commit(values, bytes(32))})
    made.verify(made.prove())


@pytest.mark.parametrize("by", [1, -1, MODULUS // 2])
@pytest.mark.parametrize("which", range(4))
def test_violated_constraint_is_refused(honest, which, by):
    constraints = list(honest.constraints)
    constraints[which] = constraints[which] + K(0, 1) * by
    made = replace(honest, constraints=constraints)
    rejected(made, made.prove(), "sum")


def test_other_constraints_than_those_proven_are_refused(honest, proof):
    rejected(violated(honest), proof, "sum")
    rejected(replace(honest, constraints=honest.constraints[::-1]), proof, "sum")
    # The same sum, and nothing said of a pad: only the columns tell.
    first = honest.constraints[0] + Affine(K(0), {PADS - 1: ONE})
    rejected(replace(honest, constraints=[first, *honest.constraints[1:]]), proof, "linear")
    rejected(replace(honest, pad_slot=honest.pad_slot - 1), proof, "linear")


@pytest.mark.parametrize("matrix", ["shard", "model", "proof"])
def test_every_coefficient_counts(honest, proof, matrix):
    first = honest.constraints[0]
    coefficients = first.functional.features[matrix, "lookup"]
    for place in (0, len(coefficients) - 1):
        features = dict(first.functional.features)
        features[matrix, "lookup"] = plus_one(coefficients, place, 1)
        altered = replace(first, functional=Functional(features))
        made = replace(honest, constraints=[altered, *honest.constraints[1:]])
        rejected(made, proof, "linear")


@pytest.mark.parametrize("vector", ["lookup", "zero", "samples"])
def test_every_entry_of_a_vector_counts(honest, proof, vector):
    vectors = dict(honest.vectors)
    vectors[vector] = plus_one(vectors[vector], -1, 0)
    rejected(replace(honest, vectors=vectors), proof, "linear")


def altering(monkeypatch, name, alter):
    """Have the prover alter a polynomial before it is absorbed."""
    original = getattr(prover, name)
    monkeypatch.setattr(prover, name, lambda *arguments: alter(original(*arguments)))


@pytest.mark.parametrize("place", [0, 5, 64, 95])
def test_another_u_is_refused(honest, monkeypatch, place):
    altering(monkeypatch, "_polynomial", lambda u: plus_one(u, place, 0))
    rejected(honest, honest.prove(), "proximity")


@pytest.mark.parametrize(("place", "check"), [(0, "sum"), (128, "sum"), (5, "linear")])
def test_another_q_is_refused(honest, monkeypatch, place, check):
    altering(monkeypatch, "_linear_polynomial", lambda q: plus_one(q, place, 1))
    rejected(honest, honest.prove(), check)


def test_q_of_the_wrong_rows_and_the_right_sum_is_refused(honest, monkeypatch):
    """The violation is taken out of q where it shows in the sum: the columns disagree."""
    made = violated(honest)
    r = prover.combine([Affine(ONE)], 0, 64, made.transcript()).constant * K.of(-1)

    def settle(q):
        settled = q.copy()
        settled[0] = (K(*q[0].tolist()) - r / 64).to_array()
        return settled

    altering(monkeypatch, "_linear_polynomial", settle)
    rejected(made, made.prove(), "linear")


def test_polynomials_changed_afterwards_move_the_positions(honest, proof):
    parsed = parse(proof, honest.shape)
    for changed in (
        replace(parsed, u=plus_one(parsed.u, 3, 0)),
        replace(parsed, q=plus_one(parsed.q, 3, 0)),
    ):
        rejected(honest, encode(changed), "columns")


@pytest.mark.parametrize("matrix", ["shard", "model", "proof"])
@pytest.mark.parametrize("part", ["salts", "columns", "nodes"])
def test_columns_are_those_of_the_commitment(honest, proof, matrix, part):
    parsed = parse(proof, honest.shape)
    opening = parsed.openings[matrix]
    array = getattr(opening, part).copy()
    for place in (0, -1):
        array[place, -1] ^= array.dtype.type(1)
        openings = {**parsed.openings, matrix: replace(opening, **{part: array})}
        rejected(honest, encode(replace(parsed, openings=openings)), "columns")
        array[place, -1] ^= array.dtype.type(1)


@pytest.mark.parametrize("matrix", ["shard", "model"])
def test_roots_are_those_of_the_owners(honest, proof, matrix):
    other = commit(honest.matrices[matrix].values, bytes(32))
    made = replace(honest, matrices={**honest.matrices, matrix: other})
    rejected(made, proof, "columns")


def test_root_of_the_proof_matrix_is_part_of_the_transcript(honest, proof):
    rejected(honest, bytes([proof[0] ^ 1]) + proof[1:], "sum")


def test_columns_of_two_matrices_may_not_be_exchanged(honest, proof):
    values = honest.matrices["shard"].values
    made = replace(honest, matrices={**honest.matrices, "model": commit(values, bytes(32))})
    made.settle()
    data = made.prove()
    made.verify(data)
    parsed = parse(data, made.shape)
    shard, model = parsed.openings["shard"], parsed.openings["model"]
    swapped = {**parsed.openings, "shard": model, "model": shard}
    rejected(made, encode(replace(parsed, openings=swapped)), "columns")


def test_nodes_are_as_many_as_the_positions_call_for(honest, proof):
    parsed = parse(proof, honest.shape)
    cut = {
        name: replace(opening, nodes=opening.nodes[1:]) for name, opening in parsed.openings.items()
    }
    rejected(honest, encode(replace(parsed, openings=cut)), "columns")
    rejected(honest, proof + bytes(96), "columns")
    rejected(honest, proof[:-1], "encoding")
    rejected(honest, proof + b"\0", "encoding")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_byte_may_change(honest, proof, data):
    made_up = slice(32, 32 + 16 * 5)  # differences and messages, which other parts read
    place = data.draw(
        st.integers(0, len(proof) - 1).filter(lambda i: not made_up.start <= i < made_up.stop)
    )
    changed = bytearray(proof)
    changed[place] ^= data.draw(st.integers(1, 255))
    rejected(honest, bytes(changed))


def test_elements_are_canonical(honest, proof):
    parsed = parse(proof, honest.shape)
    column = parsed.openings["shard"].columns.copy()
    column[0, 0] = P
    openings = {**parsed.openings, "shard": replace(parsed.openings["shard"], columns=column)}
    rejected(honest, encode(replace(parsed, openings=openings)), "encoding")


def with_masks(made, alter):
    """The same proof matrix with other masks: `alter` gets values and tail of all rows."""
    old = made.matrices["proof"]
    values, tail = old.values.copy(), old.tail.copy()
    alter(values, tail)
    code = codeword(values, tail, BLOWUP)
    salts = np.zeros((len(code), 32), np.uint8)
    matrix = Matrix(values, tail, salts, Tree(leaf_hashes(code, salts)), code)
    return replace(made, matrices={**made.matrices, "proof": matrix})


def test_mask_that_sums_to_something_cancels_no_constraint(honest):
    """As if the first constraint and the mask had the same coefficient."""

    def alter(values, tail):
        values[-4] = plus_one(values[-4], 0)

    made = with_masks(honest, alter)
    rejected(made, made.prove(), "sum")
    for by in (1, -1):
        lying = violated(made, by)
        rejected(lying, lying.prove(), "sum")


def test_mask_of_too_high_degree_is_refused(honest):
    def alter(values, tail):
        tail[-1, -1] = 1

    made = with_masks(honest, alter)
    rejected(made, made.prove(), "linear")


@pytest.mark.parametrize("row", [0, 4, 5, 6, 9])  # data, m0, m1, a0, b1
def test_row_that_is_no_codeword_is_refused(honest, row):
    old = honest.matrices["proof"]
    code = codeword(old.values, old.tail, BLOWUP)
    rng = np.random.default_rng(row)
    code[::2, row] = rng.integers(0, MODULUS, len(code[::2]), dtype=np.uint64)
    salts = np.zeros((len(code), 32), np.uint8)
    matrix = Matrix(old.values, old.tail, salts, Tree(leaf_hashes(code, salts)), code)
    made = replace(honest, matrices={**honest.matrices, "proof": matrix})
    rejected(made, made.prove(), "proximity")


def test_prover_opens_only_what_was_committed(honest):
    old = honest.matrices["model"]
    values, salts = plus_one(old.values, 1, 1), np.zeros((len(old.leaves), 32), np.uint8)
    model = Matrix(values, old.tail, salts, Tree(old.leaves))
    made = replace(honest, matrices={**honest.matrices, "model": model})
    with pytest.raises(CorruptedArtefact):
        made.prove()
