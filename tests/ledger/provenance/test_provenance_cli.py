"""The commands of provenance, from training data to the trace of a model made from them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import click
from click.testing import CliRunner, Result

from circuits.errors import InputError, MissingArtefact, ProofRejected, ZkpotError
from ledger import Ledger
from ledger.errors import AlreadyRegistered, UnknownData, UnknownRelease
from ledger.provenance import Card, Trace, intoto, registered_card, trace
from tests.ledger.ledger_world import OPERATOR, ORIGIN, digest_of
from tests.ledger.provenance.provenance_world import Lineage, digits_csv, images
from zkpot.cli.provenance import (
    commit_training_,
    data_card,
    membership,
    register_training,
    trace_,
)

SAID = ("--name", "digits", "--description", "Scans.", "--licence", "cc-by-4.0",
        "--creator", "E. Alpaydin", "--organisation", "UCI")  # fmt: skip


def run(command: click.Command, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def good(command: click.Command, *words: object) -> Result:
    result = run(command, *words)
    assert result.exception is None, result.output
    return result


def refused(kind: type[ZkpotError], words: str, command: click.Command, *rest: object) -> None:
    error = run(command, *rest).exception
    assert type(error) is kind, error
    assert words in error.message


def committed(data: Path, folder: Path, *more: object) -> dict[str, object]:
    result = good(commit_training_, data, "--out", folder, *SAID, *more, "--json")
    value: dict[str, object] = json.loads(result.stdout)
    return value


class TestCommitting:
    def test_card_and_secret(self, tmp_path: Path) -> None:
        base = committed(images(tmp_path), tmp_path / "base", "--files")
        made = committed(
            digits_csv(tmp_path), tmp_path / "made", "--rows", "--parent", tmp_path / "base" /
            "training.json", "--rai", "dataBiases=few hands", "--rai", "dataBiases=one country",
            "--keyword", "digits", "--url", "https://example.org/d", "--data-version", "2.0.0",
            "--published", "2026-01-31",
        )  # fmt: skip
        card = Card.load(tmp_path / "made" / "training.json")
        assert (card.root, card.parents, card.licence) == (
            made["root"],
            (base["root"],),
            "CC-BY-4.0",
        )
        assert card.rai == {"dataBiases": ("few hands", "one country")}
        assert (card.version, card.published) == ("2.0.0", "2026-01-31")
        assert [creator.kind for creator in card.creators] == ["Person", "Organization"]
        secret = tmp_path / "made" / "training.secret"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        shown = good(data_card, tmp_path / "made" / "training.json").stdout
        assert "100 rows, CC-BY-4.0, by E. Alpaydin, UCI" in shown
        assert f"made from {base['root']}" in shown

    def test_again_with_the_same_secret(self, tmp_path: Path) -> None:
        data = digits_csv(tmp_path)
        first = committed(data, tmp_path / "1")
        assert committed(data, tmp_path / "2")["root"] != first["root"]
        again = committed(data, tmp_path / "3", "--secret", tmp_path / "1" / "training.secret")
        assert again["root"] == first["root"]

    def test_refusals(self, tmp_path: Path) -> None:
        data, out = digits_csv(tmp_path), ("--out", tmp_path / "out")
        refused(InputError, "not its files", commit_training_, data, *out, *SAID, "--files")
        refused(InputError, "licence", commit_training_, data, *out, *SAID, "--licence", "free")
        refused(InputError, "PROPERTY=TEXT", commit_training_, data, *out, *SAID, "--rai", "x")
        refused(InputError, "no property", commit_training_, data, *out, *SAID, "--rai", "x=y")
        refused(InputError, "published", commit_training_, data, *out, *SAID, "--published", "now")
        refused(MissingArtefact, "card", commit_training_, data, *out, *SAID, "--parent", "nobody")
        folder = images(tmp_path)
        refused(
            InputError, "is in the data", commit_training_, folder, "--out", folder / "new", *SAID
        )
        refused(InputError, "creators", commit_training_, data, *out, *SAID[:6])
        assert not (tmp_path / "out").exists()
        committed(data, tmp_path / "out")
        before = (tmp_path / "out" / "training.secret").read_bytes()
        refused(InputError, "not overwritten", commit_training_, data, *out, *SAID)
        assert (tmp_path / "out" / "training.secret").read_bytes() == before


class TestMembership:
    def test_of_a_file(self, tmp_path: Path) -> None:
        folder = images(tmp_path)
        made = committed(folder, tmp_path / "out")
        secret, proof = tmp_path / "out" / "training.secret", tmp_path / "proof"
        said = good(membership, "prove", folder, "--secret", secret, "--path", "7/7.bin",
                    "--out", proof)  # fmt: skip
        assert "proof for 7/7.bin of 30" in said.stdout
        mine = tmp_path / "mine"
        mine.write_bytes((folder / "7" / "7.bin").read_bytes())
        for root in (made["root"], tmp_path / "out" / "training.json"):
            good(membership, "verify", proof, mine, "--root", root)
        mine.write_bytes(b"another")
        refused(
            ProofRejected, "not file", membership, "verify", proof, mine, "--root", made["root"]
        )
        refused(InputError, "--row is for tables", membership, "verify", proof, mine, "--root",
                made["root"], "--row", 1)  # fmt: skip

    def test_of_a_row(self, tmp_path: Path) -> None:
        data = digits_csv(tmp_path)
        made = committed(data, tmp_path / "out")
        secret, proof = tmp_path / "out" / "training.secret", tmp_path / "proof"
        good(membership, "prove", data, "--secret", secret, "--index", 41, "--out", proof)
        result = good(
            membership, "verify", proof, data, "--root", made["root"], "--row", 41, "--json"
        )
        assert json.loads(result.stdout) == {"root": made["root"], "index": 41, "name": ""}
        lines = data.read_text().splitlines()
        mine = tmp_path / "mine.csv"
        mine.write_text(f"{lines[0]}\n{lines[42]}\n")
        good(membership, "verify", proof, mine, "--root", made["root"])
        refused(InputError, "say which", membership, "verify", proof, data, "--root", made["root"])
        refused(ProofRejected, "not row 41", membership, "verify", proof, data, "--root",
                made["root"], "--row", 40)  # fmt: skip


class TestRegistering:
    def test_card(self, tmp_path: Path) -> None:
        committed(images(tmp_path), tmp_path / "base")
        derived = ("--parent", tmp_path / "base" / "training.json")
        made = committed(digits_csv(tmp_path), tmp_path / "made", *derived)
        book = tmp_path / "ledger"
        Ledger.init(book, ORIGIN, OPERATOR, allow_insecure_srs=False).close()
        OPERATOR.save(book / "log.key", None)
        words = (register_training, book, "--key", book / "log.key", "--card")
        card = tmp_path / "made" / "training.json"
        refused(UnknownData, "named as a parent", *words, card)
        good(*words, tmp_path / "base" / "training.json")
        assert json.loads(good(*words, card, "--json").stdout) == {"entry": 2, "data": made["root"]}
        refused(AlreadyRegistered, "registered already", *words, card)
        with Ledger.open(book) as opened:
            terms = opened.state.training[str(made["root"])].terms
            assert registered_card(terms, opened.blob(terms.manifest)) == Card.load(card)


class TestTrace:
    def test_text_and_json(self, story: Lineage) -> None:
        folder = story.folder / "ledger"
        text = good(trace_, folder, "digits@1.1").stdout
        assert text.splitlines() == list(trace(story.ledger, "digits@1.1").text())
        for words in (("--json",), ("--format", "json")):
            value = json.loads(good(trace_, folder, "digits@1.1", *words).stdout)
            assert value == trace(story.ledger, "digits@1.1").to_dict()

    def test_files(self, story: Lineage, tmp_path: Path) -> None:
        folder, key = story.folder / "ledger", story.folder / "log.key"
        found: Trace = trace(story.ledger, "digits@1.1")
        for form, more in (("json", ()), ("text", ()), ("prov", ()), ("intoto", ("--key", key))):
            said = good(
                trace_, folder, "digits@1.1", "--format", form, "--out", tmp_path / form, *more
            )
            assert f"{len(found.nodes)} nodes" in said.stdout
            assert "NOT_PROVEN" in said.stderr
        assert (tmp_path / "json").read_bytes() == found.encode()
        statement = intoto.verify((tmp_path / "intoto").read_bytes(), OPERATOR.public)
        assert statement["predicate"]["trace"] == found.to_dict()
        assert "wasDerivedFrom" in json.loads((tmp_path / "prov").read_bytes())

    def test_refusals(self, story: Lineage) -> None:
        folder = story.folder / "ledger"
        refused(UnknownRelease, "no model", trace_, folder, digest_of("nobody"))
        refused(InputError, "--key", trace_, folder, "digits@1.1", "--format", "intoto")
        refused(
            InputError, "--key", trace_, folder, "digits@1.1", "--key", story.folder / "log.key"
        )
