"""Run by `test_witness_processes`: a witness that is killed at every line, and two that race.

It stands alone so that it can fork: the process of the tests has threads of its own. Every
signature that a witness's key ever makes is printed, also one that its maker did not live to
hand out: what was signed, as size and root.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from tlog_world import LOG, W1, Log, signer

from ledger.errors import WitnessRefused
from ledger.tlog.note import Checkpoint, VerifierKey
from ledger.tlog.witness import Witness

TRUE, LIE = Log(16), Log(16, history="other ", fork=5)
TRACED = ("ledger/tlog/witness.py", "ledger/tlog/cosignature.py")
WRITING = ("write_atomic", "sync_folder")


class LeakySigner:
    """A key whose signatures are seen by others as soon as they are made."""

    def __init__(self, run):
        self._signer, self._run = signer(W1.name), run
        self.public = self._signer.public

    def sign(self, message):
        checkpoint = Checkpoint.parse(message.decode().split("\n", 2)[2])
        line = f"{self._run} {checkpoint.origin} {checkpoint.size} {checkpoint.root.hex()}\n"
        signature = self._signer.sign(message)
        os.write(1, line.encode())
        return signature


def ask(folder, run, log, size, logs=(LOG,)):
    """Ask a newly started witness for a size, from wherever it says it is."""
    witness = Witness(folder, W1.name, LeakySigner(run), logs)
    for old in (5, size):
        try:
            return witness.add_checkpoint(old, log.consistency(old, size), log.note(size))
        except WitnessRefused:
            pass
    return None


def child(work):
    """Do `work` in a process of its own; tell whether it came to its end."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), status
    return status == 0


def kill_at(count):
    """Arrange for SIGKILL at the line with that number among those of the witness."""
    left = count

    def trace(frame, event, _arg):
        nonlocal left
        code = frame.f_code
        if not code.co_filename.endswith(TRACED) and code.co_name not in WRITING:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def kill(folder):
    """Kill at the first line, the second, ... until the work is done before."""
    begun = folder / "begun"
    Witness.create(begun, W1.name, LeakySigner("begun"), [LOG]).add_checkpoint(0, (), TRUE.note(5))
    run, finished = 0, False
    while not finished:
        run += 1
        state = folder / str(run)
        shutil.copytree(begun, state)

        def work(state=state, run=run):
            kill_at(run)
            ask(state, run, TRUE, 8)

        finished = child(work)
        # The log tries its luck with another history; then the honest one asks again.
        lied = ask(state, run, LIE, 8)
        told = ask(state, run, TRUE, 8)
        assert (lied is None) != (told is None)
        assert not list(state.glob(".*")), "temporary files are left"


def race(folder, logs):
    """Two processes show one witness two roots of the same size, of many logs."""
    keys = [VerifierKey(f"log.example/{i}", signer(f"log.example/{i}").public) for i in range(logs)]
    Witness.create(folder, W1.name, LeakySigner("none"), keys)
    start, go = os.pipe()
    pids = []
    for history in ("one ", "two "):
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os.read(start, 1)
            witness = Witness(folder, W1.name, LeakySigner(history.strip()), keys)
            for key in keys:
                note = Log(3, history=history, origin=key.name).note(3)
                try:
                    witness.add_checkpoint(0, (), note)
                except WitnessRefused:
                    continue
            os._exit(0)
        pids.append(pid)
    os.close(go)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        kill(Path(sys.argv[2]))
    else:
        race(Path(sys.argv[2]), int(sys.argv[3]))
