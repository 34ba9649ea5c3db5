from dataclasses import replace

import numpy as np
import pytest

from circuits.errors import ProofRejected
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.params import Profile
from circuits.sumcheck.proof_bytes import Opening, Proof, Shape, element_bytes, encode, parse

PROFILE = Profile(6)
SHAPE = Shape(PROFILE, 2, 3, {"proof": 7, "shard": 3, "model": 2})
NODES = 400


def some_proof(shape=SHAPE, nodes=NODES):
    rng = np.random.default_rng(1)

    def elements(*size):
        return rng.integers(0, MODULUS, size, dtype=np.uint64)

    def octets(*size):
        return rng.integers(0, 256, size, dtype=np.uint8)

    t = shape.profile.opened
    return Proof(
        rng.bytes(32),
        elements(shape.differences, 2),
        elements(shape.messages, 2),
        elements(shape.profile.degree, 2),
        elements(shape.profile.linear_degree, 2),
        {
            name: Opening(octets(t, 32), elements(t, rows), octets(nodes, 32))
            for name, rows in shape.rows.items()
        },
    )


def rejected(data, shape=SHAPE):
    with pytest.raises(ProofRejected) as refused:
        parse(data, shape)
    assert refused.value.check == "encoding"


def test_bytes_are_in_the_order_of_the_specification():
    proof = some_proof()
    expected = proof.root
    for part in (proof.differences, proof.messages, proof.u, proof.q):
        for pair in part.tolist():
            expected += b"".join(c.to_bytes(8, "little") for c in pair)
    for name in ("shard", "model", "proof"):
        opening = proof.openings[name]
        for salt, column in zip(opening.salts, opening.columns.tolist(), strict=True):
            expected += salt.tobytes() + b"".join(v.to_bytes(8, "little") for v in column)
        expected += opening.nodes.tobytes()
    assert encode(proof) == expected


@pytest.mark.parametrize("rows", [SHAPE.rows, {"shard": 1, "proof": 6}])
@pytest.mark.parametrize("nodes", [0, 1, NODES])
def test_parsing_returns_what_was_encoded(rows, nodes):
    shape = replace(SHAPE, rows=rows)
    proof = some_proof(shape, nodes)
    found = parse(encode(proof), shape)
    assert found.root == proof.root
    for name in ("differences", "messages", "u", "q"):
        assert np.array_equal(getattr(found, name), getattr(proof, name))
        assert getattr(found, name).dtype == np.uint64
    assert list(found.openings) == [name for name in ("shard", "model", "proof") if name in rows]
    for name, opening in found.openings.items():
        for part in ("salts", "columns", "nodes"):
            assert np.array_equal(getattr(opening, part), getattr(proof.openings[name], part))


@pytest.mark.parametrize("change", [1, 8, 16, 31, 32, 64, 95])
def test_other_lengths_are_refused(change):
    data = encode(some_proof())
    rejected(data[:-change])
    rejected(data + bytes(change))


def test_no_length_is_parsed_beyond_the_possible():
    rejected(b"")
    rejected(bytes(32))
    nodeless = encode(some_proof(nodes=0))
    rejected(nodeless[:-96])
    # No multiproof of t positions has more than t log2(L) nodes.
    most = PROFILE.opened * 9
    assert len(parse(nodeless + bytes(96 * most), SHAPE).openings["shard"].nodes) == most
    rejected(nodeless + bytes(96 * (most + 1)))


@pytest.mark.parametrize("value", [MODULUS, 2**64 - 1])
@pytest.mark.parametrize("part", ["differences", "messages", "u", "q", "shard", "model", "proof"])
def test_elements_are_below_the_modulus(part, value):
    proof = some_proof()
    array = proof.openings[part].columns if part in SHAPE.rows else getattr(proof, part)
    array[-1, -1] = MODULUS - 1
    parse(encode(proof), SHAPE)
    array[-1, -1] = value
    rejected(encode(proof))


def test_elements_are_little_endian():
    assert element_bytes(np.array([[1, 2**63]], np.uint64)) == bytes([1, *[0] * 14, 128])
