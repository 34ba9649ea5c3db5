"""Signed requests: everything that a forger may try."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.evm_keys import EvmSigner
from ledger.service.auth import Authenticator, Key, Message, check_digest, sign_request
from ledger.service.errors import BadRequestSignature, RateLimited
from ledger.service.limits import Rates
from ledger.service.nonces import Nonces
from tests.ledger.ledger_world import ALICE, BOB
from tests.ledger.service.service_world import refused, signed

ORIGIN = "ledger.example/auth"
BODY = b'{"some":"entry"}'
TARGET = "/v1/entries?x=1"
# Under this key a signature of zeros verifies for (nearly) every message.
SMALL_ORDER = "01" + "00" * 31


class Clock:
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.shift = 0.0

    def __call__(self) -> float:
        return time.time() + self.shift


def authenticator(clock: Callable[[], float] = time.time) -> Authenticator:
    return Authenticator(ORIGIN, window=300, skew=30, clock=clock)


def made(**how: Any) -> dict[str, str]:
    return signed("POST", TARGET, BODY, ALICE, origin=ORIGIN, **how)


def check(
    headers: dict[str, str], *, target: str = TARGET, method: str = "POST", key: Key | None = None,
    by: Authenticator | None = None,
) -> str:  # fmt: skip
    by = by or authenticator()
    identity, first = by.claimed(headers.items())
    return by.check(Message(method, target, headers), identity, key or first)


def test_an_honest_request() -> None:
    field = check(made())
    check_digest(field, hashlib.sha256(BODY).digest())


def test_an_evm_account_signs_too() -> None:
    signer = EvmSigner(b"\x07" * 32)
    headers: dict[str, str] = {}
    sign_request(Message("POST", TARGET, headers), hashlib.sha256(BODY).digest(), signer,
                 identity=signer.public, origin=ORIGIN, seconds=60)  # fmt: skip
    assert check(dict(headers))
    other = EvmSigner(b"\x08" * 32)
    with pytest.raises(BadRequestSignature):
        check(headers, key=Key("evm", other.public))


def test_what_was_signed_cannot_be_changed() -> None:
    wrong_body = hashlib.sha256(b"other").digest()
    with pytest.raises(BadRequestSignature, match="not what was signed"):
        check_digest(check(made()), wrong_body)
    swapped = {**made(), "Content-Digest": signed("POST", TARGET, b"x", BOB)["Content-Digest"]}
    for headers, how in (
        (swapped, {}),
        (made(), {"target": "/v1/submissions?x=1"}),
        (made(), {"target": "/v1/entries?x=2"}),
        (made(), {"target": "/v1/entries"}),
        (made(), {"method": "PUT"}),
        (made(), {"key": Key("ed25519", BOB.public)}),
        ({**made(), "Signature": made()["Signature"]}, {}),
    ):
        assert refused(lambda h=headers, w=how: check(h, **w)) == "BAD_REQUEST_SIGNATURE"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('keyid="', 'keyid="x'), (ALICE.public, BOB.public), ("created=1", "created=2"),
        (";expires=", ";until="), (";nonce=", ";number="), ("created=", "made="),
        ('"@path" ', ""), ('"@method" ', ""), ('"@query" ', ""), (' "content-digest"', ""),
        ("ed25519", "hmac-sha256"), ("ed25519", "zkpot-evm"), ("zkpot-", "zkpot+"),
    ],
)  # fmt: skip
def test_no_parameter_can_be_changed_or_left_out(old: str, new: str) -> None:
    headers = made()
    changed = headers["Signature-Input"].replace(old, new, 1)
    assert changed != headers["Signature-Input"]
    code = refused(lambda: check({**headers, "Signature-Input": changed}))
    assert code in ("BAD_REQUEST_SIGNATURE", "CLOCK_SKEW")


def test_a_signature_must_cover_all_of_it() -> None:
    """Left out by who signs, not by who changes it later."""
    from http_message_signatures import HTTPMessageSigner

    from ledger.service import auth

    now = auth.datetime.datetime.now(auth.datetime.UTC)
    for covered in (("@method", "@path", "@query"), ("@path", "@query", "content-digest")):
        headers = {"Content-Digest": auth.digest_field(hashlib.sha256(BODY).digest())}
        HTTPMessageSigner(
            signature_algorithm=auth._Ed25519, key_resolver=auth._OneKey(ALICE)
        ).sign(
            Message("POST", TARGET, headers), key_id=ALICE.public, created=now,
            expires=now + auth.datetime.timedelta(seconds=60), nonce="n" * 32,
            tag=auth.tag(ORIGIN), covered_component_ids=covered, use_existing_digest=True,
        )  # fmt: skip
        assert refused(lambda h=headers: check(h)) == "BAD_REQUEST_SIGNATURE"


def test_a_request_for_another_ledger() -> None:
    other = signed("POST", TARGET, BODY, ALICE, origin="ledger.example/other")
    assert refused(lambda: check(other)) == "BAD_REQUEST_SIGNATURE"


def test_one_signature_and_no_more() -> None:
    by, headers = authenticator(), made()
    for lines in ([], [("Signature-Input", headers["Signature-Input"])] * 2):
        assert refused(lambda x=lines: by.claimed(x)) == "BAD_REQUEST_SIGNATURE"
    for text in ("", "ledger", "ledger=1", "a=();keyid=1", "\x00", "ledger=(" * 1000, "é=()",
                 headers["Signature-Input"] + ", second=();keyid=\"x\""):  # fmt: skip
        pair = [("Signature-Input", text)]
        assert refused(lambda x=pair: by.claimed(x)) == "BAD_REQUEST_SIGNATURE"
    for text in ("", "ledger", "ledger=:!:", "ledger=:AAAA:", "other=:AAAA:"):
        bad = {**headers, "Signature": text}
        assert refused(lambda h=bad: check(h)) == "BAD_REQUEST_SIGNATURE"


def test_a_small_order_key_signs_nothing() -> None:
    """The library would take this signature, for every message."""
    forged = bytes.fromhex(SMALL_ORDER) + bytes(32)
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(SMALL_ORDER)).verify(forged, b"anything")
    headers = made(identity=SMALL_ORDER)
    headers["Signature"] = f"ledger=:{base64.b64encode(forged).decode()}:"
    with pytest.raises(BadRequestSignature, match="small order"):
        check(headers)


def test_clocks() -> None:
    clock = Clock()
    by = authenticator(clock)
    headers = made(seconds=60)
    for shift, code in ((-100.0, "CLOCK_SKEW"), (200.0, "CLOCK_SKEW")):
        clock.shift = shift
        assert refused(lambda: check(headers, by=by)) == code
    clock.shift = 0.0
    too_long = made(seconds=301)
    assert refused(lambda: check(too_long, by=by)) == "BAD_REQUEST_SIGNATURE"
    assert check(headers, by=by)
    # Which requests an earlier service has seen, this one does not know.
    clock.shift = 10.0
    assert refused(lambda: check(made(), by=authenticator(clock))) == "CLOCK_SKEW"


def test_a_request_counts_once_while_it_is_valid() -> None:
    clock = Clock()
    by, headers = authenticator(clock), made(seconds=60)
    assert check(headers, by=by)
    assert refused(lambda: check(headers, by=by)) == "REPLAYED_REQUEST"
    clock.shift = 80.0
    assert refused(lambda: check(headers, by=by)) == "REPLAYED_REQUEST"
    clock.shift = 95.0
    assert refused(lambda: check(headers, by=by)) == "CLOCK_SKEW"


def test_a_forger_cannot_use_up_a_nonce() -> None:
    by, headers = authenticator(), made()
    for target in ("/a", "/b"):
        refused(lambda t=target: check(headers, target=t, by=by))
    assert check(headers, by=by)


def test_no_nonce_is_forgotten_before_its_time() -> None:
    nonces = Nonces(limit=2)
    for name in ("a", "b"):
        nonces.use(ALICE.public, name, end=100.0, now=0.0)
    assert refused(lambda: nonces.use(ALICE.public, "c", 100.0, 50.0)) == "OVERLOADED"
    assert refused(lambda: nonces.use(ALICE.public, "a", 100.0, 50.0)) == "REPLAYED_REQUEST"
    nonces.use(BOB.public, "a", end=300.0, now=101.0)


def test_rates() -> None:
    now = [0.0]
    rates = Rates(per_second=2, burst=3, clock=lambda: now[0])
    for _ in range(3):
        rates.take("alice")
    with pytest.raises(RateLimited) as caught:
        rates.take("alice")
    assert caught.value.retry_after == 1
    rates.take("bob")
    now[0] = 0.5
    rates.take("alice")
    assert refused(lambda: rates.take("alice")) == "RATE_LIMITED"
