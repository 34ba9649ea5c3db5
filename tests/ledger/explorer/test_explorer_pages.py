"""Every page says what the ledger says."""

from __future__ import annotations

import json

import pytest

from ledger import VerifierKey
from ledger.entries import blob_digest
from ledger.provenance.trace import trace
from ledger.tlog.note import Checkpoint
from tests.ledger.explorer.browser import Browser
from tests.ledger.explorer.explorer_world import ATTACK, BOB, CAROL, DORA, NAMES, VALIDATORS, Story
from tests.ledger.ledger_world import ALICE, ARCHITECTURE, EVALUATOR, MANIFEST, OPERATOR, ORIGIN

KEY = VerifierKey(ORIGIN, OPERATOR.public)


def short(digest: str) -> str:
    return f"{digest[:8]}\u2026{digest[-6:]}"


def test_overview(page: Browser, story: Story) -> None:
    with story.ledger as ledger:
        checkpoint = Checkpoint.open(ledger.checkpoint(), KEY)
        newest = ledger.entries()[-1]
    page.open("")
    assert page.text("h1") == ORIGIN
    facts = page.facts()
    assert facts["Root"] == checkpoint.root.hex()
    assert facts["Key by this server"] == str(KEY)
    assert page.text(".tiles").splitlines()[0] == str(checkpoint.size)
    assert page.checks() == {"Checkpoint": "good", "Validators": "good", "Growth": "noted"}
    validators = page.rows("Validators")
    assert [row[0] for row in validators] == [key.name for key in VALIDATORS]
    assert validators[0][1].startswith("Cosigned 20") and validators[1][1].startswith("Not yet")
    rows = page.rows("Entries")
    assert len(rows) == 10
    assert rows[0][:2] == [f"#{checkpoint.size - 1}", newest.body.type]
    assert rows[0][4] == short(newest.digest)
    assert f"{checkpoint.size} entries" in page.text("#strip")


def test_tasks(page: Browser, story: Story) -> None:
    page.open("#/tasks")
    rows = {row[0]: row[1:5] for row in page.rows("Tasks")}
    assert rows["Skin lesions, two classes"] == ["Proofs", "1", "6", "800 of 1,000"]
    assert rows["Follow-up, with bonds"] == ["Over", "0", "0", "0 of 600"]
    assert len(rows) == 3


def test_task(page: Browser, story: Story) -> None:
    with story.ledger as ledger:
        state = ledger.state
        task = state.tasks[story.task]
        best = sorted(task.best.values(), key=lambda i: (-state.proofs[i].accuracy, i))
        earned = dict(state.credits)
    page.open(f"#/tasks/{story.task}")
    assert page.text("h1") == task.terms.title
    board = [
        [
            str(place), NAMES[state.proofs[index].identity],
            f"{state.proofs[index].correct}.00 %", f"{state.proofs[index].correct} of 100",
            str(earned.get(index, 0)), str(state.proofs[index].round), f"#{index}",
        ]
        for place, index in enumerate(best, 1)
    ]  # fmt: skip
    assert page.rows("Leaderboard") == board
    proofs = page.rows("Proofs in the order of the log")
    assert [row[0] for row in proofs] == [f"#{index}" for index in story.proofs]
    assert [row[4] for row in proofs] == [str(earned.get(i, 0)) for i in story.proofs]
    paid = page.rows("Credits")
    assert [(row[2], row[3]) for row in paid] == [(str(n), f"#{i}") for i, n in earned.items()]
    # The picture has a point for each proof, and says in words what the table says.
    points = page.all("main .chart .point")
    assert len(points) == len(story.proofs)
    assert len(page.all("main .chart .point.paid")) == len(earned)
    label = page.one("main .chart svg").get_attribute("aria-label")
    assert "91.00 %" in label and "6 proofs" in label
    facts = page.facts()
    assert facts["Proof system"] == "halo2"
    assert facts["Task"] == story.task
    assert facts["Circuit"] == short(task.terms.circuit)
    assert facts["Architecture"].startswith(short(blob_digest(ARCHITECTURE)))
    assert "100 samples" in facts["Test set"] and NAMES[EVALUATOR.public] in facts["Test set"]
    assert page.text(".steps [aria-current=step]").startswith("Proofs")
    words = page.text("main .words")
    for part in (
        "more than 2 %, in whole steps of 2 %",
        "more than 1,000 units",
        "less than 50 %",
        "at most 4 proofs from one identity and 10 from all",
    ):
        assert part in words, part


def test_task_with_deadlines_and_bonds(page: Browser, story: Story) -> None:
    with story.ledger as ledger:
        task = ledger.state.tasks[story.ended]
    page.open(f"#/tasks/{story.ended}")
    steps = page.text(".steps").replace("\n", " ")
    assert f"until entry #{task.opened + 4}" in steps
    assert f"until entry #{task.opened + 10}" in steps
    assert "never reached" in steps
    words = page.text("main .words")
    for part in (
        "whole pool to the best accuracy", "no minimum accuracy", "bond 20 units",
        "bond 200 units", "for 4 entries", "within 6 entries", "for 40 entries",
    ):  # fmt: skip
        assert part in words, part
    assert "No proof has been accepted yet." in page.text()


