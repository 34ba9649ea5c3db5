"""Whatever happens to a backend process is one named error, and it never outlives its caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from circuits.errors import WorkerFailed
from circuits.halo2 import process
from circuits.halo2.process import Result, call_ezkl, kill_all

LONG = 120.0
"""Seconds that no test waits for: what should end does so at once."""

FAKE = """
import os, signal, subprocess, sys, time

class PanicException(BaseException):
    pass

def echo(**kwargs):
    return kwargs

async def later(value):
    return value + 1

def nothing():
    return object()

def environment():
    return dict(os.environ)

def noisy():
    print("x" * 100_000)
    print("y" * 100_000, file=sys.stderr)
    return 7

def boom(text):
    raise RuntimeError(text)

def panic(text):
    raise PanicException(text)

def leave(status):
    sys.exit(status)

def die(number):
    os.kill(os.getpid(), number)

def vanish(status):
    os._exit(status)

def hang(notes):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(notes + ".part", "w") as stream:
        stream.write(f"{os.getpid()} {child.pid}")
    os.rename(notes + ".part", notes)
    time.sleep(600)

def grow(megabytes):
    data = bytearray(megabytes << 20)
    data[::4096] = b"x" * len(data[::4096])
    return len(data)

gen_witness = prove = mock = boom
get_srs = environment

class PyRunArgs:
    pass

