"""Who sent a request: RFC 9421 signatures by the keys of registered identities.

Signed are the method, the path, the query and the digest of the content, and with them when the
signature was made and ends, a nonce, and a tag that names the ledger: a request can neither be
changed, nor sent to another ledger, nor sent twice.
"""

from __future__ import annotations

import base64
import datetime
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import http_sf
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
)

from circuits.encoding import digest, is_hex
from circuits.errors import LedgerError
from ledger import signatures
from ledger.service.errors import BadRequestSignature, ClockSkew
from ledger.service.nonces import Nonces
from ledger.signatures import Signs

COVERED = ("@method", "@path", "@query", "content-digest")
_LABEL = "ledger"
_NONCE_BYTES = 16
_MAX_HEADER = 4096


def tag(origin: str) -> str:
    """Return what a signature says it is for; an origin itself need not be ASCII."""
    return "zkpot-" + digest("request", origin.encode())[:32]


@dataclass(frozen=True)
class Key:
    """A public key that may sign requests.

    Attributes
    ----------
    scheme : str
        ``ed25519`` or ``evm``.
    public : str
        32 bytes of hex.
    """

    scheme: str
    public: str


@dataclass(frozen=True)
class Message:
    """A request as its signature sees it.

    Attributes
    ----------
    method : str
        In capitals.
    target : str
        Path and query, as sent.
    headers : mapping
        Fields; a mutable one where the request is to be signed.
    """

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def url(self) -> str:
        """The target at some host: no host is signed, since a proxy may change it."""
        return "http://ledger" + self.target


class _Algorithm(HTTPSignatureAlgorithm):
    """Signatures by whatever kind of key an identity has; weak keys sign nothing."""

    scheme = ""

    def __init__(self, public_key: Any = None, private_key: Any = None) -> None:
        self._public: str | None = public_key
        self._private: Signs | None = private_key

    def sign(self, message: bytes) -> bytes:
        assert self._private is not None
        return bytes.fromhex(signatures.sign(self._private, b"", message))

    def verify(self, signature: bytes, message: bytes) -> None:
        assert self._public is not None
        signatures.check_key(self.scheme, self._public)
        if not signatures.verify(self.scheme, self._public, signature.hex(), b"", message):
            raise BadRequestSignature(f"not signed by {self._public}")


class _Ed25519(_Algorithm):
    algorithm_id = scheme = "ed25519"


class _Evm(_Algorithm):
    # EIP-191 over the SHA-256 of the signature base; no registered algorithm has this curve.
    algorithm_id, scheme = "zkpot-evm", "evm"


_ALGORITHMS: dict[str, type[_Algorithm]] = {a.algorithm_id: a for a in (_Ed25519, _Evm)}
_BY_SCHEME = {a.scheme: a for a in _ALGORITHMS.values()}


class _OneKey(HTTPSignatureKeyResolver):
    def __init__(self, key: str | Signs) -> None:
        self._key = key

    def resolve_public_key(self, _key_id: str) -> Any:
        return self._key

    def resolve_private_key(self, _key_id: str) -> Any:
        return self._key


def sign_request(
    message: Message, sha256: bytes, signer: Signs, *, identity: str, origin: str, seconds: int
) -> None:
    """Sign a request: adds Content-Digest, Signature-Input and Signature to its headers.

    Parameters
    ----------
    message : Message
        The request.
    sha256 : bytes
        SHA-256 of its content.
    signer : Signs
        The present key of the identity.
    identity : str
        The identity.
    origin : str
        Name of the ledger.
    seconds : int
        How long the signature is to be valid.
    """
    headers = message.headers
    assert isinstance(headers, MutableMapping)
    headers["Content-Digest"] = digest_field(sha256)
    now = datetime.datetime.now(datetime.UTC)
    HTTPMessageSigner(
        signature_algorithm=_BY_SCHEME[signer.scheme], key_resolver=_OneKey(signer)
    ).sign(
        message,
        key_id=identity,
        created=now,
        expires=now + datetime.timedelta(seconds=seconds),
        nonce=secrets.token_hex(_NONCE_BYTES),
        label=_LABEL,
        tag=tag(origin),
        covered_component_ids=COVERED,
        use_existing_digest=True,
    )


class _Verifier(HTTPMessageVerifier):
    """The library's, with this service's rules about time."""

    def __init__(self, key: str, scheme: str, check_times: Callable[[Any], None]) -> None:
        super().__init__(signature_algorithm=_BY_SCHEME[scheme], key_resolver=_OneKey(key))
        self._check_times = check_times

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:  # noqa: ARG002
        self._check_times(sig_input.params)


