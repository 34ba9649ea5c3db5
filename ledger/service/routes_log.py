"""The log as C2SP tlog-tiles."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from ledger.embedded.publish import FOLDER
from ledger.service.routes_common import TILE_RESPONSES, Here, errors, read_tile

router = APIRouter()


@router.get("/checkpoint", responses=errors(), response_class=PlainTextResponse)
async def checkpoint(here: Here) -> Response:
    """Return the newest checkpoint, with the cosignatures that it has so far."""
    return PlainTextResponse(await here.checkpoint(0), headers={"cache-control": "no-cache"})


@router.get("/tile/{path:path}", responses=TILE_RESPONSES, response_class=Response)
async def tile(here: Here, path: str) -> Response:
    """Return a tile of hashes or of entries, ``L/N``, ``entries/N``, or in part ``.p/W``."""
    return await read_tile(here.folder / FOLDER, path)
