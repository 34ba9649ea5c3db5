"""A validator: cosigns a log's checkpoints, each after it has verified all that is under it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from circuits.errors import ZkpotError
from ledger.errors import BadNote, NotConsistent
from ledger.service import schemas
from ledger.service.app import application
from ledger.service.config import Settings
from ledger.service.errors import LogForked, NotFound, NotVerified
from ledger.service.follow import Follower
from ledger.service.http import read_body
from ledger.service.routes_common import TEXT, TILE_RESPONSES, errors, read_tile
from ledger.tlog.note import Checkpoint
from ledger.tlog.wire import MAX_REQUEST_BYTES, answer
from ledger.tlog.witness import Witness

_log = logging.getLogger("ledger.service.validator")

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_VERIFY_SECONDS = 20.0
_LOOK_SECONDS = 0.05


class Validator:
    """A follower and a witness that believes it.

    Parameters
    ----------
    follower : Follower
        The copy of the log.
    witness : Witness
        Remembers what was cosigned.
    settings : Settings
        Limits for those who ask.
    poll : float
        Seconds between looks at the log when nobody asks.
    """

    def __init__(
        self, follower: Follower, witness: Witness, settings: Settings, poll: float = 30.0
    ) -> None:
        self.follower = follower
        self.witness = witness
        self.settings = settings
        self._poll = poll
        self._wanted = asyncio.Event()
        self._waiting = 0
        # Threads of their own: no number of strangers keeps what they wait for from being done.
        self._syncing = ThreadPoolExecutor(1, thread_name_prefix="follow")
        self._cosigning = ThreadPoolExecutor(1, thread_name_prefix="cosign")
        self._task: asyncio.Task[None] | None = None
        self._problem = ""

    async def start(self) -> None:
        """Begin to follow."""
        self._wanted.set()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """End; what was verified is kept."""
        await asyncio.to_thread(self.follower.stop)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self.follower.remote.close)
        for threads in (self._syncing, self._cosigning):
            await asyncio.to_thread(threads.shutdown)

    def abort(self) -> None:
        """End the workers, whatever they are at."""
        self.follower.stop()

    async def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while self.follower.fault is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll if not self._problem else pause):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await asyncio.get_running_loop().run_in_executor(self._syncing, self.follower.sync)
            except ZkpotError as error:
                self._problem = f"[{error.code}] {error.message}"
                _log.warning("%s", self._problem)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception:
                self._problem = "internal error"
                _log.exception("following")
                pause = _LONGEST_PAUSE
            else:
                self._problem, pause = "", _FIRST_PAUSE
        _log.critical("the log is at fault: %s", self.follower.fault)

    def info(self) -> schemas.ValidatorStatus:
        """Say how far it has come."""
        follower = self.follower
        fault = follower.fault
        return schemas.ValidatorStatus(
            vkey=str(self.witness.key),
            log=str(follower.remote.key),
            size=follower.size,
            status="ok" if fault is None else "fault",
            fault=None if fault is None else f"[{fault.code}] {fault.message}",
            problem=self._problem or None,
        )

    async def cosign(self, body: bytes) -> Response:
        """Answer a request to cosign (C2SP tlog-witness).

        Raises
        ------
        NotVerified
            If the entries under the checkpoint are not verified yet.
        """
        verified = False

        def add(old: int, proof: Sequence[bytes], note: str) -> str:
            nonlocal verified
            if not self._verified(note):
                return ""
            verified = True
            return self.witness.add_checkpoint(old, proof, note)

        async def asked() -> Response | None:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._cosigning, answer, add, body)
            if verified or found.status != 200:
                return Response(found.body, found.status, {"content-type": found.content_type})
            return None

        before = self.follower.size
        if (response := await asked()) is not None:
            return response
        with self._place():
            end = time.monotonic() + _VERIFY_SECONDS
            while time.monotonic() < end:
                before = await self._more(before, end)
                if (response := await asked()) is not None:
                    return response
        raise NotVerified(f"{self.follower.size} entries are verified so far", _FIRST_PAUSE)

    async def _more(self, before: int, end: float) -> int:
        """Wait until more is verified than before, or the log is found at fault."""
        self._wanted.set()
        while (
            self.follower.size == before and self.follower.fault is None and time.monotonic() < end
        ):
            await asyncio.sleep(_LOOK_SECONDS)
        return self.follower.size

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """Have one of the places of those who wait."""
        if self._waiting >= self.settings.limits.waiting:
            raise NotVerified("too many wait for what is not verified yet", _FIRST_PAUSE)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _verified(self, note: str) -> bool:
        """Tell whether all that is under a checkpoint is verified.

        Raises
        ------
        WitnessRefused
            If it never will be.
        """
        follower = self.follower
        self.witness.opened(note)
        try:
            checkpoint = Checkpoint.open(note, follower.remote.key)
        except BadNote as error:
            # A witness signs what else a log puts into a checkpoint. Here nobody verified that.
            raise NotConsistent(error.message) from None
        with follower.lock:
            if follower.fault is not None:
                raise NotConsistent(f"the log is at fault: {follower.fault.message}")
            if follower.size < checkpoint.size:
                return False
            if follower.tree.root(checkpoint.size) != checkpoint.root:
                with contextlib.suppress(LogForked):
                    follower.accuse(note)
                raise NotConsistent("the checkpoint is not that of the entries")
        return True


router = APIRouter()


def _here(request: Request) -> Validator:
    found = request.app.state.service
    assert isinstance(found, Validator)
    return found


Here = Annotated[Validator, Depends(_here)]


@router.get("/v1/validator", responses=errors())
async def status(here: Here) -> schemas.ValidatorStatus:
    """Say whose log is followed, how far it is verified, and what is wrong with it."""
    return here.info()


@router.get("/healthz", responses=errors())
async def health(here: Here) -> schemas.Health:
    """Say that the validator runs."""
    return schemas.Health(status="ok", size=here.follower.size, queued=0)


@router.get("/checkpoint", responses=errors(404), response_class=PlainTextResponse)
async def checkpoint(here: Here) -> Response:
    """Return the newest checkpoint that was cosigned here."""
    origin = hashlib.sha256(here.follower.remote.origin.encode()).hexdigest()
    note = await asyncio.to_thread(here.witness.checkpoint, origin)
    if note is None:
        raise NotFound("nothing is cosigned yet")
    return PlainTextResponse(note, headers={"cache-control": "no-cache"})


@router.get("/tile/{path:path}", responses=TILE_RESPONSES, response_class=Response)
async def tile(here: Here, path: str) -> Response:
    """Return a tile of the verified copy (C2SP tlog-tiles)."""
    return await read_tile(here.follower.folder, path)


@router.post(
    "/add-checkpoint",
    responses={
        **errors(403, 404, 408, 409, 413, 422),
        200: {"content": TEXT, "description": "Signature lines."},
    },
    response_class=PlainTextResponse,
    openapi_extra={"requestBody": {"required": True, "content": TEXT}},
)
async def add_checkpoint(here: Here, request: Request) -> Response:
    """Cosign a checkpoint, once every entry and proof under it was verified here."""
    body = await read_body(request, MAX_REQUEST_BYTES, here.settings.limits.read_seconds)
    return await here.cosign(body)


def create_app(validator: Validator) -> FastAPI:
    """Return the application; it starts the validator, and stops it."""
    return application(
        validator, "zkpot ledger validator", "Verifies a ledger and cosigns it.", [router]
    )
