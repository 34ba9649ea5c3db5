"""What the routers share: how to get at the service, and what errors an address may answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi import Path as InPath

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

IMMUTABLE = "public, max-age=31536000, immutable"
TEXT = {"text/plain": {"schema": {"type": "string"}}}
BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

TILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    **errors(404),
    200: {"content": BYTES, "description": "The tile."},
}


async def read_tile(published: Path, path: str) -> Response:
    """Return a tile of what is published in a folder.

    Raises
    ------
    NotFound
        If the path is not exactly that of a tile, or the tile is not there.
    """
    wanted = Tile.parse(f"tile/{path}")
    try:
        if wanted is None:
            raise FileNotFoundError
        data = await asyncio.to_thread((published / wanted.path).read_bytes)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound("there is no such tile") from None
    return Response(data, headers={"cache-control": IMMUTABLE}, media_type=next(iter(BYTES)))