class Authenticator:
    """Checks the signatures of requests to one ledger.

    Parameters
    ----------
    origin : str
        The ledger.
    window : int
        Longest that a signature may be valid, in seconds.
    skew : int
        How far clocks may be apart, in seconds.
    clock : callable, optional
        Unix time.
    """

    def __init__(
        self, origin: str, window: int, skew: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._tag = tag(origin)
        self._window = window
        self._skew = skew
        self._clock = clock
        self._started = clock()
        self._nonces = Nonces()

    def claimed(self, headers: Iterable[tuple[str, str]]) -> tuple[str, Key]:
        """Return the identity that a request says it is by, and its key; nothing is checked yet.

        The key is one that an identity of this name would have to begin with.

        Raises
        ------
        BadRequestSignature
            If it says none, or more than one.
        """
        lines = [value for name, value in headers if name.lower() == "signature-input"]
        if len(lines) != 1 or len(lines[0]) > _MAX_HEADER:
            raise BadRequestSignature("the request must have one RFC 9421 signature")
        try:
            parsed: Any = http_sf.parse(lines[0].encode(), tltype="dictionary")
            (member,) = parsed.values()
            identity, name = member[1].get("keyid"), member[1].get("alg", _Ed25519.algorithm_id)
            scheme = _ALGORITHMS[name].scheme
        except (ValueError, TypeError, AttributeError, LookupError):
            raise BadRequestSignature("Signature-Input is not that of one signature") from None
        if not is_hex(identity, 32):
            raise BadRequestSignature("keyid is not an identity of 64 hex digits")
        return str(identity), Key(scheme, str(identity))

    def check(
        self, message: Message, identity: str, key: Key, admit: Callable[[str], None] | None = None
    ) -> str:
        """Check a request's signature.

        Parameters
        ----------
        message : Message
            The request.
        identity : str
            What `claimed` returned.
        key : Key
            Its present key.
        admit : callable, optional
            Called with the identity once the signature holds and is new; raises if it comes too
            often.

        Returns
        -------
        str
            The signed Content-Digest, to be held against the content.

        Raises
        ------
        BadRequestSignature
            If it does not hold; the subclass says why where that helps.
        """
        try:
            # The one signature must be for this ledger; a second one of its like is refused.
            results = _Verifier(key.public, key.scheme, self._check_times).verify(
                message, max_age=None, expect_tag=self._tag, require_components=COVERED
            )
        except HTTPMessageSignaturesException as error:
            raise BadRequestSignature(f"the signature does not hold: {error}") from None
        except LedgerError:
            raise
        # What the library was handed comes from a stranger.
        except (ValueError, TypeError, LookupError) as error:
            raise BadRequestSignature(f"the signature cannot be read: {error}") from None
        if len(results) != 1 or results[0].parameters.get("keyid") != identity:
            raise BadRequestSignature("the request must have one signature")
        parameters, nonce = results[0].parameters, results[0].nonce
        if nonce is None or not 16 <= len(nonce) <= 64:
            raise BadRequestSignature("nonce must have 16 to 64 characters")
        # Only what holds is remembered: strangers cannot use up an identity's nonces.
        end, now = int(parameters["expires"]) + self._skew, self._clock()
        self._nonces.check(identity, nonce)
        # In between: a replay costs its victim nothing, and a flood fills no memory.
        if admit is not None:
            admit(identity)
        self._nonces.use(identity, nonce, end, now)
        return results[0].covered_components['"content-digest"']

    def _check_times(self, parameters: Any) -> None:
        created, expires = parameters.get("created"), parameters.get("expires")
        if type(created) is not int or type(expires) is not int:
            raise BadRequestSignature("the signature must say when it was made and when it ends")
        now = self._clock()
        if not 0 < expires - created <= self._window:
            raise BadRequestSignature(f"a signature is valid for at most {self._window} s")
        if created > now + self._skew:
            raise ClockSkew(
                f"signed {created - now:.0f} s in the future; this clock says {now:.0f}, and "
                f"clocks may be {self._skew} s apart"
            )
        if expires < now - self._skew:
            raise ClockSkew(
                f"the signature ended {now - expires:.0f} s ago, by this clock {now:.0f}"
            )
        # Which requests were seen before it started, a service does not know.
        if created < int(self._started):
            raise ClockSkew("signed before this service started; sign it anew")


def digest_field(sha256: bytes) -> str:
    """Return the Content-Digest field of content with this SHA-256."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def check_digest(field: str, sha256: bytes) -> None:
    """Check the SHA-256 of content against its signed Content-Digest.

    Raises
    ------
    BadRequestSignature
        If it is another's.
    """
    if not hmac.compare_digest(field.encode(), digest_field(sha256).encode()):
        raise BadRequestSignature(
            f"the content is not what was signed: its digest is {digest_field(sha256)}"
        )
