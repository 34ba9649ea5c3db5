import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.errors import ProofRejected
from circuits.sumcheck.columns import Tree, check_multiproof, leaf_hashes, multiproof_size


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def as_hashes(listed):
    return np.frombuffer(b"".join(listed), np.uint8).reshape(-1, 32)


LEAVES = as_hashes([sha(bytes([i])) for i in range(64)])


def plain_levels(leaves):
    levels = [[leaf.tobytes() for leaf in leaves]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = zip(below[::2], below[1::2], strict=True)
        levels.append([sha(b"\1", left, right) for left, right in pairs])
    return levels


def plain_multiproof(levels, positions):
    """Section 6.5, word for word."""
    nodes, known = [], sorted(positions)
    for level in levels[:-1]:
        for index in known:
            sibling = index + 1 if index % 2 == 0 else index - 1
            if sibling not in known:
                nodes.append(level[sibling])
        known = sorted({index // 2 for index in known})
    return nodes


some_positions = st.sets(st.integers(0, 63), min_size=1).map(
    lambda found: np.array(sorted(found), np.int64)
)


@pytest.mark.parametrize("rows", [1, 3, 300])
def test_leaves(rows):
    rng = np.random.default_rng(rows)
    columns = rng.integers(0, 2**64, (2100, rows), dtype=np.uint64)  # for more than two threads
    salts = rng.integers(0, 256, (2100, 32), dtype=np.uint8)
    found = leaf_hashes(columns, salts)
    for i in (0, 1, 1023, 1024, 2099):
        column = b"".join(value.to_bytes(8, "little") for value in columns[i].tolist())
        assert found[i].tobytes() == sha(b"\0", salts[i].tobytes(), column)


def test_leaves_of_a_slice_are_those_of_its_values():
    columns = np.arange(40, dtype=np.uint64).reshape(4, 10)
    salts = np.zeros((4, 32), np.uint8)
    found = leaf_hashes(columns[:, ::2], salts)
    assert np.array_equal(found, leaf_hashes(columns[:, ::2].copy(), salts))


@pytest.mark.parametrize("count", [1, 2, 16])
def test_root(count):
    tree = Tree(LEAVES[:count])
    assert tree.root == plain_levels(LEAVES[:count])[-1][0]
    assert np.array_equal(tree.leaves, LEAVES[:count])


@given(some_positions)
def test_multiproof_is_the_plain_one_and_accepted(positions):
    tree = Tree(LEAVES)
    nodes = tree.multiproof(positions)
    expected = plain_multiproof(plain_levels(LEAVES), positions.tolist())
    assert nodes.tobytes() == b"".join(expected)
    assert multiproof_size(positions, 64) == len(expected)
    check_multiproof(LEAVES[positions], positions, 64, nodes, tree.root)


def rejected(leaves, positions, nodes, root, length=64):
    with pytest.raises(ProofRejected) as refused:
        check_multiproof(leaves, np.array(positions, np.int64), length, nodes, root)
    assert refused.value.check == "columns"


@given(some_positions, st.data())
def test_any_other_byte_is_refused(positions, data):
    tree = Tree(LEAVES)
    leaves, nodes = LEAVES[positions], tree.multiproof(positions).copy()
    changed = leaves if len(nodes) == 0 or data.draw(st.booleans()) else nodes
    row = data.draw(st.integers(0, len(changed) - 1))
    changed[row, data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
    rejected(leaves, positions, nodes, tree.root)


def test_other_places_roots_and_numbers_of_nodes_are_refused():
    tree = Tree(LEAVES)
    positions = np.array([3, 4, 17], np.int64)
    leaves, nodes = LEAVES[positions], tree.multiproof(positions)
    rejected(leaves, [3, 5, 17], nodes, tree.root)
    rejected(leaves[::-1], positions, nodes, tree.root)
    rejected(leaves, positions, nodes, bytes(32))
    rejected(leaves, positions, nodes[:-1], tree.root)
    rejected(leaves, positions, np.concatenate([nodes, nodes[:1]]), tree.root)
    # A tree of half as many leaves, with the top of this one for a leaf's sibling.
    rejected(leaves, positions, nodes[:-1], tree.root, length=32)


def test_inner_node_is_no_leaf():
    tree = Tree(LEAVES)
    inner = as_hashes(plain_levels(LEAVES)[1])
    upper = Tree(inner)
    assert upper.root == tree.root
    positions = np.array([5], np.int64)
    nodes = upper.multiproof(positions)
    rejected(inner[positions], positions, nodes, tree.root)
