"""Keys on disk, and public keys under which a signature proves nothing."""

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ledger_world import ALICE

from circuits.errors import MissingArtefact
from ledger.errors import BadKey
from ledger.keys import _SMALL_ORDER_Y, Signer, check_public_key, verify_signature

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    """Edwards addition, from RFC 8032, in affine coordinates."""
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P,
    )


def recover(y):
    """An x with (x, y) on the curve, or None."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x * x % P == square else None


def encode(y, sign=0):
    return (y | sign << 255).to_bytes(32, "little").hex()


@pytest.mark.parametrize("y", sorted(_SMALL_ORDER_Y))
@pytest.mark.parametrize("sign", [0, 1])
def test_small_order_keys_are_refused(y, sign):
    point = (recover(y), y)
    for _ in range(3):
        point = add(point, point)
    assert point == (0, 1)
    with pytest.raises(BadKey, match="small order"):
        check_public_key(encode(y, sign))


def test_the_list_of_small_orders_is_complete():
    """Eight points have an order dividing 8; y = 1 and y = -1 have one x, the others two."""
    assert sum(1 if y in (1, P - 1) else 2 for y in _SMALL_ORDER_Y) == 8


def test_why_small_orders_are_refused():
    """One signature, made without any secret, is good for every message under such a key."""
    key = bytes.fromhex(encode(1))
    forged = key + bytes(32)
    Ed25519PublicKey.from_public_bytes(key).verify(forged, b"pay me")
    with pytest.raises(BadKey):
        verify_signature(key.hex(), forged, b"pay me")


@pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1])
def test_non_canonical_keys_are_refused(y):
    with pytest.raises(BadKey, match="canonical"):
        check_public_key(encode(y))


@pytest.mark.parametrize("text", ["", "00", "AB" * 32, "zz" * 32, None])
def test_malformed_keys_are_refused(text):
    with pytest.raises(BadKey):
        check_public_key(text)


def test_an_honest_key():
    signature = ALICE.sign(b"message")
    assert verify_signature(ALICE.public, signature, b"message")
    assert not verify_signature(ALICE.public, signature, b"another")
    assert not verify_signature(ALICE.public, signature[:-1], b"message")
    # S + L is the same number to the curve; were it taken, a signature would have two spellings.
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    assert not verify_signature(ALICE.public, signature[:32] + s.to_bytes(32, "little"), b"message")


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_round_trip(tmp_path, passphrase):
    path = tmp_path / "key.pem"
    ALICE.save(path, passphrase)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (b"ENCRYPTED" in path.read_bytes()) == (passphrase is not None)
    assert Signer.load(path, passphrase).public == ALICE.public
    wrong = b"wrong" if passphrase is None else None
    for bad in (wrong, b"battery"):
        with pytest.raises(BadKey):
            Signer.load(path, bad)


def test_a_key_is_not_overwritten(tmp_path):
    path = tmp_path / "key.pem"
    ALICE.save(path, None)
    with pytest.raises(BadKey):
        Signer.generate().save(path, None)
    assert Signer.load(path).public == ALICE.public


def test_other_files_are_no_keys(tmp_path):
    path = tmp_path / "key.pem"
    with pytest.raises(MissingArtefact):
        Signer.load(path)
    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data in (b"", b"nonsense", pem):
        path.write_bytes(data)
        with pytest.raises(BadKey):
            Signer.load(path)


def test_a_signer_does_not_show_its_secret():
    assert ALICE.public in repr(ALICE)
    assert ALICE._key.private_bytes_raw().hex() not in repr(ALICE)
