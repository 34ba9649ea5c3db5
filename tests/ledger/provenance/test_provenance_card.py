"""Data cards: Croissant, canonical, consistent with the commitment, and telling no more than it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.encoding import canonical_json
from circuits.errors import CorruptedArtefact, DataFormatError, InputError, MissingArtefact
from ledger.entries import NOTHING, blob_digest
from ledger.errors import MalformedEntry
from ledger.provenance import (
    Card,
    Column,
    Creator,
    TrainingCommitment,
    canonical_licence,
    registered_card,
)
from ledger.provenance import card as card_module
from ledger.provenance.croissant import RAI
from ledger.provenance.sources import columns_digest
from tests.ledger.provenance.provenance_world import (
    cancer_csv,
    cancer_npz,
    card_of,
    digits_csv,
    images,
)

# Croissant 1.1, "Required" of its dataset-level information, and "Modified and added properties".
REQUIRED = {"@context", "@type", "conformsTo", "description", "license", "name", "url", "creator",
            "datePublished", "distribution"}  # fmt: skip
FULL: dict[str, Any] = {
    "description": "Eight by eight.\nScanned.", "version": "2.1.0-rc1", "url": "https://example.org/d",
    "keywords": ("digits", "handwriting"), "parents": ("11" * 32, "22" * 32),
    "rai": {"dataBiases": ("few hands", "one country"), "dataCollection": ("on paper",)},
}  # fmt: skip


@pytest.fixture(params=["csv", "npz", "files"])
def card(request: pytest.FixtureRequest, tmp_path: Path) -> Card:
    data = {"csv": cancer_csv, "npz": cancer_npz, "files": images}[request.param](tmp_path)
    return card_of(data, **FULL)[0]


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


class TestForm:
    def test_round_trip(self, card: Card, tmp_path: Path) -> None:
        card.save(tmp_path / "card.json")
        assert Card.load(tmp_path / "card.json") == card
        assert Card.from_bytes(card.to_bytes()).to_bytes() == card.to_bytes()
        plain = replace(card, url="", keywords=(), parents=(), rai={}, licence="LicenseRef-mine")
        assert Card.from_bytes(plain.to_bytes()) == plain

    def test_rules_of_croissant(self, card: Card) -> None:
        value = json.loads(card.to_bytes())
        assert value.keys() >= REQUIRED
        assert value["@type"] == "sc:Dataset"
        assert value["conformsTo"] == [
            "http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"
        ]  # fmt: skip
        context = value["@context"]
        for node in nodes({k: v for k, v in value.items() if k != "@context"}):
            for name in node:
                prefix, separator, _ = name.partition(":")
                # Every property is of a declared vocabulary.
                assert not separator or prefix in context or name.startswith("@")
        ids = [node["@id"] for node in nodes(value) if "@type" in node and "@id" in node]
        assert len(ids) == len(set(ids))
        (files,) = value["distribution"]
        # A FileSet needs no checksum and no URL, as a FileObject does.
        assert files["@type"] == "cr:FileSet"
        assert files["encodingFormat"]
        assert files["includes"]
        for record in value.get("recordSet", []):
            for item in record["field"]:
                assert item["@id"].startswith(record["@id"] + "/")
                assert item["dataType"].startswith("sc:")
                assert item["source"]["fileSet"] == {"@id": files["@id"]}
                assert ("arrayShape" in item) == item.get("isArray", False)

    def test_read_by_the_reference_implementation(self, card: Card) -> None:
        croissant = pytest.importorskip(
            "mlcroissant", reason="mlcroissant is no dependency: it brings pandas and rdflib"
        )
        read = croissant.Dataset(jsonld=json.loads(card.to_bytes())).metadata
        assert read.ctx.issues.errors == set()
        assert (read.name, read.version) == (card.name, card.version)
        assert [creator.name for creator in read.creators] == [c.name for c in card.creators]
        assert read.data_biases == list(card.rai["dataBiases"])
        names = [field.name for record in read.record_sets for field in record.fields]
        assert names == [column.name for column in card.columns]

    @given(st.data())
    def test_any_card_comes_back(self, data: st.DataObject) -> None:
        line = st.text(
            st.characters(exclude_categories=["C", "Z"], include_characters=" "),
            min_size=1,
            max_size=20,
        ).filter(str.strip)
        columns = tuple(
            Column(name, kind, tuple(shape))
            for name, kind, shape in data.draw(
                st.lists(
                    st.tuples(
                        st.text(max_size=5),
                        st.sampled_from(["text", "<f8", "|u1", "<U12"]),
                        st.lists(st.integers(1, 9), max_size=2),
                    ),
                    max_size=4,
                )
            )
        )
        card = Card(
            name=data.draw(line),
            description=data.draw(line),
            licence=data.draw(
                st.sampled_from(["MIT", "MIT OR Apache-2.0", "LicenseRef-x", "https://a.b/c?d#e"])
            ),
            creators=tuple(
                Creator(n, data.draw(st.sampled_from(["Person", "Organization"])))
                for n in data.draw(st.lists(line, min_size=1, max_size=3))
            ),
            published=data.draw(st.dates()).isoformat(),
            commitment=TrainingCommitment("rows", 3, columns_digest(columns), "77" * 32),
            columns=columns,
            keywords=tuple(data.draw(st.lists(line, max_size=3))),
            rai={"dataBiases": (data.draw(line),)},
        )
        assert Card.from_bytes(card.to_bytes()) == card

    def test_nothing_that_the_commitment_hides(self, card: Card, tmp_path: Path) -> None:
        value = json.loads(card.to_bytes())
        text = json.dumps({name: item for name, item in value.items() if name != "@context"})
        for name in ("sha256", "md5", "contentUrl", "contentSize", "bin", str(tmp_path)):
            assert name not in text


class TestLicences:
    @pytest.mark.parametrize(
        ("given_", "canonical"),
        [("cc-by-4.0", "CC-BY-4.0"), ("https://spdx.org/licenses/MIT.html", "MIT"),
         ("mit or apache-2.0", "MIT OR Apache-2.0"), ("LicenseRef-Hospital", "LicenseRef-Hospital"),
         ("https://example.org/terms", "https://example.org/terms")],
    )  # fmt: skip
    def test_canonical(self, given_: str, canonical: str) -> None:
        assert canonical_licence(given_) == canonical

    @pytest.mark.parametrize(
        "wrong",
        ["", "Apache2", "free", "MIT AND", "http://", "ftp://example.org/x", "https://a b",
         "https://example.org/" + "x" * 200, "https://[", "https://example.org/\n"],
    )  # fmt: skip
    def test_refused(self, wrong: str) -> None:
        with pytest.raises(InputError, match=r"licence"):
            canonical_licence(wrong)


class TestFields:
    @pytest.mark.parametrize(
        ("change", "words"),
        [({"name": ""}, "name"), ({"name": "a\nremark: b"}, "name"), ({"name": "x" * 201}, "name"),
         ({"name": " "}, "name"), ({"description": "\x1b[2J"}, "description"),
         ({"description": "x" * 20_001}, "description"), ({"licence": "cc-by-4.0"}, "CC-BY-4.0"),
         ({"licence": "free"}, "licence"), ({"creators": ()}, "creators"),
         ({"creators": (Creator(""),)}, "name of a creator"),
         ({"creators": (Creator("x", "Robot"),)}, "Robot"),
         ({"creators": (Creator("x"),) * 101}, "creators"),
         ({"published": "2026-02-30"}, "published"),
         ({"published": "20260228"}, "published"), ({"version": "1"}, "version"),
         ({"url": "example.org"}, "url"), ({"url": "javascript:alert(1)"}, "url"),
         ({"keywords": ("",)}, "keyword"), ({"parents": ("11",)}, "parents"),
         ({"parents": ("22" * 32, "11" * 32)}, "ascending"), ({"parents": ("11" * 32,) * 2}, "asc"),
         ({"parents": tuple(f"{i:064x}" for i in range(257))}, "256"),
         ({"rai": {"dataColour": ("x",)}}, "no property"), ({"rai": {"dataBiases": ()}}, "Biases"),
         ({"rai": {"dataCollection": ("a", "b")}}, "one text"), ({"columns": ()}, "columns"),
         ({"encoding": ""}, "encoding")],
    )  # fmt: skip
    def test_wrong(self, tmp_path: Path, change: dict[str, Any], words: str) -> None:
        card, _ = card_of(digits_csv(tmp_path))
        with pytest.raises(InputError, match=words):
            replace(card, **change)

    def test_data_are_not_their_own_parent(self, tmp_path: Path) -> None:
        card, _ = card_of(digits_csv(tmp_path))
        with pytest.raises(InputError, match="own parent"):
            replace(card, parents=(card.root,))

    @pytest.mark.parametrize(
        "wrong", [("a", "", ()), ("a", "<O8", ()), ("a", "<f8", (0,)), ("x" * 1001, "text", ())]
    )
    def test_columns(self, wrong: tuple[str, str, tuple[int, ...]]) -> None:
        with pytest.raises(DataFormatError):
            Column(*wrong)

    def test_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        card, _ = card_of(digits_csv(tmp_path))
        data = card.to_bytes()
        monkeypatch.setattr(card_module, "MAX_CARD_BYTES", len(data) - 1)
        with pytest.raises(InputError, match="more than"):
            card.to_bytes()
        with pytest.raises(CorruptedArtefact, match="more than"):
            Card.from_bytes(data)

    def test_properties_are_those_of_the_specification(self) -> None:
        # Croissant RAI 1.0 has one more, a time frame, which is no text.
        assert len(RAI) == 19


class TestReading:
    FOLLOWS = ("zkpot:commitment", "distribution", "recordSet", "@context", "@type", "conformsTo")
    """What nobody can choose: it follows from the data, or from the format."""

    def changed(
        self, value: Any, path: tuple[Any, ...] = ()
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Give the card with one place missing, of another type or of another value."""
        if isinstance(value, dict):
            for name in value:
                yield (*path, name), {k: v for k, v in value.items() if k != name}
                for place, inner in self.changed(value[name], (*path, name)):
                    yield place, {**value, name: inner}
            yield (*path, "more"), {**value, "more": 1}
        elif isinstance(value, list):
            yield path, [*value, *value[:1], 1]
            for at, item in enumerate(value[:2]):
                for place, inner in self.changed(item, (*path, at)):
                    yield place, [*value[:at], inner, *value[at + 1 :]]
        else:
            longer = f"{value}1" if isinstance(value, str) else value + 1
            for other in (None, not value, [value], {"a": 1}, longer):
                yield path, other

    def test_one_change_anywhere(self, card: Card) -> None:
        value = json.loads(card.to_bytes())
        refused = 0
        for path, other in self.changed(value):
            try:
                read = Card.from_bytes(canonical_json(other))
            except CorruptedArtefact as error:
                refused += 1
                assert error.message.startswith("data card: ")
                continue
            # What its author could have said instead, it may say; no change goes unnoticed.
            assert path[0] not in self.FOLLOWS or path[-1] == "encodingFormat", path
            assert read != card
        assert refused > 100

    @pytest.mark.parametrize(
        ("data", "words"),
        [(b"", "JSON"), (b"{}", "zkpot:commitment"), (b"[]", "no object"), (b"1", "no object"),
         (b'{"zkpot:commitment":[]}', "zkpot:commitment"), (b" {}", "canonical"),
         (b"[" * 1000 + b"]" * 1000, "nested"), (b'{"a":1.5}', "float")],
    )  # fmt: skip
    def test_other_files(self, data: bytes, words: str) -> None:
        with pytest.raises(CorruptedArtefact, match=words):
            Card.from_bytes(data)

    def test_says_where(self, card: Card) -> None:
        value = json.loads(card.to_bytes())
        value["distribution"][0]["sha256"] = "00" * 32
        with pytest.raises(CorruptedArtefact, match=r"distribution of the card has .*'sha256'"):
            Card.from_bytes(canonical_json(value))
        value = json.loads(card.to_bytes())
        value["zkpot:commitment"]["zkpot:root"] = "00" * 32
        with pytest.raises(
            CorruptedArtefact, match="zkpot:root of zkpot:commitment of the card is"
        ):
            Card.from_bytes(canonical_json(value))

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(MissingArtefact):
            Card.load(tmp_path / "absent")


class TestRegistration:
    def test_entry(self, card: Card) -> None:
        entry = card.registration()
        assert (entry.kind, entry.root, entry.unit) == ("training", card.root, card.commitment.unit)
        assert (entry.samples, entry.licence) == (card.commitment.count, "CC-BY-4.0")
        assert (entry.openings, entry.well_formed) == (0, NOTHING)
        assert entry.blobs == (blob_digest(card.to_bytes()),)
        assert registered_card(entry, card.to_bytes()) == card

    @pytest.mark.parametrize(
        ("change", "name"),
        [({"samples": 7}, "samples"), ({"licence": "MIT"}, "licence"), ({"parents": ()}, "parents"),
         ({"root": "33" * 32}, "root"), ({"manifest": "44" * 32}, "manifest")],
    )  # fmt: skip
    def test_an_entry_that_says_something_else(
        self, card: Card, change: dict[str, Any], name: str
    ) -> None:
        with pytest.raises(MalformedEntry, match=f"{name} is not what the card says"):
            registered_card(replace(card.registration(), **change), card.to_bytes())
