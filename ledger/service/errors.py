"""What the service refuses beyond the ledger's own refusals, and the HTTP status of every error.

The tree (exit status 7)::

    LedgerError
    └── ServiceError                 [500]
        ├── MalformedRequest         [400] not what the API takes
        ├── BadRequestSignature      [401] missing, malformed or not by the key it names
        │   ├── UnknownSigner        [401] by nobody who is registered
        │   ├── ClockSkew            [401] made too long ago, or in the future
        │   └── ReplayedRequest      [401] seen before
        ├── NotYours                 [403] signed by somebody else than the entry's author
        ├── ReadOnly                 [403] a validator's copy takes no entries
        ├── NotFound                 [404]
        │   └── TooFewValidators     [404] more cosignatures are asked for than there can be
        ├── MethodNotAllowed         [405]
        ├── RequestTimeout           [408] the body did not arrive in time
        ├── InFlight                 [409] another submission of the same author is being verified
        ├── TooLarge                 [413]
        ├── WrongMediaType           [415]
        ├── RateLimited              [429] with Retry-After
        ├── QuotaSpent               [429] too many bytes that no entry names yet
        ├── StorageSpent             [403] the caller's entries name too many bytes
        ├── StorageFull              [503] with Retry-After
        ├── QueueFull                [503] with Retry-After
        ├── Stopping                 [503] with Retry-After
        ├── Overloaded               [503] with Retry-After
        ├── NotVerified              [503] a validator has not come so far
        ├── NotCosigned              [503] fewer validators signed than were asked for
        ├── Unreachable              what a client says of a server that cannot be talked to
        ├── LogForked                the log shows another history than it showed before
        ├── Unsettled                of what was sent before it is not known what became of it
        └── Refused                  what a server refuses for a reason that is not known here
"""

from __future__ import annotations

from typing import ClassVar

from circuits.errors import ArtefactError, LedgerError, ProofRejected, SrsError, ZkpotError
from ledger import errors


class ServiceError(LedgerError):
    """The service does not do what was asked.

    Attributes
    ----------
    status : int
        HTTP status of the answer.
    """

    code = "SERVICE"
    status: ClassVar[int] = 500


class MalformedRequest(ServiceError):
    """The request is not one that the API knows."""

    code = "MALFORMED_REQUEST"
    status = 400


class BadRequestSignature(ServiceError):
    """The request's signature is missing, malformed, or not by the key that it names."""

    code = "BAD_REQUEST_SIGNATURE"
    status = 401


class UnknownSigner(BadRequestSignature):
    """The request is signed by nobody who is registered."""

    code = "UNKNOWN_SIGNER"


class ClockSkew(BadRequestSignature):
    """The request was signed too long ago or in the future, as this clock has it."""

    code = "CLOCK_SKEW"


class ReplayedRequest(BadRequestSignature):
    """The same signed request was seen before."""

    code = "REPLAYED_REQUEST"


class NotYours(ServiceError):
    """The request is signed by somebody else than the entry's author."""

    code = "NOT_YOURS"
    status = 403


class ReadOnly(ServiceError):
    """A copy of the ledger takes no entries."""

    code = "LEDGER_READ_ONLY"
    status = 403


class NotFound(ServiceError):
    """There is no such thing here."""

    code = "NOT_FOUND"
    status = 404


class TooFewValidators(NotFound):
    """More cosignatures are asked for than this log can have."""

    code = "TOO_FEW_VALIDATORS"


class MethodNotAllowed(ServiceError):
    """The address has no such method."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class RequestTimeout(ServiceError):
    """The request's body did not arrive in time."""

    code = "REQUEST_TIMEOUT"
    status = 408


class InFlight(ServiceError):
    """Another submission of the same author is not decided yet."""

    code = "SUBMISSION_IN_FLIGHT"
    status = 409


class TooLarge(ServiceError):
    """The request's body is larger than may be."""

    code = "TOO_LARGE"
    status = 413


