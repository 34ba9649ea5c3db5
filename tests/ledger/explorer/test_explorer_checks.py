"""The page's own cryptography says what the ledger's says."""

from __future__ import annotations

import base64
import hashlib
import random

from circuits.encoding import canonical_json, digest
from circuits.merkle import consistency_proof, inclusion_proof, leaf_hash, root
from ledger import Checkpoint, VerifierKey
from ledger.entries import Transfer
from ledger.envelope import SignedEntry
from ledger.evm_keys import EvmSigner
from ledger.tlog.cosignature import cosign
from ledger.tlog.note import Note
from tests.ledger.explorer.browser import Browser
from tests.ledger.ledger_world import ALICE, BOB, OPERATOR, ORIGIN

KEY = VerifierKey(ORIGIN, OPERATOR.public)
WITNESS = VerifierKey("witness.example", BOB.public, "cosignature")
TIME = 1_800_000_000


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_sha256(page: Browser) -> None:
    dice = random.Random(1)  # noqa: S311 - texts to hash, the same in every run
    texts = [dice.randbytes(n) for n in (*range(130), 1000, 70_000)]
    found = page.module(
        "sha256",
        """const { fromBase64, hex } = await import(`${args[1]}/bytes.js`);
        return args[0].map((text) => hex(m.sha256(fromBase64(text))));""",
        [encoded(text) for text in texts], f"{page.base}/js",
    )  # fmt: skip
    assert found == [hashlib.sha256(text).hexdigest() for text in texts]


def test_canonical_json_and_digests(page: Browser) -> None:
    values = [
        {"b": [1, 2, {"z": None, "a": True}], "a": 'quote " and \\ and \n', "é": "\u2028"},
        {"__proto__": 1, "10": 2, "9": 3, "A": 2**53 - 1, "\U0001f600": 0, "\ufb33": 1},
        [], {}, "", 0,
    ]  # fmt: skip
    found = page.module(
        "bytes",
        """return args[0].map((text) => {
          const again = m.canonicalJson(JSON.parse(text));
          return [again, m.digest('entry', m.utf8(again))];
        });""",
        [canonical_json(value).decode() for value in values],
    )
    assert found == [
        [canonical_json(value).decode(), digest("entry", canonical_json(value))] for value in values
    ]


def test_inclusion_of_every_leaf_and_of_nothing_else(page: Browser) -> None:
    leaves = [leaf_hash(bytes([i])) for i in range(20)]
    cases = []
    for size in range(1, len(leaves) + 1):
        top = root(leaves[:size])
        for index in range(size):
            path = inclusion_proof(leaves, index, size)
            cases.append([leaves[index], index, size, path, top, True])
            cases.append([leaves[index], (index + 1) % (size + 1), size, path, top, size == 0])
            cases.append([leaves[index], index, size, [*path, top], top, False])
            if path:
                cases.append([leaves[index], index, size, path[:-1], top, False])
                cases.append([leaves[index], index, size, [path[0][::-1], *path[1:]], top, False])
    found = page.module(
        "log",
        """const b = (t) => Uint8Array.from(atob(t), (c) => c.charCodeAt(0));
        return args[0].map(([leaf, index, size, path, root]) =>
          m.verifyInclusion(b(leaf), index, size, path.map(b), b(root)));""",
        [[encoded(a), i, n, [encoded(h) for h in p], encoded(t)] for a, i, n, p, t, _ in cases],
    )
    assert found == [case[-1] for case in cases]


def test_consistency_of_every_pair_of_sizes(page: Browser) -> None:
    leaves = [leaf_hash(bytes([i])) for i in range(18)]
    other = [leaf_hash(b"other"), *leaves[1:]]
    cases = []
    for new in range(1, len(leaves) + 1):
        for old in range(1, new + 1):
            path = consistency_proof(leaves, old, new)
            one, two = root(leaves[:old]), root(leaves[:new])
            cases.append([old, one, new, two, path, True])
            cases.append([old, root(other[:old]), new, two, path, False])
            cases.append([old, one, new, root(other[:new]), path, False])
            cases.append([old, one, new, two, [*path, one], False])
            if path:
                cases.append([old, one, new, two, path[1:], False])
    found = page.module(
        "log",
        """const b = (t) => Uint8Array.from(atob(t), (c) => c.charCodeAt(0));
        return args[0].map(([old, one, size, two, path]) =>
          m.verifyConsistency(old, b(one), size, b(two), path.map(b)));""",
        [[o, encoded(a), n, encoded(t), [encoded(h) for h in p]] for o, a, n, t, p, _ in cases],
    )
    assert found == [case[-1] for case in cases]


