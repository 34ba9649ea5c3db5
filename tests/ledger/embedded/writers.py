"""Several processes that write at once: to one ledger, or to copies of it with one key.

python -m tests.ledger.embedded.writers
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
from multiprocessing.context import ForkContext
from pathlib import Path

from ledger import Ledger, errors
from ledger.tlog.note import Checkpoint
from tests.ledger.embedded.embedded_world import KEY, PEOPLE, copy_of, create, mark_size, payments
from tests.ledger.ledger_world import OPERATOR

_COMMITS = 15


def write(folder: Path, mark: Path, number: int, start, said) -> None:
    """Append until it is enough, or until another one went on; says what was acknowledged."""
    done, code = [], ""
    with Ledger.open(folder, OPERATOR, mark=mark) as ledger:
        entries = payments(ledger, 2 * _COMMITS, PEOPLE[number], PEOPLE[number - 1])
        start.wait()
        try:
            for begin in range(0, len(entries), 2):
                items = [(entry, ()) for entry in entries[begin : begin + 2]]
                done += [receipt.encode() for receipt in ledger.append_many(items)]
        except errors.LedgerRolledBack as error:
            code = error.code
    said.put((number, done, code))


def together(folders: list[Path], mark: Path) -> dict[int, tuple[list[str], str]]:
    context: ForkContext = multiprocessing.get_context("fork")
    start, said = context.Barrier(len(folders)), context.Queue()
    processes = [
        context.Process(target=write, args=(folder, mark, number, start, said))
        for number, folder in enumerate(folders)
    ]
    for process in processes:
        process.start()
    found = {}
    for _ in processes:
        number, done, code = said.get(timeout=120)
        found[number] = (done, code)
    for process in processes:
        process.join()
    return found


def one_ledger(place: Path) -> None:
    """Nobody loses anything, and everyone's receipts are of one history."""
    mark = place / "keys" / "mark"
    create(place / "log", mark).close()
    found = together([place / "log"] * 3, mark)
    assert all(len(done) == 2 * _COMMITS and not code for done, code in found.values())
    with Ledger.open(place / "log", OPERATOR, mark=mark) as ledger:
        assert ledger.state.size == 4 + 6 * _COMMITS
        size_of = {ledger.receipt(i).encode() for i in range(4, ledger.state.size)}
        assert size_of == {text for done, _ in found.values() for text in done}
        assert ledger.audit(log=KEY).ok


def copies(place: Path) -> None:
    """All but one stop, by name, and what is published of theirs is a prefix of the one's."""
    mark = place / "keys" / "mark"
    create(place / "copy0", mark).close()
    folders = [place / "copy0", *(copy_of(place / "copy0", place / f"copy{i}") for i in (1, 2))]
    found = together(folders, mark)
    going = [number for number, (_, code) in found.items() if not code]
    assert len(going) == 1, found
    assert {code for _, code in found.values()} == {"", "LEDGER_ROLLED_BACK"}
    with Ledger.open(folders[going[0]], OPERATOR, mark=mark) as ledger:
        assert ledger.audit(log=KEY).ok
        assert mark_size(mark) == ledger.state.size == 4 + 2 * _COMMITS
        leaf = {ledger.entry(i).encode() for i in range(ledger.state.size)}
        for number, folder in enumerate(folders):
            if number != going[0]:
                # Nothing of it was acknowledged, signed or published, not even to itself.
                assert found[number][0] == []
                with Ledger.open(folder) as stopped:
                    assert {e.encode() for e in stopped.entries()} < leaf
                    assert stopped.state.size == 4
                note = (folder / "tlog" / "checkpoint").read_text()
                assert Checkpoint.open(note, KEY).size == 4


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="zkpot-writers-") as name:
        for act in (one_ledger, copies):
            place = Path(name) / act.__name__
            place.mkdir()
            act(place)
            shutil.rmtree(place)
    sys.stdout.write("writers agree\n")


if __name__ == "__main__":
    main()
