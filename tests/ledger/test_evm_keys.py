"""Signatures of EVM accounts: one spelling each, and the same as everybody else's."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc.secp256k1.secp256k1 import G, multiply

from ledger import signatures
from ledger.errors import BadKey
from ledger.evm_keys import EvmSigner, N, address_of, identity_of, keccak256, verify

# The account of the secret 1, whose address everybody knows.
SECRET = (1).to_bytes(32, "big")
ADDRESS = "7e5f4552091a69125d5dfcb7b8c2659029395bdf"
SIGNER = EvmSigner(SECRET)
MESSAGE = hashlib.sha256(b"message").digest()
FIELD = 2**256 - 2**32 - 977


def parts(signature):
    return signature[:32], signature[32:64], signature[64]


def test_keccak():
    """Of the empty string; SHA3-256 has another padding."""
    assert keccak256(b"").hex() == (
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )


def test_a_known_account():
    assert SIGNER.public == identity_of(ADDRESS) == "00" * 12 + ADDRESS
    assert address_of(SIGNER.public) == ADDRESS


def test_an_honest_signature():
    signature = SIGNER.sign(MESSAGE)
    assert verify(SIGNER.public, signature, MESSAGE)
    assert signature == SIGNER.sign(MESSAGE), "there is no randomness to get wrong"
    assert not verify(SIGNER.public, signature, hashlib.sha256(b"another").digest())
    assert not verify(EvmSigner(MESSAGE).public, signature, MESSAGE)


@settings(max_examples=15)
@given(st.integers(1, N - 1), st.binary(min_size=32, max_size=32))
def test_wallets_sign_and_read_the_same(secret, message):
    """`eth_account` is what wallets are built of; it is needed for this test only."""
    account = pytest.importorskip("eth_account").Account
    encode = pytest.importorskip("eth_account.messages").encode_defunct
    ours = EvmSigner(secret.to_bytes(32, "big"))
    theirs = account.from_key(secret.to_bytes(32, "big"))
    assert theirs.address.lower() == "0x" + address_of(ours.public)
    made = theirs.sign_message(encode(message)).signature
    assert bytes(made) == ours.sign(message)
    assert account.recover_message(encode(message), signature=ours.sign(message)) == theirs.address


def test_the_other_s_is_refused():
    """-s with the other v recovers the same address: were it taken, one entry had two spellings."""
    r, s, v = parts(SIGNER.sign(MESSAGE))
    high = (N - int.from_bytes(s, "big")).to_bytes(32, "big")
    assert int.from_bytes(s, "big") <= N // 2
    assert not verify(SIGNER.public, r + high + bytes([55 - v]), MESSAGE)


@pytest.mark.parametrize("v", [0, 1, 2, 26, 29, 30, 31, 34, 35, 255])
def test_wrong_v(v):
    r, s, right = parts(SIGNER.sign(MESSAGE))
    assert not verify(SIGNER.public, r + s + bytes([v]), MESSAGE)
    assert not verify(SIGNER.public, r + s + bytes([55 - right]), MESSAGE)


def on_curve(x):
    return pow(x**3 + 7, (FIELD - 1) // 2, FIELD) == 1


OFF = next(x for x in range(1, 100) if not on_curve(x))


@pytest.mark.parametrize(
    "r", [0, OFF, N, N + 1, FIELD - 1, 2**256 - 1, next(x for x in range(N, N + 99) if on_curve(x))]
)
def test_an_r_that_is_no_point_or_too_large(r):
    _, s, v = parts(SIGNER.sign(MESSAGE))
    assert not verify(SIGNER.public, r.to_bytes(32, "big") + s + bytes([v]), MESSAGE)


@pytest.mark.parametrize("s", [0, N // 2 + 1, N, N + 1, 2**256 - 1])
def test_an_s_that_is_zero_or_too_large(s):
    r, _, v = parts(SIGNER.sign(MESSAGE))
    assert not verify(SIGNER.public, r + s.to_bytes(32, "big") + bytes([v]), MESSAGE)


@given(st.binary(min_size=65, max_size=65))
def test_noise_is_no_signature(noise):
    assert not verify(SIGNER.public, noise, MESSAGE)


def test_a_signature_that_recovers_to_nothing():
    """With R = z/s G the recovered key is the point at infinity, which has no address."""
    personal = keccak256(b"\x19Ethereum Signed Message:\n32" + MESSAGE)
    z = int.from_bytes(personal, "big") % N
    k = 5
    x, y = multiply(G, k)
    s = z * pow(k, -1, N) % N
    if s > N // 2:
        s, y = N - s, FIELD - y
    forged = x.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + y % 2])
    assert not verify(SIGNER.public, forged, MESSAGE)


@pytest.mark.parametrize("size", [0, 64, 66])
def test_lengths(size):
    assert not verify(SIGNER.public, SIGNER.sign(MESSAGE).ljust(66, b"\0")[:size], MESSAGE)
    assert not verify(SIGNER.public, SIGNER.sign(MESSAGE), MESSAGE[:31])


@pytest.mark.parametrize(
    "identity", ["", "00" * 32, "00" * 20, ADDRESS, "11" + "00" * 11 + ADDRESS, "0x" + ADDRESS]
)
def test_identities_that_are_no_accounts(identity):
    """The zero address among them, for which ill-made signatures recover elsewhere."""
    with pytest.raises(BadKey):
        address_of(identity)
    with pytest.raises(BadKey):
        verify(identity, SIGNER.sign(MESSAGE), MESSAGE)
    with pytest.raises(BadKey):
        signatures.check_key("evm", identity)


@pytest.mark.parametrize("secret", [b"", b"\0" * 32, N.to_bytes(32, "big"), b"\1" * 33])
def test_secrets_that_are_none(secret):
    with pytest.raises(BadKey):
        EvmSigner(secret)


def test_a_signer_does_not_show_its_secret():
    signer = EvmSigner(MESSAGE)
    assert signer.public in repr(signer)
    assert MESSAGE.hex() not in repr(signer)


def test_domains_are_part_of_what_is_signed():
    signature = signatures.sign(SIGNER, b"one\0", b"message")
    assert signatures.verify("evm", SIGNER.public, signature, b"one\0", b"message")
    for domain, message in ((b"two\0", b"message"), (b"one\0", b"another")):
        assert not signatures.verify("evm", SIGNER.public, signature, domain, message)


@pytest.mark.parametrize("scheme", ["chain", "rsa", ""])
def test_other_kinds_of_keys_sign_nothing(scheme):
    signature = signatures.sign(SIGNER, b"one\0", b"message")
    assert not signatures.verify(scheme, SIGNER.public, signature, b"one\0", b"message")
    if scheme != "chain":
        with pytest.raises(BadKey):
            signatures.check_key(scheme, SIGNER.public)
