"""Traces: what they find, what they point out, and that nobody can spoil another's."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from circuits.encoding import canonical_json
from circuits.merkle import leaf_hash, root
from ledger import Ledger, entries
from ledger.charter import CHARTER_DOMAIN
from ledger.entries import (
    NOTHING,
    AuditAttest,
    Bond,
    Clock,
    DataRegister,
    IdentityRegister,
    IdentityRevoke,
    ModelCommit,
    ModelRelease,
    PolicyChange,
    PredictionAttest,
    Slash,
    blob_digest,
)
from ledger.envelope import SignedEntry
from ledger.errors import (
    AmbiguousRelease,
    LedgerCorrupt,
    MissingBlob,
    TraceTooLarge,
    UnknownRelease,
)
from ledger.policy import Windows
from ledger.provenance import Edge, Trace, builder, trace
from ledger.provenance.builder import MOST
from ledger.provenance.graph import EDGES, NODES
from ledger.rules.governance import charter_message
from ledger.tlog.note import Checkpoint
from tests.ledger.ledger_world import (
    ALICE,
    BOB,
    DATA,
    EVALUATOR,
    OPERATOR,
    ORIGIN,
    POLICY,
    World,
    commitment,
    digest_of,
    ready,
    statement,
    submission,
)
from tests.ledger.provenance.provenance_world import (
    ARTEFACT,
    CAROL,
    Lineage,
)

TRACE = sys.modules["ledger.provenance.trace"]
"""The module, whose name in the package is that of the function."""


class Shown:
    """The entries of a pure world, shown as an engine shows them."""

    def __init__(self, world: World, blobs: Sequence[bytes] = ()) -> None:
        self.log, self.state = world.log, world.state
        self.blobs = {blob_digest(blob): blob for blob in blobs}

    def entries(self) -> list[SignedEntry]:
        return self.log

    def checkpoint(self) -> str:
        hashes = [leaf_hash(entry.encode()) for entry in self.log]
        return Checkpoint(ORIGIN, len(hashes), root(hashes)).sign(OPERATOR)

    def blob(self, digest: str, /) -> bytes:
        try:
            return self.blobs[digest]
        except KeyError:
            raise MissingBlob(f"no blob {digest}") from None


def codes(found: Trace) -> dict[str, set[str]]:
    """Return the ids that each remark is about."""
    said: dict[str, set[str]] = {}
    for remark in found.remarks:
        said.setdefault(remark.code, set()).add(remark.node)
    return said


def trained(root_: str, **changes: Any) -> DataRegister:
    fields = {"kind": "training", "root": root_, "samples": 3, "manifest": digest_of("card"),
              "unit": "rows", "licence": "MIT"}  # fmt: skip
    return DataRegister(**(fields | changes))


class TestWhatIsFound:
    def test_everything_a_release_rests_on(self, story: Lineage) -> None:
        found = trace(story.ledger, "digits@1.1")
        first, second = (f"release:{story.releases[n]}" for n in ("first", "second"))
        assert found.start == second
        assert story.base is not None
        assert story.derived is not None
        data, scans = f"data:{story.derived.root}", f"data:{story.base.root}"
        model, proof = f"model:{digest_of('m')}", f"proof:{story.proof}"
        round_, task = f"round:{story.task}/0", f"task:{story.task}"
        credit = f"credit:{story.proof + 1}"
        expected = [
            (second, "made-from", first), (first, "of-model", model), (first, "trained-on", data),
            (data, "derived-from", scans), (first, "proven-by", proof), (proof, "answers", round_),
            (round_, "of-task", task), (task, "on-testset", f"testset:{DATA.root}"),
            (task, "under-policy", f"policy:{story.task}"), (task, "under-charter", "charter:0"),
            (proof, "earned", credit), (model, "has-proof", proof),
            (scans, "signed-by", f"identity:{CAROL.public}"),
            (data, "signed-by", f"identity:{ALICE.public}"),
            (first, "signed-by", f"identity:{ALICE.public}"),
            (f"testset:{DATA.root}", "signed-by", f"identity:{EVALUATOR.public}"),
            (task, "signed-by", f"identity:{OPERATOR.public}"),
        ]  # fmt: skip
        for source, kind, target in expected:
            assert Edge(source, kind, target) in found.edges
        assert len(found.kind("commit")) == 2
        assert len(found.kind("prediction")) == len(found.kind("audit")) == 1

    def test_numbers(self, story: Lineage) -> None:
        found = trace(story.ledger, story.releases["first"])
        proof = found.node(f"proof:{story.proof}").fields
        assert (proof["entry"], proof["accuracy"], proof["srs_insecure"]) == (
            story.proof, [9, 10], False,
        )  # fmt: skip
        assert (proof["statement"]["correct"], proof["statement"]["samples"]) == (90, 100)
        assert found.node(f"credit:{story.proof + 1}").fields["amount"] == 800
        release = found.node(found.start).fields
        assert (release["artefact"], release["predictions"], release["audits"]) == (ARTEFACT, 1, 1)
        assert story.derived is not None
        data = found.node(f"data:{story.derived.root}").fields
        assert (data["samples"], data["unit"], data["licence"]) == (100, "rows", "CC-BY-4.0")
        assert data["card"]["creators"] == ["E. Alpaydin", "UCI"]
        assert data["after"] == 1_800_000_000
        assert data["digest"] == story.ledger.entries()[data["entry"]].digest
        assert found.node(f"round:{story.task}/0").fields["released"] is not None

    def test_the_place_of_the_log(self, story: Lineage) -> None:
        found = trace(story.ledger, "digits@1.1")
        opened = Checkpoint.open(found.checkpoint, story.ledger.key)
        assert (found.origin, found.size, found.log_root) == (
            opened.origin, opened.size, opened.root.hex(),
        )  # fmt: skip
        hashes = [leaf_hash(entry.encode()) for entry in story.ledger.entries()]
        assert root(hashes) == opened.root

    def test_by_model(self, story: Lineage) -> None:
        found = trace(story.ledger, digest_of("m"))
        assert found.start == f"model:{digest_of('m')}"
        assert {node.id for node in found.kind("release")} == {
            f"release:{story.releases[name]}" for name in ("first", "copied")
        }

    def test_the_form_of_the_graph(self, story: Lineage) -> None:
        for query in ("digits@1.1", digest_of("m"), story.releases["copied"]):
            found = trace(story.ledger, query)
            kinds = {node.id: node.kind for node in found.nodes}
            assert len(kinds) == len(found.nodes)
            for node in found.nodes:
                assert node.kind in NODES
                assert node.id.startswith(f"{node.kind}:")
            for edge in found.edges:
                source, target = EDGES[edge.kind]
                assert kinds[edge.target] == target or edge.kind == "derived-from"
                assert kinds[edge.source] == source or source in ("entry", "data")
            reached = {found.start, *(edge.target for edge in found.edges)}
            assert reached == kinds.keys()

    def test_no_cycles_from_a_release(self, story: Lineage) -> None:
        found = trace(story.ledger, "digits@1.1")
        left = set(found.edges)
        while left:
            free = {e for e in left if e.target not in {other.source for other in left}}
            assert free, "a cycle"
            left -= free

    def test_json(self, story: Lineage) -> None:
        found = trace(story.ledger, "digits@1.1")
        assert found.encode() == trace(story.ledger, "digits@1.1").encode()
        value = json.loads(found.encode())
        assert canonical_json(value) == found.encode()
        assert value["version"] == 1
        assert len(value["nodes"]) == len(found.nodes)
        with pytest.raises(KeyError):
            found.node("release:none")

    def test_text(self, story: Lineage) -> None:
        lines = list(trace(story.ledger, "digits@1.1").text())
        assert lines[0].startswith("release: digits 1.1, entry 16 by alice")
        assert sum("trained-on data: digits, 100 rows, CC-BY-4.0" in line for line in lines) == 1
        assert any(line.startswith("      derived-from data: scans, 30 files") for line in lines)
        assert sum(line.startswith("signer: ") for line in lines) == 5
        assert any(line.startswith("remark [NOT_PROVEN] digits 1.1") for line in lines)


class TestSelection:
    @pytest.mark.parametrize("query", ["", "digit", "digits@2", "11" * 32, "digits@1.1@", "DIGITS"])
    def test_unknown(self, story: Lineage, query: str) -> None:
        with pytest.raises(UnknownRelease, match="is on the ledger"):
            trace(story.ledger, query)

    @pytest.mark.parametrize(("query", "count"), [("digits", 3), ("digits@1.0", 2)])
    def test_ambiguous(self, story: Lineage, query: str, count: int) -> None:
        with pytest.raises(AmbiguousRelease, match=f"{count} releases .* alice .* bob") as caught:
            trace(story.ledger, query)
        assert story.releases["first"] in str(caught.value.to_dict()["releases"])

    def test_data_and_tasks_are_no_models(self, story: Lineage) -> None:
        for query in (DATA.root, story.task):
            with pytest.raises(UnknownRelease):
                trace(story.ledger, query)


class TestRemarks:
    """What is on a ledger may still mislead."""

    def world(self) -> World:
        world = World()
        world.introduce()
        return world

    def test_a_copied_commitment(self, story: Lineage) -> None:
        said = codes(trace(story.ledger, story.releases["copied"]))
        copied = {f"release:{story.releases['copied']}"}
        assert said == {"FOREIGN_COMMITMENT": copied, "NOT_PROVEN": copied, "NO_DATA": copied}
        assert codes(trace(story.ledger, story.releases["first"])) == {}

    def test_data_registered_after_the_model(self) -> None:
        world, task = ready()
        world.do(ALICE, trained(digest_of("late")))
        proof = len(world.log)
        world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
        made = world.do(ALICE, ModelRelease("n", "1", digest_of("m"), task, proof,
                                            data=(digest_of("late"),)))  # fmt: skip
        said = codes(trace(Shown(world), made.digest))
        assert said["DATA_AFTER_MODEL"] == {f"release:{made.digest}"}

    def test_trained_on_the_test_set(self) -> None:
        world = self.world()
        world.do(ALICE, trained(digest_of("x"), parents=(DATA.root,)))
        world.do(ALICE, trained(digest_of("y"), parents=(digest_of("x"),)))
        base = world.do(ALICE, ModelRelease("base", "1", digest_of("b"), data=(digest_of("y"),)))
        task = world.open()
        world.do(ALICE, commitment(task, ALICE, "m"))
        world.do(EVALUATOR, entries.TestsetRelease(task, 0))
        proof = len(world.log)
        world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
        made = world.do(ALICE, ModelRelease("n", "1", digest_of("m"), task, proof,
                                            parents=(base.digest,)))  # fmt: skip
        said = codes(trace(Shown(world), made.digest))
        assert said["TESTSET_IN_LINEAGE"] == {f"release:{made.digest}"}

    def test_graded_by_oneself_on_a_forgeable_srs(self) -> None:
        world = World(replace(World().log[0].body, allow_insecure_srs=True))
        world.introduce()
        task = world.open()
        world.do(EVALUATOR, commitment(task, EVALUATOR, "m"))
        world.do(EVALUATOR, entries.TestsetRelease(task, 0))
        proof = len(world.log)
        said = statement(task, EVALUATOR, "m", 100)
        world.do(EVALUATOR, replace(submission(task, said), srs_insecure=True))
        made = world.do(EVALUATOR, ModelRelease("n", "1", digest_of("m"), task, proof))
        found = codes(trace(Shown(world), made.digest))
        assert found["SELF_EVALUATED"] == found["INSECURE_SRS"] == {f"proof:{proof}"}

    def test_cards_that_are_missing_or_of_other_data(self, story: Lineage) -> None:
        assert story.base is not None
        world = self.world()
        world.do(ALICE, trained(digest_of("x")))
        entry = replace(story.base.registration(), licence="MIT")
        world.do(ALICE, entry)
        roots = tuple(sorted((digest_of("x"), entry.root)))
        made = world.do(ALICE, ModelRelease("n", "1", digest_of("b"), data=roots))
        found = trace(Shown(world, [story.base.to_bytes()]), made.digest)
        assert codes(found)["CARD_UNREADABLE"] == {f"data:{digest_of('x')}", f"data:{entry.root}"}
        assert found.node(f"data:{entry.root}").fields["card"] == {}
        assert "licence is not what the card says" in str(found.remarks)

    def test_a_fault_in_the_task(self) -> None:
        world = World(replace(World().log[0].body, grants=((EVALUATOR.public, 10),)))
        world.introduce()
        windows = Windows(commit=3, release=1, prove=1)
        task = world.open(policy=replace(POLICY, windows=windows, evaluator_bond=10))
        world.do(EVALUATOR, Bond(task, 10))
        world.do(ALICE, commitment(task, ALICE, "m"))
        for number in range(4):
            world.do(ALICE, trained(digest_of(str(number))))
        slash = len(world.log)
        world.do(BOB, Slash("no-release", EVALUATOR.public, task))
        found = trace(Shown(world), digest_of("m"))
        assert Edge(f"task:{task}", "fault", f"slash:{slash}") in found.edges
        assert codes(found)["SLASHED"] == {f"task:{task}"}

    def test_a_signer_that_was_revoked(self) -> None:
        world = self.world()
        made = world.do(ALICE, ModelRelease("n", "1", digest_of("b")))
        world.do(ALICE, IdentityRevoke(ALICE.public))
        found = trace(Shown(world), made.digest)
        assert codes(found)["REVOKED"] == {f"identity:{ALICE.public}"}


def test_the_charter_in_force_and_who_approved_it() -> None:
    world = World()
    world.introduce()
    first = world.open()
    for number in (1, 2):
        charter = replace(world.state.charter, number=number, max_pool=1000 * number)
        message = CHARTER_DOMAIN + charter_message(ORIGIN, charter)
        approval = (OPERATOR.public, OPERATOR.sign(message).hex())
        changed = len(world.log)
        world.do(BOB, PolicyChange(charter, (approval,)))
    second = world.open(title="second")
    for task, number, entry in ((first, 0, 0), (second, 2, changed)):
        world.do(ALICE, commitment(task, ALICE, task))
        found = trace(Shown(world), digest_of(task))
        assert Edge(f"task:{task}", "under-charter", f"charter:{number}") in found.edges
        (node,) = found.kind("charter")
        assert node.fields["entry"] == entry
        approved = Edge(f"charter:{number}", "approved-by", f"identity:{OPERATOR.public}")
        assert (approved in found.edges) == (number > 0)


class TestBounds:
    def test_what_others_add_does_not_hide_the_first(self) -> None:
        world, task = ready()
        proof = len(world.log)
        world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
        made = world.do(ALICE, ModelRelease("n", "1", digest_of("m"), task, proof))
        for number in range(MOST + 1):
            world.do(BOB, AuditAttest(made.digest, proof, digest_of(f"report {number}")))
            world.do(ALICE, PredictionAttest(made.digest, digest_of(str(number)), NOTHING))
        junk = world.do(BOB, ModelRelease("junk", "1", digest_of("m"), data=()))
        found = trace(Shown(world), made.digest)
        assert len(found.kind("audit")) == len(found.kind("prediction")) == MOST
        assert found.node(found.start).fields["predictions"] == MOST + 1
        assert [remark.message for remark in found.remarks if remark.code == "OMITTED"] == [
            f"of {MOST + 1} nodes of kind {kind}, the newest {MOST} are shown"
            for kind in ("audit", "prediction")
        ]
        # Nor does a release of the same commitment by somebody else become part of this one.
        assert f"release:{junk.digest}" not in {node.id for node in found.nodes}

    def test_size(self, story: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
        enough = len(trace(story.ledger, "digits@1.1").nodes)
        monkeypatch.setattr(TRACE, "MAX_NODES", enough)
        trace(story.ledger, "digits@1.1")
        monkeypatch.setattr(TRACE, "MAX_NODES", enough - 1)
        with pytest.raises(TraceTooLarge, match=f"more than {enough - 1}"):
            trace(story.ledger, "digits@1.1")

    def test_a_long_lineage(self) -> None:
        world, parents = World(), ()
        world.introduce()
        for number in range(100):
            body = ModelRelease("n", str(number), digest_of(str(number)), parents=parents)
            parents = (world.do(ALICE, body).digest,)
        found = trace(Shown(world), "n@99")
        assert len(found.kind("release")) == 100
        lines = list(found.text())
        assert any("see the JSON form" in line for line in lines)
        assert max(map(len, lines)) < 300

    def test_a_diamond_is_drawn_once(self) -> None:
        world = World()
        world.introduce()
        parents: tuple[str, ...] = ()
        for level in range(12):
            made = [
                world.do(ALICE, ModelRelease(f"{level}{side}", "1", digest_of(f"{level}{side}"),
                                             parents=parents)).digest
                for side in "ab"
            ]  # fmt: skip
            parents = tuple(sorted(made))
        # 2 to the 12th paths, and a line for each edge.
        assert len(list(trace(Shown(world), "11a").text())) < 150


class TestDamagedLogs:
    """A log that breaks its own rules is found out, not followed."""

    @pytest.mark.parametrize(
        "body",
        [ModelRelease("n", "1", digest_of("m"), data=(digest_of("x"),)),
         ModelRelease("n", "1", digest_of("m"), parents=(digest_of("x"),)),
         ModelRelease("n", "1", digest_of("m"), task=digest_of("t"), proof=1),
         ModelRelease("n", "1", digest_of("m"), task=digest_of("t"), proof=99)],
    )  # fmt: skip
    def test_names_what_is_not_there(self, body: ModelRelease) -> None:
        world = World()
        world.introduce()
        world.log.append(world.sign(ALICE, body))
        with pytest.raises(LedgerCorrupt):
            trace(Shown(world), "n")

    def test_a_signer_that_nobody_is(self) -> None:
        world = World()
        world.log.append(world.sign(ALICE, ModelRelease("n", "1", digest_of("m"))))
        with pytest.raises(LedgerCorrupt, match="is not on the ledger"):
            trace(Shown(world), "n")

    def test_a_task_that_nobody_opened(self) -> None:
        world = World()
        world.introduce()
        world.log.append(world.sign(ALICE, ModelCommit(digest_of("t"), 0, digest_of("m"), NOTHING)))
        with pytest.raises(LedgerCorrupt):
            trace(Shown(world), digest_of("m"))

    @pytest.mark.parametrize("note", ["", "a\nb\nc\n", f"{ORIGIN}\n3\n!\n", "one\n2"])
    def test_a_checkpoint_that_is_none(self, note: str) -> None:
        shown = Shown(World())
        shown.checkpoint = lambda: note  # type: ignore[method-assign]
        with pytest.raises(LedgerCorrupt, match="checkpoint"):
            trace(shown, "n")

    def test_entries_after_the_checkpoint_do_not_count(self, tmp_path: Path) -> None:
        world = World()
        world.introduce()
        shown = Shown(world)
        note = shown.checkpoint()
        world.do(ALICE, ModelRelease("n", "1", digest_of("m")))
        shown.state = world.state
        shown.checkpoint = lambda: note  # type: ignore[method-assign]
        with pytest.raises(UnknownRelease):
            trace(shown, "n")


def test_an_empty_ledger(tmp_path: Path) -> None:
    with Ledger.init(tmp_path / "l", ORIGIN, OPERATOR, allow_insecure_srs=False) as ledger:
        with pytest.raises(UnknownRelease):
            trace(ledger, "anything")
        ledger.append(ledger.sign(IdentityRegister("alice"), ALICE))
        ledger.append(ledger.sign(Clock(7), OPERATOR))
        ledger.append(ledger.sign(ModelRelease("n", "1", digest_of("m")), ALICE))
        assert trace(ledger, "n").node(trace(ledger, "n").start).fields["after"] == 7


def test_the_documentation_names_everything() -> None:
    text = (Path(__file__).parents[3] / "docs" / "provenance.md").read_text()
    code = Path(builder.__file__).read_text() + Path(str(TRACE.__file__)).read_text()
    remarks = set(re.findall(r'"([A-Z]+_[A-Z_]+|REVOKED|OMITTED|SLASHED)"', code))
    assert len(remarks) == 11
    for word in (*NODES, *EDGES, *remarks):
        assert f"`{word}`" in text, word
