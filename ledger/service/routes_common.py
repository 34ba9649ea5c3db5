"""What the routers share: how to get at the service, and what errors an address may answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi import Path as InPath
from fastapi.responses import StreamingResponse

from ledger.embedded.tiles import Tile
from ledger.service.errors import NotFound
from ledger.service.service import Service

_MEANINGS = {
    400: "The request, or the entry in it, is malformed.",
    401: "The request's signature is missing or does not hold.",
    403: "The signer may not do this.",
    404: "There is no such thing here.",
    408: "The body did not arrive in time.",
    409: "Another number, phase or budget: what was asked came too late or too early.",
    413: "The body is too large.",
    415: "The body has a wrong media type.",
    422: "The rules, or the verifier, refuse it.",
    429: "Too much at a time; see Retry-After.",
    500: "The service failed.",
    503: "Not now; see Retry-After.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the declarations of the errors of an address; any may fail or be too busy.

    Their form is the same everywhere, see `describe_errors` in `app`.
    """
    return {
        status: {"description": _MEANINGS[status]} for status in sorted({*statuses, 400, 500, 503})
    }


SIGNED = (401, 403, 408, 413, 415, 429)
"""The errors of an address that takes signed requests."""


def _service(request: Request) -> Service:
    found = request.app.state.service
    assert isinstance(found, Service)
    return found


Here = Annotated[Service, Depends(_service)]
Digest = Annotated[str, InPath(pattern="^[0-9a-f]{64}$")]

_PIECE = 1 << 17
IMMUTABLE = "public, max-age=31536000, immutable"
TEXT = {"text/plain": {"schema": {"type": "string"}}}
BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

TILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    **errors(404),
    200: {"content": BYTES, "description": "The tile."},
}


async def file_response(path: Path, media_type: str, **headers: str) -> Response:
    """Return a file that never changes, piece by piece: who reads slowly takes up no memory.

    Raises
    ------
    NotFound
        If it is not there.
    """
    try:
        size = (await asyncio.to_thread(path.stat)).st_size
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound("there is no such file") from None

    def pieces() -> Iterator[bytes]:
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                yield piece

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    fields = {"content-length": str(size), "cache-control": IMMUTABLE, **named}
    return StreamingResponse(pieces(), headers=fields, media_type=media_type)


async def read_tile(published: Path, path: str) -> Response:
    """Return a tile of what is published in a folder.

    Raises
    ------
    NotFound
        If the path is not exactly that of a tile, or the tile is not there.
    """
    wanted = Tile.parse(f"tile/{path}")
    if wanted is None:
        raise NotFound("this is no tile")
    return await file_response(published / wanted.path, next(iter(BYTES)))
