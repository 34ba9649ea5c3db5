"""What the routers share: how to get at the service, and what errors an address may answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request

from ledger.service.schemas import Error
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
    """Return the declarations of the errors of an address; any may fail or be too busy."""
    return {
        status: {"model": Error, "description": _MEANINGS[status]}
        for status in sorted({*statuses, 400, 500, 503})
    }


SIGNED = (401, 403, 408, 413, 415, 429)
"""The errors of an address that takes signed requests."""


def _service(request: Request) -> Service:
    found = request.app.state.service
    assert isinstance(found, Service)
    return found


Here = Annotated[Service, Depends(_service)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