def test_notes_and_cosignatures(page: Browser) -> None:
    note = Checkpoint(ORIGIN, 7, b"r" * 32).sign(OPERATOR)
    parsed = Note.parse(note)
    line = cosign(parsed.text, WITNESS.name, BOB, TIME)
    both = parsed.add([line]).encode()
    later = both.replace("\n7\n", "\n8\n")
    cases = [
        (note, KEY, ["good", None]), (note, WITNESS, ["absent", None]),
        (both, KEY, ["good", None]), (both, WITNESS, ["good", TIME]),
        (later, KEY, ["bad", None]), (later, WITNESS, ["bad", None]),
        # One that fails spoils the note, even beside a good one.
        (note + later.split("\n\n")[1].split("\n")[0].replace("A", "B") + "\n", KEY, ["bad", None]),
    ]  # fmt: skip
    found = page.module(
        "log",
        """return Promise.all(args[0].map(async ([note, key]) => {
          const found = await m.verifyNote(m.parseNote(note), m.parseKey(key));
          return [found.state, found.time ?? null];
        }));""",
        [[text, str(key)] for text, key, _ in cases],
    )
    assert found == [expected for _, _, expected in cases]


def test_keys_that_are_none(page: Browser) -> None:
    good = str(KEY)
    small = VerifierKey.__new__(VerifierKey)
    object.__setattr__(small, "name", ORIGIN)
    object.__setattr__(small, "public", "01" + "00" * 31)
    object.__setattr__(small, "kind", "ed25519")
    wrong = ["", "name", good.replace("+", "-", 1), good.replace(ORIGIN, "other"), good[:-2]]
    found = page.module(
        "log",
        """const strong = args[0].map((text) => {
          try { return m.isStrongKey(m.parseKey(text).public); } catch { return 'malformed'; }
        });
        return strong;""",
        [good, str(small), *wrong],
    )
    assert found == [True, False] + ["malformed"] * len(wrong)


def test_signatures_of_authors(page: Browser) -> None:
    body = Transfer(BOB.public, 5)
    good = SignedEntry.sign(body, origin=ORIGIN, nonce=1, signer=ALICE).encode()
    account = EvmSigner(bytes(31) + b"k")
    evm = SignedEntry.sign(body, origin=ORIGIN, nonce=1, signer=account).encode()
    cases = {
        good: "good",
        good.replace(b'"amount":5', b'"amount":6'): "bad",
        good.replace(b'"nonce":1', b'"nonce":2'): "bad",
        evm: "unknown",
        good.replace(b'"amount":5', b'"amount": 5'): "it is not in canonical form",
    }
    found = page.module(
        "entry",
        """return Promise.all(args[0].map(async (data) => {
          const entry = m.decode(data);
          return entry.error ?? m.authorSigned(entry);
        }));""",
        [encoded(data) for data in cases],
    )
    assert found == list(cases.values())


def test_accuracies_are_rounded_down(page: Browser) -> None:
    script = "return args[0].map((ratio) => [m.percent(ratio), m.ratio(ratio)]);"
    ratios = [[9999, 10000], [2, 3], [1, 1], [0, 7], [1, 50], [99999, 100000], [1, 2]]
    assert page.module("format", script, ratios) == [
        ["99.99 %", "99.99 %"], ["66.66 %", "2/3"], ["100.00 %", "100 %"], ["0.00 %", "0 %"],
        ["2.00 %", "2 %"], ["99.99 %", "99999/100000"], ["50.00 %", "50 %"],
    ]  # fmt: skip
