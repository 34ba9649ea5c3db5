"""k of n governors agree."""

from __future__ import annotations

from ledger import signatures
from ledger.errors import BadSignature, NotApproved, NotAuthorised, Revoked
from ledger.state import State


def require_approvals(
    state: State, approvals: tuple[tuple[str, str], ...], domain: bytes, message: bytes
) -> None:
    """Check that as many governors as the charter asks for signed `message`.

    Raises
    ------
    NotApproved
        If they are too few.
    NotAuthorised, Revoked, BadSignature
        If one of them is no governor, was ended, or did not sign it.
    """
    charter = state.charter
    if charter is None or len(approvals) < charter.threshold:
        wanted = "?" if charter is None else charter.threshold
        raise NotApproved(f"{len(approvals)} governors approve, {wanted} must")
    # The entry's class has seen to it that nobody is named twice.
    for identity, signature in approvals:
        if identity not in charter.governors:
            raise NotAuthorised(f"{identity} is no governor")
        known = state.identity(identity)
        if known.revoked:
            raise Revoked(f"governor {identity} was ended")
        if not signatures.verify(known.scheme, known.key, signature, domain, message):
            raise BadSignature(f"governor {identity} did not sign this")
