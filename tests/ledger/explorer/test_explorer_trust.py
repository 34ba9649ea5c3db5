"""Whoever lies to the page, in whichever answer, is shown to lie."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from circuits.merkle import leaf_hash, root
from ledger import Checkpoint, VerifierKey
from ledger.keys import Signer
from tests.ledger.explorer.browser import ELSEWHERE, Browser
from tests.ledger.explorer.explorer_world import Site, Story
from tests.ledger.ledger_world import ALICE, OPERATOR, ORIGIN, signer

STRANGER = signer("stranger")


def edited(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """Return a change of an answer in JSON."""

    def edit(body: bytes) -> bytes:
        value = json.loads(body)
        change(value)
        return json.dumps(value).encode()

    return edit


def swapped(old: bytes, new: bytes) -> Callable[[Any], None]:
    """Return a change of the data of an entry."""

    def swap(told: Any) -> None:
        data = base64.b64decode(told["data"])
        assert old in data
        told["data"] = base64.b64encode(data.replace(old, new, 1)).decode()

    return swap


def bad(page: Browser) -> set[str]:
    return {name for name, state in page.checks().items() if state == "bad"}


ENTRIES: dict[str, tuple[Callable[[Any], None], set[str]]] = {
    "content": (swapped(b'"correct":78', b'"correct":79'), {"Digest", "Author", "Inclusion"}),
    "signature": (swapped(b'"signature":"', b'"signature":"00'), {"Author", "Inclusion"}),
    "whitespace": (swapped(b'"correct":78', b'"correct": 78'), {"Encoding", "Inclusion"}),
    "not JSON": (swapped(b"{", b"["), {"Encoding", "Inclusion"}),
    "digest": (lambda told: told.update(digest="ab" * 32), {"Digest"}),
    "author": (lambda told: told.update(signer=OPERATOR.public), {"Digest"}),
    "type": (lambda told: told.update(type="credit"), {"Digest"}),
    "not base64": (lambda told: told.update(data="*"), {"Encoding"}),
}


@pytest.mark.parametrize("what", ENTRIES)
def test_a_changed_entry_is_bad(page: Browser, served: Site, story: Story, what: str) -> None:
    change, expected = ENTRIES[what]
    index = story.proofs[1]
    served.tampering.changes[f"/v1/entries/{index}"] = edited(change)
    page.open(f"#/entries/{index}")
    assert bad(page) == expected
    assert page.text("main .sentence").startswith("BAD")
    assert page.one("main .verdict").get_attribute("data-verdict") == "bad"


def flip(hashes: list[str]) -> None:
    changed = bytearray(base64.b64decode(hashes[0]))
    changed[0] ^= 1
    hashes[0] = base64.b64encode(changed).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda told: flip(told["hashes"]),
        lambda told: told["hashes"].pop(),
        lambda told: told["hashes"].append(told["hashes"][0]),
        lambda told: told.update(hashes=["*"]),
        lambda told: told.clear(),
    ],
    ids=["flipped", "shorter", "longer", "not base64", "absent"],
)
def test_a_changed_inclusion_proof_is_bad(
    page: Browser, served: Site, story: Story, change: Callable[[Any], None]
) -> None:
    served.tampering.changes["/v1/proof/inclusion"] = edited(change)
    page.open(f"#/entries/{story.proofs[1]}")
    assert bad(page) == {"Inclusion"}
    assert page.text("main .sentence").startswith("BAD")


def test_another_entry_in_its_place_is_bad(page: Browser, served: Site, story: Story) -> None:
    """Entry and proof are genuine, but of another index."""
    with story.ledger as ledger:
        data = base64.b64encode(ledger.entries()[3].encode()).decode()
        digest = ledger.entries()[3].digest
    served.tampering.changes["/v1/entries/5"] = edited(
        lambda told: told.update(data=data, digest=digest, signer=ALICE.public)
    )
    page.open("#/entries/5")
    assert "Inclusion" in bad(page)


def resigned(who: Signer) -> Callable[[bytes], bytes]:
    """Return a change to a checkpoint of the same size with another root."""

    def change(note: bytes) -> bytes:
        size = int(note.decode().split("\n")[1])
        return Checkpoint(ORIGIN, size, b"x" * 32).sign(who).encode()

    return change


def test_a_checkpoint_by_another_key_is_bad(page: Browser, served: Site) -> None:
    served.tampering.changes["/checkpoint"] = resigned(STRANGER)
    page.open("")
    assert page.checks()["Checkpoint"] == "bad"
    assert "CHECKPOINT BAD" in page.text("#strip")
    assert page.one("#strip [role=alert]")
    # And nothing of it is remembered.
    assert page.driver.execute_script("return localStorage.length") == 0


def test_a_changed_checkpoint_is_bad(page: Browser, served: Site) -> None:
    served.tampering.changes["/checkpoint"] = lambda note: note.replace(b"\n4", b"\n5", 1)
    page.open("")
    # The log's signature and the cosignature are both over the text.
    assert bad(page) == {"Checkpoint", "Validators"}


def test_a_checkpoint_that_is_none_is_said_in_a_line(page: Browser, served: Site) -> None:
    served.tampering.changes["/checkpoint"] = lambda _: b"hello"
    page.open("")
    assert page.text("main .error") == "not a signed note"
    assert "No checkpoint" in page.text("#strip")
    # What does not rest on a checkpoint is shown all the same.
    page.open("#/tasks")
    assert page.text("h1") == "Tasks"


def test_a_changed_cosignature_is_bad(page: Browser, served: Site) -> None:
    def change(note: bytes) -> bytes:
        first, separator, last = note.decode().rpartition(" ")
        middle = len(last) // 2
        other = "A" if last[middle] != "A" else "B"
        return (first + separator + last[:middle] + other + last[middle + 1 :]).encode()

    served.tampering.changes["/checkpoint"] = change
    page.open("")
    assert bad(page) == {"Validators"}
    assert page.rows("Validators")[0][1] == "Does not verify"


def seen(page: Browser, size: int, top: bytes, who: Signer = OPERATOR) -> str:
    """Let the browser remember an earlier visit."""
    note = Checkpoint(ORIGIN, size, top).sign(who)
    page.driver.execute_script(
        "localStorage.setItem(arguments[0], arguments[1])",
        f"zkpot:seen:{ORIGIN}", json.dumps({"note": note, "time": 1_700_000_000}),
    )  # fmt: skip
    return note


def leaves(story: Story) -> list[bytes]:
    with story.ledger as ledger:
        return [leaf_hash(entry.encode()) for entry in ledger.entries()]


def test_growth_since_the_last_visit_is_checked(page: Browser, story: Story) -> None:
    seen(page, 11, root(leaves(story)[:11]))
    page.open("")
    assert page.checks()["Growth"] == "good"
    assert "begins with the 11 entries that this browser saw on 2023-11-14" in page.text()


def test_a_rewritten_log_is_bad(page: Browser, story: Story) -> None:
    note = seen(page, 11, root([leaf_hash(b"other"), *leaves(story)[1:11]]))
    page.open("#/")
    assert page.checks()["Growth"] == "bad"
    assert "no longer begins" in page.text("#strip")
    # Both signed histories are there to be kept.
    assert note.strip() in [element.text for element in page.all("main pre")]
    # The browser goes on remembering what it saw first.
    kept = page.driver.execute_script("return localStorage.getItem(arguments[0])",
                                      f"zkpot:seen:{ORIGIN}")  # fmt: skip
    assert json.loads(kept)["note"] == note


def test_a_log_that_lost_entries_is_bad(page: Browser, story: Story) -> None:
    seen(page, 1000, root(leaves(story)))
    page.open("")
    assert page.checks()["Growth"] == "bad"
    assert "shorter than the 1,000 entries" in page.text("#strip")


def test_a_forged_proof_of_growth_is_bad(page: Browser, served: Site, story: Story) -> None:
    seen(page, 11, root(leaves(story)[:11]))
    served.tampering.changes["/v1/proof/consistency"] = edited(lambda told: flip(told["hashes"]))
    page.open("")
    assert page.checks()["Growth"] == "bad"


def use_key(page: Browser, text: str) -> None:
    field = page.one("#key")
    field.clear()
    field.send_keys(text)


def test_a_key_from_elsewhere(page: Browser, served: Site) -> None:
    """A server that signs all it shows with a key of its own is found out by who has the real."""
    page.open("")
    use_key(page, "nonsense")
    page.one("form.line button").click()
    assert "This is no key" in page.text("#key-error")
    use_key(page, str(VerifierKey(ORIGIN, OPERATOR.public)))
    page.follow("form.line button")
    assert "by the key that you gave" in page.text("[data-check=Checkpoint]")
    assert page.checks()["Checkpoint"] == "good"

    served.tampering.changes["/checkpoint"] = resigned(STRANGER)
    served.tampering.changes["/v1/info"] = edited(
        lambda told: told.update(vkey=str(VerifierKey(ORIGIN, STRANGER.public)))
    )
    page.open("")
    assert page.checks()["Checkpoint"] == "bad"
    assert "CHECKPOINT BAD" in page.text("#strip")
    served.tampering.changes.clear()
    page.open("")
    page.follow("form.line button.quiet")
    assert page.checks()["Checkpoint"] == "good"
    assert "the key that this server names" in page.text("[data-check=Checkpoint]")


def test_a_changed_blob_is_bad(page: Browser, served: Site, story: Story) -> None:
    with story.ledger as ledger:
        manifest = ledger.state.training[story.data[0]].terms.manifest
    blob = f"/v1/blobs/{manifest}"
    served.tampering.changes[blob] = lambda data: data.replace(b"scans", b"scams")
    page.open(f"#/data/{story.data[0]}")
    assert page.one("[data-blob]").get_attribute("data-blob") == "bad"
    assert "scams" not in page.facts().get("Name", "")


def test_without_signatures_it_says_so_and_checks_the_rest(
    page: Browser, served: Site, story: Story
) -> None:
    """Over plain HTTP from another machine browsers give pages no cryptography."""
    port = urlsplit(served.url).port
    page.base = f"http://{ELSEWHERE}:{port}"
    page.open(f"#/entries/{story.proofs[1]}", fresh=True)
    assert page.driver.execute_script("return crypto.subtle === undefined && !isSecureContext")
    checks = page.checks()
    assert {checks[name] for name in ("Author", "Checkpoint", "Validators")} == {"unknown"}
    assert {checks[name] for name in ("Encoding", "Digest", "Inclusion")} == {"good"}
    assert "plain HTTP" in page.text("[data-check=Checkpoint]")
    assert not page.text("main .sentence").startswith("GOOD")
    # A lie in what can be checked is still one.
    served.tampering.changes[f"/v1/entries/{story.proofs[1]}"] = edited(ENTRIES["content"][0])
    page.open(f"#/entries/{story.proofs[1]}")
    assert bad(page) == {"Digest", "Inclusion"}
    assert page.hosts() == {f"{ELSEWHERE}:{port}"}
    # A header that means nothing over plain HTTP is all that the browser complains of.
    assert all("Cross-Origin-Opener-Policy" in line for line in page.complaints())


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"<html>", "is not JSON"),
        (b'{"tasks": null}', "cannot be shown"),
        (b"[]", "cannot be shown"),
    ],
)
def test_an_answer_of_another_form_is_one_line(
    page: Browser, served: Site, body: bytes, line: str
) -> None:
    served.tampering.changes["/v1/tasks"] = lambda _: body
    page.open("#/tasks")
    assert line in page.text()
    assert len(page.text("main .error").splitlines()) == 1