def test_identities(page: Browser, story: Story) -> None:
    with story.ledger as ledger:
        state = ledger.state
    page.open("#/identities")
    shown = {row[1]: row for row in page.rows("Identities")}
    assert len(shown) == len(state.identities)
    for identity, known in state.identities.items():
        row = shown[short(identity)]
        locked = sum(b.amount for (who, _), b in state.bonds.items() if who == identity)
        assert row[0] == known.name
        assert row[2] == ("Revoked" if known.revoked else "Active")
        assert row[4:] == [str(state.balances.get(identity, 0)), str(locked), str(known.nonce)]


def test_identity(page: Browser, story: Story) -> None:
    with story.ledger as ledger:
        key = ledger.state.identities[BOB.public].key
    page.open(f"#/identities/{BOB.public}")
    facts = page.facts()
    assert facts["Identity"] == BOB.public
    assert facts["Present key"] == f"{key} not its first"
    assert facts["Balance"] == "400 units"
    page.open(f"#/identities/{CAROL.public}")
    assert page.rows("Bonds") == [["the ledger itself", "100"]]
    page.open(f"#/identities/{EVALUATOR.public}")
    assert page.rows("Bonds") == [[short(story.ended), "200"]]
    page.open(f"#/identities/{DORA.public}")
    assert "Revoked" in page.text("main .lead")


def test_entries_are_paged(page: Browser, story: Story) -> None:
    with story.ledger as ledger:
        listed = ledger.entries()
    page.open("#/entries")
    seen = page.rows("Entries")
    page.follow("main .pager a[rel=next]")
    assert page.driver.current_url.endswith("start=0")
    seen += page.rows("Entries")
    assert [row[0] for row in seen] == [f"#{i}" for i in reversed(range(len(listed)))]
    assert [row[4] for row in seen] == [short(entry.digest) for entry in reversed(listed)]
    assert not page.all("main .pager a[rel=next]")
    by_rule = next(i for i, entry in enumerate(listed) if entry.body.by_rule)
    assert seen[len(listed) - 1 - by_rule][3] == "the rules"


def test_every_entry_is_good(page: Browser, story: Story) -> None:
    """Every type of entry on the ledger is read, digested and proven in the browser."""
    with story.ledger as ledger:
        listed = ledger.entries()
    seen = set()
    for index, entry in enumerate(listed):
        if entry.body.type in seen and index % 5:
            continue
        seen.add(entry.body.type)
        page.open(f"#/entries/{index}")
        assert page.one("main .verdict").get_attribute("data-verdict") == "good", page.text()
        assert page.facts()["Digest"] == entry.digest
        assert json.loads(page.text("main pre")) == entry.body.to_dict()
    assert seen == {entry.body.type for entry in listed}


def test_entry(page: Browser, story: Story) -> None:
    index = story.proofs[1]
    page.open(f"#/entries/{index}")
    assert page.text("h1") == f"Entry #{index}"
    assert "78.00 % (78 of 100)" in page.text("main .lead")
    assert page.facts()["Earned"] == "160 units"
    assert set(page.checks()) == {
        "Encoding", "Digest", "Author", "Inclusion", "Checkpoint", "Validators", "Growth",
    }  # fmt: skip
    # The receipt that is offered is the ledger's own, and the page's checker takes it.
    link = page.one("main a[download$=receipt]").get_attribute("href")
    text = page.driver.execute_async_script(
        "fetch(arguments[0]).then((r) => r.text()).then(arguments[1])", link
    )
    with story.ledger as ledger:
        assert text == ledger.receipt(index).encode()
    page.open("#/check")
    check_receipt(page, text)
    assert page.one("#receipt-verdict .verdict").get_attribute("data-verdict") == "good"
    assert f"number {index} of" in page.text("#receipt-verdict")
    wrong = text.replace(f"index {index}", f"index {index + 1}")
    check_receipt(page, wrong)
    assert page.checks()["Inclusion"] == "bad"
    assert page.text("#receipt-verdict .sentence").startswith("BAD")
    check_receipt(page, "nonsense")
    assert "cannot be read" in page.text("#receipt-verdict")


def check_receipt(page: Browser, text: str) -> None:
    page.driver.execute_script("document.getElementById('receipt').value = arguments[0]", text)
    page.driver.execute_script("document.getElementById('receipt-verdict').replaceChildren()")
    page.one("main form button").click()
    page.until("#receipt-verdict p")


