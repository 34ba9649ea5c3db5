"""A log that can be made to lie, and witnesses, for the tests of the transparency-log formats."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import strategies as st

from circuits.merkle import EMPTY_ROOT, consistency_proof, inclusion_proof, leaf_hash, root
from ledger.keys import Signer
from ledger.tlog.cosignature import cosign
from ledger.tlog.note import Checkpoint, Note, VerifierKey

ORIGIN = "log.example/tests"
NOW = 1_700_000_000


def signer(name):
    seed = hashlib.sha256(f"seed of {name}".encode()).digest()
    return Signer(Ed25519PrivateKey.from_private_bytes(seed))


def witness_key(name):
    return VerifierKey(name, signer(name).public, "cosignature")


LOG = VerifierKey(ORIGIN, signer(ORIGIN).public)
W1, W2, W3 = WITNESSES = tuple(witness_key(f"witness.example/w{n}") for n in (1, 2, 3))


def cosigned(note, *names, time=NOW):
    """Return the note with good cosignatures, by witnesses or by anyone else."""
    parsed = Note.parse(note)
    return parsed.add(cosign(parsed.text, name, signer(name), time) for name in names).encode()


def raw_line(name, key_id, signature):
    return f"— {name} {base64.b64encode(key_id + signature).decode()}\n"


@st.composite
def spoilt(draw, text):
    """Draw `text` with one byte changed, removed or put in."""
    data = bytearray(text.encode())
    place = draw(st.integers(0, len(data) - 1))
    match draw(st.sampled_from(["change", "remove", "insert"])):
        case "change":
            data[place] ^= draw(st.integers(1, 255))
        case "remove":
            del data[place]
        case "insert":
            data.insert(place, draw(st.sampled_from(b"\n\t \r=A0")))
    # What is no UTF-8 is refused where bytes are read, before anything here.
    return data.decode(errors="replace")


class Log:
    """A log of so many entries; another `history` makes others of them from `fork` on."""

    def __init__(self, entries=300, *, history="", fork=0, origin=ORIGIN):
        self.origin = origin
        self.data = [f"{history if i >= fork else ''}leaf {i}".encode() for i in range(entries)]
        self.leaves = [leaf_hash(data) for data in self.data]

    def root(self, size):
        return root(self.leaves[:size]) if size else EMPTY_ROOT

    def checkpoint(self, size):
        return Checkpoint(self.origin, size, self.root(size))

    def note(self, size):
        return self.checkpoint(size).sign(signer(self.origin))

    def consistency(self, old, new):
        return tuple(consistency_proof(self.leaves, old, new))

    def inclusion(self, index, size):
        return tuple(inclusion_proof(self.leaves, index, size))
