"""Published tiles are those of C2SP tlog-tiles, and nothing else is read from them."""

import hashlib
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circuits.errors import MissingArtefact
from circuits.merkle import leaf_hash, root
from ledger import errors
from ledger.embedded.publish import Publication
from ledger.embedded.tiles import (
    Tile,
    TileReader,
    content,
    decode_bundle,
    folder_fetch,
    required,
    tiles_of,
)
from ledger.embedded.tree import Tree
from ledger.tlog.note import Checkpoint, VerifierKey
from tests.ledger.ledger_world import ALICE, OPERATOR, ORIGIN

KEY = VerifierKey(ORIGIN, OPERATOR.public)
ENTRIES = [b"entry %d" % i * (i % 5) for i in range(700)]


def tree_of(size):
    tree = Tree()
    for entry in ENTRIES[:size]:
        tree.append(leaf_hash(entry))
    return tree


def note(size, signer=OPERATOR, entries=ENTRIES):
    top = root([leaf_hash(e) for e in entries[:size]])
    return Checkpoint(ORIGIN, size, top).sign(signer)


def notes(*sizes):
    return {size: note(size) for size in sizes}


def read(start, count):
    return ENTRIES[start : start + count]


def publish(folder, size, sizes=(), since=0):
    published = Publication.of(folder)
    published.publish(tree_of(size), read, sizes, note(size), since)
    return published


def files(folder):
    return {
        p.relative_to(folder / "tlog").as_posix(): p.read_bytes()
        for p in (folder / "tlog").rglob("*")
        if p.is_file()
    }


# Names, as the specification gives them


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(1, 999, 3), "tile/1/999.p/3"),
        (Tile(63, 1000, 255), "tile/63/x001/000.p/255"),
        (Tile(-1, 1000000), "tile/entries/x001/x000/000"),
    ],
)
def test_paths(tile, path):
    assert tile.path == path
    assert Tile.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/00/000",
        "tile/64/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/-1/000",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/../000",
        "checkpoint",
    ],
)
def test_no_paths(path):
    assert Tile.parse(path) is None


def test_the_examples_of_the_specification():
    tiles = list(tiles_of(70_000))
    count = {level: [t.width for t in tiles if t.level == level] for level in (-1, 0, 1, 2)}
    assert count[-1] == count[0] == [256] * 273 + [112]
    assert (count[1], count[2]) == ([256, 17], [1])
    assert [t for t in tiles_of(256) if t.level >= 0] == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == []


def test_hashes_and_bundles_as_defined():
    tree = tree_of(600)
    assert content(Tile(0, 1), tree, ()) == b"".join(map(leaf_hash, ENTRIES[256:512]))
    expected = b"".join(root([leaf_hash(e) for e in ENTRIES[i : i + 256]]) for i in (0, 256))
    assert content(Tile(1, 0, 2), tree, ()) == expected
    assert content(Tile(-1, 0, 2), tree, [b"", b"ab"]) == b"\x00\x00\x00\x02ab"
    long = b"x" * 65_535
    assert decode_bundle(content(Tile(-1, 0, 1), tree, [long]), Tile(-1, 0, 1)) == [long]


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\1", b"\0\1ab", b"\0\1a\0", b"\0\1a\0\1b\0\0"])
def test_a_malformed_bundle(data):
    with pytest.raises(errors.LedgerCorrupt):
        decode_bundle(data, Tile(-1, 0, 2))


# Publishing and reading back


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 700])
def test_published_and_read_back(tmp_path, size):
    publish(tmp_path, size)
    tree, entries = TileReader(folder_fetch(tmp_path / "tlog"), KEY).rebuild()
    assert entries == ENTRIES[:size]
    assert tree.root() == tree_of(size).root()
    assert files(tmp_path)["checkpoint"] == note(size).encode()
    assert set(files(tmp_path)) == {t.path for t in tiles_of(size)} | {"checkpoint"}


def test_step_by_step_or_at_once(tmp_path):
    """Every older checkpoint's tiles stay there, or full ones in their place."""
    sizes = [1, 2, 250, 256, 260, 300, 513, 514]
    since = 0
    for size in sizes:
        publish(tmp_path / "steps", size, since=since)
        since = size
    publish(tmp_path / "once", 514, sizes)
    steps, once = files(tmp_path / "steps"), files(tmp_path / "once")
    assert steps == once
    assert set(steps) == {t.path for t in required(sizes, 514)} | {"checkpoint"}
    for size in sizes:
        (tmp_path / "steps" / "tlog" / "checkpoint").write_text(note(size))
        reader = TileReader(folder_fetch(tmp_path / "steps" / "tlog"), KEY)
        assert reader.rebuild()[1] == ENTRIES[:size]