def arguments(py_run_args):
    return {k: [type(v).__name__, v] for k, v in vars(py_run_args).items()}
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module called ezkl before the real one, in the child as well."""
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "ezkl.py").write_text(FAKE)
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which this process makes its temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def wait_for(notes: Path) -> list[int]:
    deadline = time.monotonic() + LONG
    while not notes.exists():
        assert time.monotonic() < deadline, "the process never started"
        time.sleep(0.01)
    return [int(pid) for pid in notes.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + LONG
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# --- what a call returns


def test_value_and_cost(fake: None, scratch: Path) -> None:
    result = call_ezkl("echo", timeout=LONG, number=3, place=Path("a/b"))
    assert result.value == {"number": 3, "place": "a/b"}
    assert result.seconds >= 0
    assert result.peak_rss > 1 << 20
    assert list(scratch.iterdir()) == []


def test_coroutine_is_awaited(fake: None) -> None:
    assert call_ezkl("later", timeout=LONG, value=4).value == 5


def test_value_that_is_no_json_is_none(fake: None) -> None:
    assert call_ezkl("nothing", timeout=LONG).value is None


def test_output_does_not_disturb(fake: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert call_ezkl("noisy", timeout=LONG).value == 7
    assert capfd.readouterr() == ("", "")


def test_run_arguments_become_attributes(fake: None) -> None:
    asked = {"logrows": 10, "lookup_range": [1, 9], "disable_freivalds": True}
    found = call_ezkl("arguments", timeout=LONG, py_run_args=asked).value
    assert found == {
        "logrows": ["int", 10],
        "lookup_range": ["tuple", [1, 9]],
        "disable_freivalds": ["bool", True],
    }


def test_peak_memory_is_the_childs_own(fake: None) -> None:
    """On Linux a new program starts with the peak of the process that it was forked from."""
    small = call_ezkl("grow", timeout=LONG, megabytes=1).peak_rss
    ballast = bytearray(400 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert call_ezkl("grow", timeout=LONG, megabytes=1).peak_rss < small + (200 << 20)
    del ballast


def test_peak_memory_sees_growth(fake: None) -> None:
    assert call_ezkl("grow", timeout=LONG, megabytes=300).peak_rss > 300 << 20


# --- how a call fails


@pytest.mark.parametrize("function", ["boom", "panic"])
def test_exception_and_panic_are_errors_with_the_first_line(fake: None, function: str) -> None:
    with pytest.raises(WorkerFailed, match="the reason") as caught:
        call_ezkl(function, timeout=LONG, text="the reason\nat src/lib.rs:1")
    assert caught.value.details == {"function": function, "raised": True}
    assert "src/lib.rs" not in caught.value.message
    assert function in caught.value.message


def test_long_message_is_cut(fake: None) -> None:
    with pytest.raises(WorkerFailed) as caught:
        call_ezkl("boom", timeout=LONG, text="z" * 10_000)
    assert len(caught.value.message) < 400


def test_exit_by_exception_is_an_error(fake: None) -> None:
    with pytest.raises(WorkerFailed, match="SystemExit"):
        call_ezkl("leave", timeout=LONG, status=0)


def test_unknown_function_is_an_error(fake: None) -> None:
    with pytest.raises(WorkerFailed, match="no_such_function") as caught:
        call_ezkl("no_such_function", timeout=LONG)
    assert caught.value.details["raised"] is True


@pytest.mark.parametrize(
    ("number", "hint"), [(signal.SIGKILL, True), (signal.SIGSEGV, False), (signal.SIGABRT, False)]
)
def test_killed_by_signal(fake: None, scratch: Path, number: int, hint: bool) -> None:
    with pytest.raises(WorkerFailed, match=f"killed by signal {int(number)}") as caught:
        call_ezkl("die", timeout=LONG, number=int(number))
    # Not "raised": it says nothing of what was asked, so it must not read as a refusal.
    assert caught.value.details == {"function": "die"}
    assert ("out of memory" in caught.value.message) == hint
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("status", [0, 3])
def test_exit_without_a_reply(fake: None, status: int) -> None:
    with pytest.raises(WorkerFailed, match=f"exited with status {status}") as caught:
        call_ezkl("vanish", timeout=LONG, status=status)
    assert "raised" not in caught.value.details


def test_timeout_kills_process_and_children(fake: None, scratch: Path, tmp_path: Path) -> None:
    notes = tmp_path / "pids"
    with pytest.raises(WorkerFailed, match="did not finish within 2 s") as caught:
        call_ezkl("hang", timeout=2.0, notes=notes)
    assert caught.value.details == {"function": "hang"}
    assert notes.exists(), "it must have started, or nothing was shown"
    assert gone(wait_for(notes))
    assert list(scratch.iterdir()) == []


def test_kill_all_ends_calls_of_other_threads(fake: None, tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def work(notes: Path) -> None:
        try:
            call_ezkl("hang", timeout=LONG, notes=notes)
        except BaseException as error:
            failures.append(error)

    places = [tmp_path / "one", tmp_path / "two"]
    threads = [threading.Thread(target=work, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    pids = [pid for place in places for pid in wait_for(place)]
    kill_all()
    for thread in threads:
        thread.join(LONG)
    assert len(failures) == 2
    assert all(isinstance(f, WorkerFailed) and "signal 9" in f.message for f in failures)
    assert gone(pids)
    assert not process._live


def test_kill_all_without_calls_does_nothing() -> None:
    kill_all()
    assert not process._live


def test_interrupt_kills_the_process(
    fake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "pids"

    def interrupted(self: subprocess.Popen[bytes], *args: object, **kwargs: object) -> None:
        assert self.stdin is not None and isinstance(args[0], bytes)
        self.stdin.write(args[0])
        self.stdin.close()
        wait_for(notes)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call_ezkl("hang", timeout=LONG, notes=notes)
    assert gone(wait_for(notes))
    assert not process._live


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the death of a parent")
def test_process_dies_with_a_killed_parent(fake: None, tmp_path: Path) -> None:
    notes = tmp_path / "pids"
    code = textwrap.dedent(
        f"""
        from circuits.halo2.process import call_ezkl
        call_ezkl("hang", timeout=600.0, notes={str(notes)!r})
        """
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    parent = subprocess.Popen([sys.executable, "-c", code], env=env)
    worker, grandchild = wait_for(notes)
    parent.kill()
    parent.wait()
    assert gone([worker])
    # Nobody tells its own child; ezkl starts none while it proves.
    os.kill(grandchild, signal.SIGKILL)


@pytest.mark.parametrize("function", ["gen_witness", "prove", "mock"])
def test_messages_of_functions_that_see_secrets_are_withheld(fake: None, function: str) -> None:
    with pytest.raises(WorkerFailed, match="details withheld") as caught:
        call_ezkl(function, timeout=LONG, text="witness value 1234567 is out of range")
    assert "1234567" not in str(caught.value.to_dict())
    assert "RuntimeError" in caught.value.message
    assert caught.value.details == {"function": function, "raised": True}


# --- what a process may see


def test_environment(fake: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EZKL_REPO_PATH", "/somewhere/planted")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "*")
    first, second = (call_ezkl("environment", timeout=LONG, threads=1).value for _ in range(2))
    # ezkl takes lookup tables it finds there by name into the keys.
    places = {"/somewhere/planted", first["EZKL_REPO_PATH"], second["EZKL_REPO_PATH"]}
    assert len(places) == 3
    assert not any(Path(p).exists() for p in places)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        assert first[name] == first[name.upper()] == "http://127.0.0.1:9"
    assert first["no_proxy"] == first["NO_PROXY"] == ""
    assert first["RAYON_NUM_THREADS"] == "1"
    assert first["RUST_BACKTRACE"] == "0"
    assert os.environ["EZKL_REPO_PATH"] == "/somewhere/planted", "the caller's is left alone"


def test_only_the_download_sees_the_users_proxy(
    fake: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    seen = call_ezkl("get_srs", timeout=LONG).value
    assert seen["https_proxy"] == "http://proxy.example:3128"
    assert set(process.NETWORK_FUNCTIONS) == {"get_srs"}


def test_threads_are_left_to_ezkl_unless_asked(fake: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    assert "RAYON_NUM_THREADS" not in call_ezkl("environment", timeout=LONG).value


# --- the real ezkl


@pytest.mark.ezkl
def test_ezkl_panic_is_an_error(tmp_path: Path) -> None:
    """A malformed field element makes ezkl panic, with an exception that is no Exception."""
    with pytest.raises(WorkerFailed) as caught:
        call_ezkl("felt_to_big_endian", timeout=LONG, felt="not hex")
    assert caught.value.details["raised"] is True
    assert "Panic" in caught.value.message


@pytest.mark.ezkl
def test_ezkl_error_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed) as caught:
        call_ezkl(
            "compile_circuit",
            timeout=LONG,
            model=tmp_path / "absent.onnx",
            compiled_circuit=tmp_path / "out",
            settings_path=tmp_path / "absent.json",
        )
    assert caught.value.details["raised"] is True
    assert not (tmp_path / "out").exists()


@pytest.mark.ezkl
def test_ezkl_answers(tmp_path: Path) -> None:
    result = call_ezkl("felt_to_big_endian", timeout=LONG, felt="05" + "00" * 31)
    assert isinstance(result, Result)
    assert int(str(result.value), 16) == 5
