"""What takes a request signed by a registered identity."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import APIRouter, Request, Response

from ledger.entries import IdentityRegister, ProofSubmit
from ledger.envelope import MAX_ENTRY_BYTES, SignedEntry
from ledger.service import schemas
from ledger.service.errors import MalformedRequest, NotYours, UnknownSigner
from ledger.service.http import read_body, require_media_type, timed_body
from ledger.service.routes_common import SIGNED, Digest, Here, errors
from ledger.service.service import Service
from ledger.service.views import submission_info

router = APIRouter()

_ENTRY_TYPE = "application/json"
_BLOB_TYPE = "application/octet-stream"
_SIGNED: dict[str, Any] = {"security": [{"requestSignature": []}]}
_ENTRY_BODY = _SIGNED | {
    "requestBody": {
        "required": True,
        "description": "The canonical encoding of a signed entry, with an RFC 9421 signature.",
        "content": {_ENTRY_TYPE: {"schema": {"type": "object"}}},
    }
}
_BLOB_BODY = _SIGNED | {
    "requestBody": {
        "required": True,
        "content": {_BLOB_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.put(
    "/v1/blobs/{digest}",
    status_code=201,
    responses=errors(*SIGNED),
    openapi_extra=_BLOB_BODY,
)
async def put_blob(here: Here, request: Request, digest: Digest) -> schemas.Stored:
    """Keep a blob for an entry that will name it; until then it counts against a quota."""
    require_media_type(request, _BLOB_TYPE)
    caller = await here.authenticate(request)
    limits = here.settings.limits
    pieces = timed_body(request, limits.blob_bytes, limits.read_seconds, here.least_rate)
    # A place is taken by who sends something.
    first = await anext(pieces, b"")
    place = here.uploading(request, caller.identity)
    with place, here.spool.upload(caller.identity) as upload:
        upload.write(first)
        async for piece in pieces:
            upload.write(piece)
        caller.check(upload.content.digest())
        if upload.digest != digest:
            raise MalformedRequest(f"the digest of this blob is {upload.digest}")
        if not await here.book.has_blob(digest):
            await here.spool.keep(upload)
        return schemas.Stored(digest=digest, size=upload.size)


async def _entry(here: Service, request: Request, *, stranger: bool) -> SignedEntry:
    """Read a signed entry that its author sent."""
    require_media_type(request, _ENTRY_TYPE)
    caller = await here.authenticate(request, stranger=stranger)
    body = await read_body(request, MAX_ENTRY_BYTES, here.settings.limits.read_seconds)
    caller.check(hashlib.sha256(body).digest())
    entry = SignedEntry.decode(body)
    if entry.signer != caller.identity:
        raise NotYours(f"the request is signed by {caller.identity}, the entry is not theirs")
    if not caller.registered and not isinstance(entry.body, IdentityRegister):
        raise UnknownSigner(f"{caller.identity} is not registered")
    return entry


@router.post(
    "/v1/entries", status_code=201, responses=errors(*SIGNED, 409, 422), openapi_extra=_ENTRY_BODY
)
async def append(here: Here, request: Request) -> schemas.Appended:
    """Append an entry that needs no proof; the same one again gets the same receipt."""
    entry = await _entry(here, request, stranger=True)
    if isinstance(entry.body, ProofSubmit):
        raise MalformedRequest("a proof goes to /v1/submissions, so that it is verified")
    receipt = await here.book.append(entry)
    return schemas.Appended(index=receipt.index, receipt=receipt.encode())


@router.post(
    "/v1/submissions",
    status_code=202,
    responses=errors(*SIGNED, 409, 422),
    openapi_extra=_ENTRY_BODY,
)
async def submit(here: Here, request: Request, response: Response) -> schemas.SubmissionInfo:
    """Take a proof for verification; its bundle was put before. Ask what became of it later."""
    entry = await _entry(here, request, stranger=False)
    job = await here.submissions.offer(entry)
    response.headers["location"] = f"/v1/submissions/{entry.digest}"
    return submission_info(job)
