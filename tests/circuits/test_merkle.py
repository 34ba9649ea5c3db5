"""RFC 6962 trees: published vectors, every small tree, and every way to spoil a proof."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.errors import ProofRejected
from circuits.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# The eight leaves and the roots of their prefixes of certificate-transparency's reference tests.
LEAVES = [
    bytes.fromhex(h)
    for h in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
MANY = [leaf_hash(bytes([i])) for i in range(40)]


def reference_root(hashes):
    """MTH of RFC 6962, 2.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    left, right = reference_root(hashes[:k]), reference_root(hashes[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_empty_tree():
    assert root([]) == EMPTY_ROOT == Frontier().root
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size):
    assert root(HASHES[:size]).hex() == ROOTS[size - 1]


def test_published_proofs():
    path = [h.hex() for h in inclusion_proof(HASHES, 0, 8)]
    assert path == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [h.hex() for h in consistency_proof(HASHES, 6, 8)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_every_small_tree():
    for size in range(len(MANY) + 1):
        assert root(MANY[:size]) == reference_root(MANY[:size])
        for index in range(size):
            proof = inclusion_proof(MANY, index, size)
            verify_inclusion(MANY[index], index, size, proof, root(MANY[:size]))
        for old in range(size + 1):
            proof = consistency_proof(MANY, old, size)
            verify_consistency(old, root(MANY[:old]), size, root(MANY[:size]), proof)


def test_frontier_equals_root():
    frontier = Frontier()
    for size, leaf in enumerate(MANY, start=1):
        frontier = frontier.append(leaf)
        assert (frontier.size, frontier.root) == (size, root(MANY[:size]))


@given(st.data())
def test_spoilt_inclusion_is_refused(data):
    size = data.draw(st.integers(2, len(MANY)))
    index = data.draw(st.integers(0, size - 1))
    proof, top = inclusion_proof(MANY, index, size), root(MANY[:size])
    place = data.draw(st.integers(0, len(proof) - 1))
    spoilt = [
        (MANY[index], index, size, proof[:-1], top),
        (MANY[index], index, size, [*proof, bytes(32)], top),
        (MANY[index], index, size, [*proof[:place], bytes(32), *proof[place + 1 :]], top),
        (MANY[index], index, size, [*proof[:place], bytes(31), *proof[place + 1 :]], top),
        (MANY[index], size, size, proof, top),
        (MANY[index], -1, size, proof, top),
        (MANY[index], (index + 1) % size, size, proof, top),
        (bytes(32), index, size, proof, top),
        (MANY[index], index, size, proof, bytes(32)),
    ]
    for arguments in spoilt:
        with pytest.raises(ProofRejected, match=r"merkle\.inclusion"):
            verify_inclusion(*arguments)


@given(st.data())
def test_spoilt_consistency_is_refused(data):
    new = data.draw(st.integers(2, len(MANY)))
    old = data.draw(st.integers(1, new - 1))
    proof = consistency_proof(MANY, old, new)
    a, b = root(MANY[:old]), root(MANY[:new])
    place = data.draw(st.integers(0, len(proof) - 1))
    spoilt = [
        (old, a, new, b, proof[:-1]),
        (old, a, new, b, [*proof, bytes(32)]),
        (old, a, new, b, [*proof[:place], bytes(32), *proof[place + 1 :]]),
        (old, bytes(32), new, b, proof),
        (old, a, new, bytes(32), proof),
        (new, b, old, a, proof),
        (old, a, old, b, []),
        (0, a, new, b, []),
        (0, EMPTY_ROOT, new, b, proof),
    ]
    for arguments in spoilt:
        with pytest.raises(ProofRejected, match=r"merkle\.consistency"):
            verify_consistency(*arguments)


def test_an_inner_node_is_no_leaf():
    inner = root(MANY[:2])
    with pytest.raises(ProofRejected):
        verify_inclusion(leaf_hash(MANY[0] + MANY[1]), 0, 1, [], inner)


def test_misuse_is_an_error():
    with pytest.raises(ValueError, match="32 bytes"):
        root([b"short"])
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(MANY, 3, 3)
    with pytest.raises(ValueError, match="no trees"):
        consistency_proof(MANY, 4, 3)