def test_publishing_again_changes_nothing(tmp_path):
    publish(tmp_path, 300)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "tlog" / "tile").rglob("*")}
    publish(tmp_path, 300)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "tlog" / "tile").rglob("*")} == before


def test_what_is_lost_is_published_again(tmp_path):
    publish(tmp_path, 300, [10, 270])
    whole = files(tmp_path)
    for name in whole:
        (tmp_path / "tlog" / name).unlink()
        publish(tmp_path, 300, [10, 270])
        assert files(tmp_path) == whole


def test_another_tile_is_not_replaced(tmp_path):
    published = publish(tmp_path, 3)
    other = [b"x", b"y", b"z"]
    tree = Tree()
    for entry in other:
        tree.append(leaf_hash(entry))
    with pytest.raises(errors.LedgerCorrupt, match=r"tile/entries/000\.p/3"):
        published.publish(tree, lambda s, n: other[s : s + n], [], note(3, entries=other))
    assert TileReader(folder_fetch(published.folder), KEY).rebuild()[1] == ENTRIES[:3]


def test_a_partial_tile_that_was_removed(tmp_path):
    """Whoever has an older checkpoint is served by the full tile."""
    publish(tmp_path, 100)
    publish(tmp_path, 600, since=100)
    assert "tile/0/000.p/100" not in files(tmp_path)
    (tmp_path / "tlog" / "checkpoint").write_text(note(100))
    assert TileReader(folder_fetch(tmp_path / "tlog"), KEY).rebuild()[1] == ENTRIES[:100]


def test_reading_from_the_middle(tmp_path):
    publish(tmp_path, 600)
    reader = TileReader(folder_fetch(tmp_path / "tlog"), KEY)
    for start in (0, 1, 255, 256, 300, 599, 600):
        assert list(reader.entries(start)) == ENTRIES[start:600]


def test_nothing_published(tmp_path):
    assert Publication.of(tmp_path).note() is None
    with pytest.raises(MissingArtefact):
        TileReader(folder_fetch(tmp_path), KEY)


def test_an_unwritable_place(tmp_path):
    (tmp_path / "tlog").write_bytes(b"")
    with pytest.raises(errors.StorageFailed):
        publish(tmp_path, 1)


def test_leftovers_of_an_interrupted_write(tmp_path):
    published = publish(tmp_path, 3)
    left = published.folder / "tile" / "0" / ".000.abc"
    left.write_bytes(b"half")
    published.clean()
    assert not left.exists()
    assert len(files(tmp_path)) == 3


# Anything else is found


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    publish(folder, 600, [3, 590])
    return folder


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_flipped_bit(good, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    shutil.copytree(good / "tlog", folder / "tlog")
    published = Publication.of(folder)
    path = folder / "tlog" / data.draw(st.sampled_from(sorted(files(good))))
    spoilt = bytearray(path.read_bytes())
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(spoilt)
    with pytest.raises((errors.LedgerCorrupt, errors.BadNote)):
        reader = published.reader(KEY, published.note())
        published.check(reader, tree_of(600), read, notes(3, 590, 600))


def test_a_reader_checks_what_it_needs(good, tmp_path):
    for tile in tiles_of(600):
        folder = tmp_path / hashlib.sha256(tile.path.encode()).hexdigest()
        shutil.copytree(good / "tlog", folder)
        path = folder / tile.path
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(errors.LedgerCorrupt):
            TileReader(folder_fetch(folder), KEY).rebuild()
        path.unlink()
        with pytest.raises(errors.LedgerCorrupt, match=tile.path):
            TileReader(folder_fetch(folder), KEY).rebuild()


def test_a_checkpoint_of_another_log(good, tmp_path):
    shutil.copytree(good / "tlog", tmp_path / "tlog")
    published = Publication.of(tmp_path)
    (published.folder / "checkpoint").write_text(note(600, ALICE))
    with pytest.raises(errors.BadNote):
        published.reader(KEY, published.note())
    # The log's own, but of entries that are not the published ones.
    other = [b"other", *ENTRIES[1:]]
    (published.folder / "checkpoint").write_text(note(600, entries=other))
    with pytest.raises(errors.LedgerCorrupt):
        published.reader(KEY, published.note()).rebuild()


def test_a_check_while_the_log_grows(good, tmp_path):
    """A reader's view is of one moment; what is published later does not disturb it."""
    shutil.copytree(good / "tlog", tmp_path / "tlog")
    published = Publication.of(tmp_path)
    reader = published.reader(KEY, published.note())
    publish(tmp_path, 700, since=600)
    for tree in (tree_of(600), tree_of(650)):
        published.check(reader, tree, read, notes(3, 590, 600, 650))
