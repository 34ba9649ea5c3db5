"""An audit that is interrupted goes on where it was, if the log is still the one it was about."""

import shutil

import pytest

from circuits.encoding import canonical_json
from circuits.errors import CorruptedArtefact, ProofRejected
from ledger import Ledger
from ledger.embedded.resume import Resume
from tests.ledger.ledger_world import ALICE, BOB, OPERATOR, ORIGIN, filled, submit, verify
from verifier.verdict import Verdict


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A ledger with two proofs, at 10 and 12, their credits after them."""
    folder = tmp_path_factory.mktemp("template") / "log"
    with Ledger.init(folder, ORIGIN, OPERATOR, allow_insecure_srs=False) as ledger:
        task = filled(ledger)
        submit(ledger, task, ALICE, "m", 80)
        submit(ledger, task, BOB, "n", 90)
    return folder


@pytest.fixture
def log(template, tmp_path):
    return shutil.copytree(template, tmp_path / "log")


class Verifier:
    """Counts, and is interrupted after so many proofs."""

    def __init__(self, most=99):
        self.seen, self.most = 0, most

    def __call__(self, bundle, pins):
        if self.seen == self.most:
            raise KeyboardInterrupt
        self.seen += 1
        return verify(bundle, pins)


def audited(log, verifier, resume):
    with Ledger.open(log) as ledger:
        return ledger.audit(verifier, resume=resume)


def test_interrupted_and_resumed(log, tmp_path):
    file = tmp_path / "audit.json"
    with pytest.raises(KeyboardInterrupt):
        audited(log, Verifier(1), file)
    assert (Resume.load(file).size, Resume.load(file).proofs) == (11, 1)
    again = Verifier()
    report = audited(log, again, file)
    assert (report.fault, report.proofs, report.resumed, again.seen) == (None, 1, 1, 1)
    assert (Resume.load(file).size, Resume.load(file).proofs) == (14, 2)
    # And all of it was seen once: only what is new is verified from now on.
    done = Verifier()
    assert audited(log, done, file).resumed == 2
    assert done.seen == 0


def test_without_proofs_nothing_is_noted(log, tmp_path):
    assert audited(log, None, tmp_path / "audit.json").ok
    assert not (tmp_path / "audit.json").exists()


def test_a_bad_proof_is_not_noted(log, tmp_path):
    file = tmp_path / "audit.json"

    def strict(bundle, pins):
        found = verify(bundle, pins)
        bad = ProofRejected("pairing", "does not hold")
        return found if found.statement.correct == 80 else Verdict(None, (), bad)

    for _ in range(2):
        assert "pairing" in audited(log, strict, file).fault
        assert Resume.load(file).size == 11


def test_another_history_of_the_same_log(log, tmp_path):
    """The file is of a log that the entries here do not begin with."""
    file = tmp_path / "audit.json"
    audited(log, Verifier(), file)
    kept = Resume.load(file)
    for size, root, log_key, said in (
        (11, "11" * 32, kept.log, "not those audited before"),
        (kept.size, kept.root, "other+00000000+AAAA", "not those audited before"),
        (15, kept.root, kept.log, "entries lost"),
    ):
        file.write_bytes(Resume(log_key, size, root, 1).encode())
        assert said in audited(log, Verifier(), file).fault


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        canonical_json({"version": 1, "log": "x", "size": "11", "root": "00" * 32, "proofs": 1}),
        canonical_json({"version": 2, "log": "x", "size": 11, "root": "00" * 32, "proofs": 1}),
        canonical_json({"version": 1, "log": "x", "size": 11, "root": "00", "proofs": 1}),
    ],
)
def test_some_other_file(log, tmp_path, data):
    (tmp_path / "audit.json").write_bytes(data)
    with pytest.raises(CorruptedArtefact):
        audited(log, None, tmp_path / "audit.json")
    assert (tmp_path / "audit.json").read_bytes() == data


def test_progress_is_told(log):
    told = []
    with Ledger.open(log) as ledger:
        ledger.audit(progress=lambda *now: told.append(now))
    assert told[0] == ("entries", 0, 14)
    assert told[-1] == ("entries", 14, 14)
