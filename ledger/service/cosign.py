"""Asks the configured validators to cosign each checkpoint, and keeps what they answer.

It never waits for one of them before a checkpoint is served: a validator that is slow, or that
refuses, costs a client who wants its cosignature some time, and nobody else anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from circuits.encoding import canonical_json, parse_canonical, write_atomic
from circuits.errors import LedgerError, ZkpotError
from ledger.errors import WitnessConflict
from ledger.service.errors import NotCosigned, TooFewValidators
from ledger.tlog.cosignature import cosigned_at
from ledger.tlog.note import Checkpoint, Note, VerifierKey
from ledger.tlog.wire import AddCheckpoint, Answer, read_answer

_log = logging.getLogger("ledger.service.cosign")

_KEPT = 16
_ANSWER_SECONDS = 30.0
_ANSWER_BYTES = 1 << 16
_LONGEST_PAUSE = 60.0
_ROUND_PAUSE = 0.05
_AIM_SECONDS = 3.0

Consistency = Callable[[int, int], Awaitable[Sequence[bytes]]]


@dataclass
class Validator:
    """A validator and how far it has come.

    Attributes
    ----------
    key : VerifierKey
        Its key, of kind cosignature.
    url : str
        Where it takes requests.
    size : int
        Size that it cosigned last, or says it did.
    failures : int
        Consecutive failures.
    rest_until : float
        Not asked again before that.
    grown : asyncio.Event
        Whether there is a checkpoint that it was not asked for.
    """

    key: VerifierKey
    url: str
    size: int = 0
    failures: int = 0
    rest_until: float = 0.0
    grown: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Cosigner:
    """Collects cosignatures.

    Parameters
    ----------
    validators : list of Validator
        Whom to ask.
    newest : callable
        Returns the newest checkpoint of the log.
    consistency : callable
        Returns a consistency proof of the log.
    path : Path
        File that keeps the newest cosigned checkpoints over a restart.
    places : int
        How many may wait for cosignatures at a time.
    """

    validators: list[Validator]
    newest: Callable[[], Awaitable[str]]
    consistency: Consistency
    path: Path
    places: int = 32
    _waiting: int = 0
    _notes: dict[int, str] = field(default_factory=dict)
    _aimed: tuple[int, str, float] = (0, "", 0.0)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def keys(self) -> list[VerifierKey]:
        """The validators' keys."""
        return [validator.key for validator in self.validators]

    def load(self) -> None:
        """Read what was kept; what does not verify is asked for again."""
        if not self.path.exists():
            return
        try:
            for note in parse_canonical(self.path.read_bytes(), "cosigned checkpoints"):
                size = Checkpoint.parse(Note.parse(note).text).size
                if self._cosigners(note) > 0:
                    self._notes[size] = note
        except (ZkpotError, TypeError, ValueError, AttributeError) as error:
            _log.warning("kept cosignatures cannot be read: %s", error)

    def grown(self) -> None:
        """Say that there is a new checkpoint."""
        for validator in self.validators:
            validator.grown.set()

    def cosigned(self, size: int, note: str) -> str:
        """Return a checkpoint with the cosignatures that are there."""
        kept = self._notes.get(size)
        # What was kept of another history, as before a restore, is none of this one.
        return kept if kept is not None and _same(kept, note) else note

    def best(self, at_least: int, count: int) -> tuple[int, str] | None:
        """Return the newest checkpoint of so many entries with so many cosignatures, or None."""
        for size in sorted(self._notes, reverse=True):
            if size >= at_least and self._cosigners(self._notes[size]) >= count:
                return size, self._notes[size]
        return None

    async def require(self, at_least: int, count: int, seconds: float) -> tuple[int, str]:
        """Return what `best` does, waiting for it.

        Raises
        ------
        NotCosigned
            If there is none in time.
        TooFewValidators
            If there cannot be one.
        """
        if count > len(self.validators):
            raise TooFewValidators(
                f"{count} cosignatures are asked for, there are {len(self.validators)} validators"
            )
        if (found := self.best(at_least, count)) is not None:
            return found
        # Whoever waits takes up a place that others may need more.
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds if self._waiting <= self.places else 0):
                return await self._until(at_least, count)
        except TimeoutError:
            raise NotCosigned(
                f"no checkpoint of {at_least} entries has {count} cosignatures yet", 2
            ) from None
        finally:
            self._waiting -= 1

    async def _until(self, at_least: int, count: int) -> tuple[int, str]:
        async with self._changed:
            while (found := self.best(at_least, count)) is None:
                await self._changed.wait()
            return found

    async def run(self) -> None:
        """Ask, for as long as the service runs; each validator at its own pace."""
        self.grown()
        async with (
            httpx.AsyncClient(
                timeout=_ANSWER_SECONDS, follow_redirects=False, trust_env=False
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            for validator in self.validators:
                group.create_task(self._follow(client, validator))
            # Without a validator there is nothing to do, which is no reason to stop.
            await asyncio.Event().wait()

    async def _follow(self, client: httpx.AsyncClient, validator: Validator) -> None:
        while True:
            await _wait(validator)
            size, note = await self._aim()
            if not self._has(validator, size):
                text = await self._ask(client, validator, size, note)
                if text is not None:
                    await self._keep(size, note, text)
            if note != await self.newest():
                validator.grown.set()
            # Checkpoints that come in quick succession share the next round.
            await asyncio.sleep(_ROUND_PAUSE)

    async def _aim(self) -> tuple[int, str]:
        """Return the checkpoint that all are asked for now.

        A new one every few seconds, or as soon as all who answer have cosigned: if each were
        asked for what is newest at its turn, busy logs would get one cosignature of every size.
        """
        size, aim, since = self._aimed
        waiting = any(not v.failures and not self._has(v, size) for v in self.validators)
        if not aim or not waiting or time.monotonic() - since > _AIM_SECONDS:
            aim = await self.newest()
            size = Checkpoint.parse(Note.parse(aim).text).size
            self._aimed = (size, aim, time.monotonic())
        return size, aim

    def _has(self, validator: Validator, size: int) -> bool:
        note = self._notes.get(size)
        return note is not None and cosigned_at(Note.parse(note), validator.key) is not None

    async def _ask(
        self, client: httpx.AsyncClient, validator: Validator, size: int, note: str
    ) -> str | None:
        """Return the note with the validator's cosignature, or None."""
        try:
            # The client's own limit is for one piece of an answer, and pieces can be many.
            async with asyncio.timeout(_ANSWER_SECONDS):
                found = await self._exchange(client, validator, size, note)
        except (httpx.HTTPError, LedgerError, TimeoutError) as error:
            validator.failures += 1
            pause = min(_LONGEST_PAUSE, 0.25 * 2**validator.failures)
            validator.rest_until = time.monotonic() + pause
            why = "no answer in time" if isinstance(error, TimeoutError) else error
            _log.warning("validator %s: %s", validator.key.name, why)
            return None
        validator.failures, validator.rest_until, validator.size = 0, 0.0, size
        return found

    async def _exchange(
        self, client: httpx.AsyncClient, validator: Validator, size: int, note: str
    ) -> str:
        for _ in range(2):
            old = min(validator.size, size)
            proof = tuple(await self.consistency(old, size))
            body = AddCheckpoint(old, proof, note).encode()
            async with client.stream(
                "POST", f"{validator.url}/add-checkpoint", content=body
            ) as response:
                content = await _limited(response)
            answer = Answer(response.status_code, response.headers.get("content-type", ""), content)
            try:
                return read_answer(answer, note, [validator.key])
            except WitnessConflict as conflict:
                if conflict.size > size:
                    # It signed for more than this log has: entries were lost, or there is a fork.
                    _log.critical(
                        "validator %s has seen %d entries, this log has %d",
                        validator.key.name, conflict.size, size,
                    )  # fmt: skip
                    raise
                validator.size = conflict.size
        raise NotCosigned(f"validator {validator.key.name} cannot say where it is", 1)

    async def _keep(self, size: int, note: str, cosigned: str) -> None:
        merged = Note.parse(self.cosigned(size, note)).add(Note.parse(cosigned).signatures)
        self._notes[size] = merged.encode()
        self._forget()
        async with self._writing:
            data = canonical_json([self._notes[s] for s in sorted(self._notes)])
            await asyncio.to_thread(write_atomic, self.path, data)
        async with self._changed:
            self._changed.notify_all()

    def _forget(self) -> None:
        """Drop old checkpoints, but keep the newest of each number of cosignatures."""
        best: dict[int, int] = {}
        for size in sorted(self._notes):
            best[self._cosigners(self._notes[size])] = size
        kept = set(sorted(self._notes)[-_KEPT:]) | set(best.values())
        self._notes = {size: self._notes[size] for size in sorted(kept)}

    def _cosigners(self, note: str) -> int:
        parsed = Note.parse(note)
        return sum(cosigned_at(parsed, key) is not None for key in self.keys)


def _same(first: str, second: str) -> bool:
    return Note.parse(first).text == Note.parse(second).text


async def _wait(validator: Validator) -> None:
    """Wait for a new checkpoint, or for the end of the rest of a validator that failed."""
    pause = validator.rest_until - time.monotonic() if validator.failures else None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None if pause is None else max(0.0, pause)):
            await validator.grown.wait()
    validator.grown.clear()
    # What came meanwhile is no reason to ask it earlier.
    await asyncio.sleep(max(0.0, validator.rest_until - time.monotonic()))


async def _limited(response: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > _ANSWER_BYTES:
            raise NotCosigned("the validator's answer is too long", 1)
    return bytes(content)