def test_data(page: Browser, story: Story) -> None:
    page.open("#/data")
    assert page.rows("Test sets") == [
        [short(story.data[2]), NAMES[EVALUATOR.public], "100", "6 of 20", "Hidden"]
    ]
    training = {row[0]: row[1:] for row in page.rows("Training data")}
    assert training == {
        short(story.data[0]): [NAMES[CAROL.public], "40 rows", "CC-BY-4.0", "0"],
        short(story.data[1]): [NAMES[ALICE.public], "25 rows", "CC-BY-4.0", "1"],
    }
    page.open(f"#/data/{story.data[1]}")
    facts = page.facts()
    assert facts["Root"] == story.data[1]
    assert (facts["Name"], facts["Creators"]) == ("scans-cleaned", "Carol Institute")
    assert page.one("[data-blob]").get_attribute("data-blob") == "good"
    page.follow("main .words a")
    assert page.facts()["Root"] == story.data[0]
    page.open(f"#/data/{story.data[2]}")
    assert page.facts()["Manifest"] == short(blob_digest(MANIFEST))


def test_charter_and_refusals(page: Browser, story: Story) -> None:
    page.open("#/charter")
    words = page.text("main .words")
    assert "2 of 3 governors must approve" in words
    assert "One identity may open tasks" in words
    assert {NAMES[CAROL.public], NAMES[DORA.public]} <= {
        element.text for element in page.all("main .words a")
    }
    with story.ledger as ledger:
        refused = ledger.refusals()
    page.open("#/refusals")
    rows = page.rows("Refusals")
    assert [(row[0], row[1]) for row in rows] == [(r.code, r.message) for r in reversed(refused)]
    assert [row[3] for row in rows] == [NAMES[CAROL.public], NAMES[ALICE.public]]


def test_what_is_not_there(page: Browser) -> None:
    for path, what in (
        ("#/entries/9999", "there is no entry 9999"),
        (f"#/tasks/{'ab' * 32}", "there is no task"),
        (f"#/identities/{'ab' * 32}", "is not registered"),
        ("#/tasks/nonsense", "task"),
    ):
        page.open(path)
        assert page.text("h1") == "Not found", path
        assert what in page.text("main .error")
        # A browser notes every answer of that kind by itself.
        assert all("Failed to load resource" in line for line in page.complaints())
    page.open("#/nonsense")
    assert page.text("h1") == "Not found"


@pytest.mark.parametrize("what", ["index", "task", "identity", "data"])
def test_find(page: Browser, story: Story, what: str) -> None:
    wanted, title = {
        "index": ("#7", "Entry #7"),
        "task": (story.task, "Skin lesions, two classes"),
        "identity": (ALICE.public.upper(), NAMES[ALICE.public]),
        "data": (story.data[0], "Training data"),
    }[what]
    page.open("#/refusals")
    page.find(wanted)
    assert page.text("h1") == title
    page.complaints()


def test_models(page: Browser, story: Story) -> None:
    with story.ledger as ledger:
        state = ledger.state
        index = {entry.digest: i for i, entry in enumerate(ledger.entries())}
    page.open("#/models")
    assert sorted(page.rows("Released models")) == sorted(
        [
            f"{r.terms.name} {r.terms.release}", state.name(r.owner), short(r.terms.model),
            "None" if r.terms.proof is None else f"#{r.terms.proof}", f"#{index[name]}",
        ]
        for name, r in state.releases.items()
    )  # fmt: skip
    page.follow(f"main a[href='#/trace/{story.releases[1]}']")
    assert page.text("h1") == "DermaNet 2.0"


def test_trace(page: Browser, story: Story) -> None:
    with story.ledger as ledger:
        found = trace(ledger, story.releases[1])
    page.open(f"#/trace/{story.releases[1]}")
    facts = page.facts()
    assert facts["Owner"] == NAMES[ALICE.public]
    assert facts["Release"] == story.releases[1]
    assert (facts["Predictions"], facts["Audits"]) == ("1", "1")
    # The list has every thing and every relation; the picture what fits in one.
    listed = {element.get_attribute("data-node") for element in page.all("main [data-node]")}
    assert listed == {node.id for node in found.nodes}
    assert len(page.all("main .trail ul li")) == len(found.edges)
    drawn = [element.get_property("textContent") for element in page.all("main .graph .node")]
    for text in ("DermaNet 2.0", "DermaNet 1.0", "scans-cleaned", "91 of 100 right",
                 "78 of 100 right", "100 samples"):  # fmt: skip
        assert any(text in label for label in drawn), text
    remarks = {element.get_attribute("data-code") for element in page.all("main .remarks li")}
    assert remarks == {remark.code for remark in found.remarks}
    # The card is text, whatever it says.
    assert page.one("[data-blob]").get_attribute("data-blob") == "good"
    assert facts["Description"] == f"For screening. {ATTACK}"


def test_layers_of_a_graph(page: Browser) -> None:
    """What rests on something stands above it; a circle, which no ledger has, is no trap."""
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")]
    script = """return [...m.layers(args[0],
        args[1].map(([from, to]) => ({ from, to }))).values()];"""
    assert page.module("graph", script, list("abcd"), edges) == [0, 1, 2, 0]
    assert len(page.module("graph", script, list("ab"), [("a", "b"), ("b", "a")])) == 2