class WrongMediaType(ServiceError):
    """The request's body is of another media type than the address takes."""

    code = "WRONG_MEDIA_TYPE"
    status = 415


class Busy(ServiceError):
    """Base of the refusals that time may heal.

    Parameters
    ----------
    message : str
        Why.
    retry_after : float
        Seconds after which to try again.
    """

    def __init__(self, message: str, retry_after: float, **details: object) -> None:
        super().__init__(message, **details)
        self.retry_after = max(1, int(retry_after + 0.999))

    @classmethod
    def told(cls, code: str, message: str, retry_after: float) -> Busy:
        """Return what a server said, as the class of its code where there is one."""
        kind = next((sub for sub in cls.__subclasses__() if sub.code == code), cls)
        found = kind(message, retry_after)
        vars(found)["code"] = code
        return found


class RateLimited(Busy):
    """The caller asks too often."""

    code = "RATE_LIMITED"
    status = 429


class QuotaSpent(Busy):
    """The caller has put too many bytes that no entry names yet."""

    code = "QUOTA_SPENT"
    status = 429


class StorageSpent(ServiceError):
    """The entries of the caller name as many bytes as this service keeps for one identity."""

    code = "STORAGE_SPENT"
    status = 403


class StorageFull(Busy):
    """No more blobs are taken until the operator makes room."""

    code = "STORAGE_FULL"
    status = 503


class QueueFull(Busy):
    """No further proof can be taken for verification now."""

    code = "QUEUE_FULL"
    status = 503


class Stopping(Busy):
    """The service is about to stop, or does not run yet."""

    code = "STOPPING"
    status = 503


class Overloaded(Busy):
    """Too much is asked of the service at a time."""

    code = "OVERLOADED"
    status = 503


class NotCosigned(Busy):
    """Fewer validators have signed a checkpoint than were asked for."""

    code = "NOT_COSIGNED"
    status = 503


class NotVerified(Busy):
    """A validator has not verified all that is under a checkpoint yet."""

    code = "NOT_VERIFIED"
    status = 503


class Unreachable(ServiceError):
    """A server cannot be reached, or answers nothing that can be understood."""

    code = "UNREACHABLE"


class LogForked(ServiceError):
    """The log shows another history than it showed before."""

    code = "LOG_FORKED"


class Unsettled(ServiceError):
    """An entry with the same number was sent, and what became of it is not known."""

    code = "UNSETTLED"


class Refused(ServiceError):
    """A server refuses something for a reason that is not known here.

    Parameters
    ----------
    code, message : str
        What the server says.
    """

    code = "REFUSED"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        vars(self)["code"] = code


_CONFLICTS = (
    errors.BadNonce,
    errors.NullifierSpent,
    errors.WrongPhase,
    errors.AlreadyRegistered,
    errors.OverBudget,
    errors.InsufficientFunds,
)
_UNPROCESSABLE = (
    errors.EntryRefused,
    errors.MissingBlob,
    errors.BadKey,
    errors.BadNote,
    errors.BadEvidence,
    ProofRejected,
    SrsError,
    ArtefactError,
)
_UNAVAILABLE = (errors.LedgerBusy, errors.StorageFailed)


def status_of(error: ZkpotError) -> int:
    """Return the HTTP status of an error.

    What is wrong with an entry or a proof is the caller's; what is left is this server's.
    """
    if isinstance(error, ServiceError):
        return error.status
    if isinstance(error, errors.MalformedEntry):
        return 400
    if isinstance(error, errors.NotAuthorised):
        return 403
    if isinstance(error, _CONFLICTS):
        return 409
    if isinstance(error, _UNPROCESSABLE):
        return 422
    if isinstance(error, errors.TraceTooLarge | errors.AmbiguousRelease):
        return 422
    return 503 if isinstance(error, _UNAVAILABLE) else 500


def undecided(error: ZkpotError) -> bool:
    """Tell whether an error is this server's, and says nothing of the entry that met it."""
    return isinstance(error, LedgerError) and status_of(error) >= 500
