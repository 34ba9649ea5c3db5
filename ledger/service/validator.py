"""A validator: cosigns a log's checkpoints, each after it has verified all that is under it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from circuits.encoding import write_atomic
from circuits.errors import ZkpotError
from ledger.errors import BadEvidence, BadNote, NotConsistent
from ledger.service import schemas
from ledger.service.app import application
from ledger.service.config import Settings
from ledger.service.errors import NotFound, NotVerified
from ledger.service.follow import Follower
from ledger.service.http import read_body
from ledger.service.routes_common import TEXT, TILE_RESPONSES, errors, read_tile
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import Checkpoint
from ledger.tlog.wire import MAX_REQUEST_BYTES, answer
from ledger.tlog.witness import Witness

_log = logging.getLogger("ledger.service.validator")

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_VERIFY_SECONDS = 20.0


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
                await asyncio.to_thread(self.follower.sync)
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
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._wanted.set)

        def add(old: int, proof: Sequence[bytes], note: str) -> str:
            self._require_verified(note, wake)
            return self.witness.add_checkpoint(old, proof, note)

        found = await asyncio.to_thread(answer, add, body)
        return Response(found.body, found.status, {"content-type": found.content_type})

    def _require_verified(self, note: str, wake: Callable[[], None]) -> None:
        follower = self.follower
        self.witness.opened(note)
        try:
            checkpoint = Checkpoint.open(note, follower.remote.key)
        except BadNote as error:
            # A witness signs what else a log puts into a checkpoint. Here nobody verified that.
            raise NotConsistent(error.message) from None
        with follower.lock:
            if follower.fault is None and follower.size < checkpoint.size:
                wake()
                follower.lock.wait_for(
                    lambda: follower.fault is not None or follower.size >= checkpoint.size,
                    _VERIFY_SECONDS,
                )
            if follower.fault is not None:
                raise NotConsistent(f"the log is at fault: {follower.fault.message}")
            if follower.size < checkpoint.size:
                raise NotVerified(
                    f"{follower.size} of {checkpoint.size} entries are verified", _FIRST_PAUSE
                )
            if follower.tree.root(checkpoint.size) != checkpoint.root:
                self._keep_evidence(note, checkpoint.size)
                raise NotConsistent("the checkpoint is not that of the entries")

    def _keep_evidence(self, note: str, size: int) -> None:
        """Keep proof that the log signed two histories: the tree here has the other one."""
        follower = self.follower
        path = follower.folder / "evidence.json"
        if path.exists():
            return
        prefix, proof = b"", []
        if size < follower.size:
            prefix, proof = follower.tree.root(size), follower.tree.consistency(size, follower.size)
        with contextlib.suppress(BadEvidence):
            found = Evidence.of(
                follower.remote.key, note, follower.note, prefix=prefix, proof=proof
            )
            write_atomic(path, found.encode())
            _log.critical("the log signed two histories; see %s", path)


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
