"""Openings are counted on disk, before a proof exists, and never too few."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.encoding import canonical_json
from circuits.errors import CorruptedArtefact, OpeningBudgetSpent
from prover.budget import OpeningCounter, Use

A = Use("the model", "aa" * 32, 3)
B = Use("shard 0", "bb" * 32, 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "secret.openings"


def test_it_counts_and_stops(path: Path) -> None:
    counter = OpeningCounter(path)
    assert counter.used() == {}
    for used in (1, 2, 3):
        counter.reserve(A)
        # A new process would see the same.
        assert OpeningCounter(path).used() == {A.commitment: used}
    with pytest.raises(OpeningBudgetSpent, match="the model has been opened 3 of 3") as caught:
        counter.reserve(A)
    assert caught.value.details == {"name": "the model", "used": 3, "budget": 3}
    assert caught.value.exit_status == 3
    assert OpeningCounter(path).used() == {A.commitment: 3}


def test_all_or_nothing(path: Path) -> None:
    counter = OpeningCounter(path)
    counter.reserve(A, B)
    counter.reserve(B, A)
    assert counter.used() == {A.commitment: 2, B.commitment: 2}
    for uses in ((A, B), (B, A)):
        with pytest.raises(OpeningBudgetSpent, match="shard 0"):
            counter.reserve(*uses)
        assert counter.used() == {A.commitment: 2, B.commitment: 2}
    counter.reserve(A)


@pytest.mark.parametrize("second", [B, Use("again", B.commitment, 2)])
def test_the_same_commitment_twice_in_one_call(path: Path, second: Use) -> None:
    counter = OpeningCounter(path)
    counter.reserve(B)
    with pytest.raises(OpeningBudgetSpent):
        counter.reserve(B, second)
    assert counter.used()[B.commitment] <= B.budget


@settings(max_examples=30)
@given(st.lists(st.sampled_from([(A,), (B,), (A, B), ()]), max_size=12))
def test_no_order_of_calls_overspends(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[Use, ...]]
) -> None:
    path = tmp_path_factory.mktemp("budget") / "openings"
    taken = {A: 0, B: 0}
    for uses in calls:
        fits = all(taken[use] < use.budget for use in uses)
        try:
            OpeningCounter(path).reserve(*uses)
            assert fits
            for use in uses:
                taken[use] += 1
        except OpeningBudgetSpent:
            assert not fits
    used = OpeningCounter(path).used()
    assert {use: used.get(use.commitment, 0) for use in taken} == taken


def test_check_takes_nothing(path: Path) -> None:
    counter = OpeningCounter(path)
    counter.check({A: 3, B: 2})
    assert not path.exists()
    counter.reserve(A)
    counter.check({A: 2, B: 0})
    with pytest.raises(OpeningBudgetSpent, match="1 of 3 times and 3 more are needed"):
        counter.check({B: 1, A: 3})
    assert counter.used() == {A.commitment: 1}


def test_files_are_private(path: Path) -> None:
    OpeningCounter(path).reserve(A)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_failed_write_reserves_nothing_and_raises(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not on disk must not be spent: the caller gets no opening."""
    counter = OpeningCounter(path)
    counter.reserve(A)
    with monkeypatch.context() as patch:

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            counter.reserve(A)
    assert counter.used() == {A.commitment: 1}
    counter.reserve(A)
    assert counter.used() == {A.commitment: 2}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"junk",
        canonical_json({"magic": "zkpot-openings", "version": 1, "used": []}),
        canonical_json({"magic": "zkpot-openings", "version": 1, "used": {}}) + b"\n",
        canonical_json({"magic": "zkpot-checkpoint", "version": 1, "used": {}}),
    ],
)  # fmt: skip
def test_damaged_count_is_not_taken_for_zero(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(CorruptedArtefact):
        OpeningCounter(path).reserve(A)
    assert path.read_bytes() == data


def _spend(path: Path, gate: Path, tries: int, answers: multiprocessing.Queue[int]) -> None:
    while not gate.exists():
        pass
    got = 0
    for _ in range(tries):
        try:
            OpeningCounter(path).reserve(Use("shared", "cc" * 32, 25), B)
            got += 1
        except OpeningBudgetSpent:
            try:
                OpeningCounter(path).reserve(Use("shared", "cc" * 32, 25))
                got += 1
            except OpeningBudgetSpent:
                pass
    answers.put(got)


def test_processes_together_never_overspend(path: Path, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    gate = tmp_path / "go"
    answers: multiprocessing.Queue[int] = spawn.Queue()
    workers = [spawn.Process(target=_spend, args=(path, gate, 8, answers)) for _ in range(5)]
    for worker in workers:
        worker.start()
    gate.touch()
    got = [answers.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    # 40 tries for 25 openings: exactly those are given out, whoever got them.
    assert sum(got) == 25
    assert OpeningCounter(path).used() == {"cc" * 32: 25, B.commitment: 2}
