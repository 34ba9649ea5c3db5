"""A log that lies: it shows one history to some and another to others, all of it well signed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.errors import MissingArtefact
from circuits.merkle import leaf_hash
from ledger import Ledger, Receipt, entries, errors
from ledger.embedded.tiles import CHECKPOINT, Tile, TileReader, content, tiles_of
from ledger.embedded.tree import Tree
from ledger.envelope import SignedEntry
from ledger.service.errors import LogForked
from ledger.service.watch import NEWEST, Watch
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import Checkpoint, VerifierKey
from ledger.tlog.quorum import Quorum
from ledger.tlog.witness import Witness
from tests.ledger.embedded.embedded_world import GRANTS, KEY, pay
from tests.ledger.ledger_world import ALICE, BOB, OPERATOR, ORIGIN, signer

_MOST = 600


class View:
    """What a log shows to somebody: entries, and whatever follows from them, signed."""

    def __init__(self, story, fork=_MOST):
        said = [f"{'' if i < fork else story}{i}" for i in range(_MOST)]
        self.entries = [
            SignedEntry.sign(
                entries.IdentityRegister(text), origin=ORIGIN, nonce=0, signer=ALICE
            ).encode()
            for text in said
        ]
        self.tree = Tree()
        for data in self.entries:
            self.tree.append(leaf_hash(data))

    def note(self, size):
        return Checkpoint(ORIGIN, size, self.tree.root(size)).sign(OPERATOR)

    def fetch(self, size):
        """Serve the static files of this view when it has so many entries."""
        files = {CHECKPOINT: self.note(size).encode()}
        for tile in tiles_of(size):
            files[tile.path] = content(
                tile, self.tree, self.entries[tile.start : tile.start + tile.width]
            )

        def fetch(path):
            if path not in files:
                raise MissingArtefact(f"no file {path}")
            return files[path]

        return fetch

    def show(self, watch, size):
        return watch.observe(
            self.note(size), KEY, self.tree.consistency, self.fetch(size), track=NEWEST
        )

    def receipt(self, index, size, note=None):
        proof = tuple(self.tree.inclusion(index, size))
        return Receipt(index, self.entries[index], proof, note or self.note(size))


HONEST = View("")
FORKS = {fork: View("not ", fork) for fork in (0, 1, 100, 255, 256, 300, 511)}

sizes = st.integers(1, _MOST)


@settings(max_examples=60)
@given(first=sizes, second=sizes, third=sizes)
def test_an_honest_log_is_believed(first, second, third):
    watch = Watch(None)
    for size in sorted((first, second, third)):
        assert HONEST.show(watch, size).size == size


@settings(max_examples=60)
@given(fork=st.sampled_from(sorted(FORKS)), old=sizes, new=sizes)
def test_who_has_seen_one_history_sees_that_there_is_another(fork, old, new):
    lie, watch = FORKS[fork], Watch(None)
    HONEST.show(watch, old)
    if new >= old > fork:
        with pytest.raises(LogForked):
            lie.show(watch, new)
        # What was seen first is still what counts.
        assert watch.seen == Checkpoint.open(HONEST.note(old), KEY)
    elif new < old:
        with pytest.raises(errors.LedgerRolledBack):
            lie.show(watch, new)
    else:
        # Up to the fork the two are one.
        lie.show(watch, new)


@pytest.mark.parametrize(("old", "new"), [(400, 400), (301, 302), (400, 600), (512, 600)])
def test_what_the_log_signed_convicts_it(tmp_path, old, new):
    watch = Watch(tmp_path / "seen")
    HONEST.show(watch, old)
    with pytest.raises(LogForked):
        FORKS[300].show(Watch(tmp_path / "seen"), new)
    evidence = Evidence.decode(watch.evidence_path.read_bytes())
    offence = evidence.verify([KEY])
    assert (offence.key, offence.first.size, offence.second.size) == (KEY, old, new)
    with pytest.raises(errors.BadEvidence):
        evidence.verify([VerifierKey(ORIGIN, ALICE.public)])


def test_two_who_are_lied_to_find_out_together():
    """Each view is sound by itself, to the last tile; the checkpoints are not."""
    alice, bob = Watch(None), Watch(None)
    for size in (10, 310, 400):
        HONEST.show(alice, size)
        FORKS[300].show(bob, size)
    for view in (HONEST, FORKS[300]):
        assert TileReader(view.fetch(400), KEY).rebuild()[1] == view.entries[:400]
    assert alice.seen.size == bob.seen.size == 400
    notes = [view.note(400) for view in (HONEST, FORKS[300])]
    assert Evidence.of(KEY, *notes).verify([KEY]).same_size


def test_witnesses_cosign_one_history(tmp_path):
    """With a quorum that overlaps, a receipt from the other history verifies for nobody."""
    lie = FORKS[300]
    cast = [
        Witness.create(tmp_path / name, f"{name}.example", signer(name), [KEY])
        for name in ("w1", "w2", "w3")
    ]
    quorum = Quorum(2, tuple(witness.key for witness in cast))

    def cosigned(view, size, old, *witnesses):
        proof = view.tree.consistency(old, size)
        lines = [witness.add_checkpoint(old, proof, view.note(size)) for witness in witnesses]
        return view.note(size) + "".join(f"{line.strip()}\n" for line in lines)

    cosigned(HONEST, 310, 0, *cast)
    note = cosigned(HONEST, 400, 310, *cast[:2])
    assert HONEST.receipt(350, 400, note).verify(KEY, quorum)
    # The third has not seen the honest 400, and still not the other history either.
    for witness, old in ((cast[0], 400), (cast[2], 310)):
        with pytest.raises((errors.NotConsistent, errors.WitnessConflict)):
            cosigned(lie, 400, old, witness)
    with pytest.raises(errors.NoQuorum):
        lie.receipt(350, 400).verify(KEY, quorum)
    assert cast[0].evidence(ORIGIN).verify([KEY]).same_size


def test_a_receipt_is_of_one_history_only():
    assert HONEST.receipt(350, 400).verify(KEY)
    with pytest.raises(errors.BadNote):
        FORKS[300].receipt(350, 400, HONEST.note(400)).verify(KEY)


def test_tiles_of_the_one_under_the_checkpoint_of_the_other():
    fetch, other = HONEST.fetch(400), FORKS[300].fetch(400)
    honest_note = fetch(CHECKPOINT).decode()
    with pytest.raises(errors.LedgerCorrupt):
        TileReader(other, KEY, honest_note).rebuild()
    mixed = Tile(-1, 1, 144).path
    with pytest.raises(errors.LedgerCorrupt):
        TileReader(lambda path: (other if path == mixed else fetch)(path), KEY).rebuild()


def test_it_costs_the_log_its_bond(tmp_path):
    grants = {**GRANTS, OPERATOR.public: 1000}
    with Ledger.init(
        tmp_path / "log", ORIGIN, OPERATOR, allow_insecure_srs=False, grants=grants
    ) as ledger:
        ledger.append(ledger.sign(entries.IdentityRegister("bob"), BOB))
        ledger.append(ledger.sign(entries.Bond(entries.NOTHING, 1000), OPERATOR))
        size, before = ledger.state.size, ledger.balance(BOB.public)
        other = Checkpoint(ORIGIN, size, b"o" * 32).sign(OPERATOR)
        offence = Evidence.of(ledger.key, ledger.checkpoint(), other)
        slash = entries.Slash("equivocation", OPERATOR.public, entries.NOTHING, offence.notes)
        ledger.append(ledger.sign(slash, BOB))
        assert ledger.state.locked(OPERATOR.public, entries.NOTHING) == 0
        assert ledger.balance(BOB.public) == before + 500
        assert ledger.state.burned == 500
        pay(ledger, who=BOB)
        assert ledger.audit().ok
