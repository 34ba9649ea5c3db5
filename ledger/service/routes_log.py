"""The log as C2SP tlog-tiles, and the witness of C2SP tlog-witness."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from ledger.embedded.tiles import Tile
from ledger.service.errors import NotFound
from ledger.service.http import read_body
from ledger.service.routes_common import Here, errors
from ledger.tlog.wire import MAX_REQUEST_BYTES

router = APIRouter()

_IMMUTABLE = "public, max-age=31536000, immutable"
_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.get("/checkpoint", responses=errors(), response_class=PlainTextResponse)
async def checkpoint(here: Here) -> Response:
    """Return the newest checkpoint, with the cosignatures it has so far (C2SP tlog-tiles)."""
    return PlainTextResponse(await here.checkpoint(0), headers={"cache-control": "no-cache"})


@router.get(
    "/tile/{path:path}",
    responses={**errors(404), 200: {"content": _BYTES}},
    response_class=Response,
)
async def tile(here: Here, path: str) -> Response:
    """Return a tile of hashes or of entries, ``L/N``, ``entries/N``, or in part ``.p/W``."""
    wanted = Tile.parse(f"tile/{path}")
    if wanted is None:
        raise NotFound("this is no tile")
    return Response(
        await here.book.tile(wanted),
        media_type="application/octet-stream",
        headers={"cache-control": _IMMUTABLE},
    )


@router.post(
    "/add-checkpoint",
    responses={
        **errors(403, 404, 408, 409, 413, 422),
        200: {"content": _TEXT, "description": "Signature lines."},
    },
    response_class=PlainTextResponse,
    openapi_extra={"requestBody": {"required": True, "content": _TEXT}},
)
async def add_checkpoint(here: Here, request: Request) -> Response:
    """Cosign a checkpoint, once every entry and proof under it was verified here."""
    if here.witness is None:
        raise NotFound("this service cosigns nothing")
    body = await read_body(request, MAX_REQUEST_BYTES, here.settings.limits.read_seconds)
    answer = await here.witness(body)
    return Response(answer.body, answer.status, {"content-type": answer.content_type})
