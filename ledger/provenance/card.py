"""Data cards: what training data are, beside the commitment to them.

A card is public, and registered together with the root. It says nothing that the commitment
hides: no file names, no values and, above all, no plain digests of the data, which would let
anyone test a guess of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from circuits.encoding import canonical_json, is_hex, parse_canonical, read_bytes, write_atomic
from circuits.errors import ArtefactError, CorruptedArtefact, InputError
from ledger.entries import DataRegister, blob_digest
from ledger.errors import MalformedEntry
from ledger.provenance import croissant
from ledger.provenance.commit import TrainingCommitment
from ledger.provenance.croissant import Creator
from ledger.provenance.sources import Column, columns_digest

CARD: Final = "data card"
MAX_CARD_BYTES: Final = 1 << 24
MAX_PARENTS: Final = 256
_TEXT: Final = 20_000
_ITEMS: Final = 100
_SPDX = re.compile(r"https?://(?:www\.)?spdx\.org/licenses/(?P<id>[A-Za-z0-9.+-]+?)(?:\.html)?")
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")

KINDS: Final = ("Person", "Organization")


def canonical_licence(text: str) -> str:
    """Return the one spelling of a licence.

    Parameters
    ----------
    text : str
        An SPDX expression, such as ``CC-BY-4.0``, or ``LicenseRef-`` and a name for terms that
        are not listed there; or the URL of the terms.

    Raises
    ------
    InputError
        If it is neither.
    """
    if match := _SPDX.fullmatch(text):
        text = match["id"]
    if "://" in text:
        found = _url("licence", text)
    else:
        try:
            found = str(canonicalize_license_expression(text))
        except InvalidLicenseExpression as error:
            raise InputError(
                f"licence {text!r} is neither an SPDX identifier nor a URL ({error}); for terms of "
                "your own, give LicenseRef- and a name"
            ) from None
    if len(found) > 200:
        raise InputError("licence is longer than 200 characters")
    return found


def _url(what: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or len(text) > 2000 or not text.isascii() or not text.isprintable() or " " in text:
        raise InputError(f"{what} {text!r} is not an http or https URL")
    return text


@dataclass(frozen=True)
class Card:
    """The description of committed training data, in the terms of MLCommons Croissant 1.1.

    Attributes
    ----------
    name, description : str
    licence : str
        As from `canonical_licence`.
    creators : tuple of Creator
        One at least.
    published : str
        Date of the card, ``YYYY-MM-DD``.
    commitment : TrainingCommitment
        What is registered.
    columns : tuple of Column
        Columns of a table; none for files.
    encoding : str
        Media type of the data.
    version : str
        Of the data, by semantic versioning.
    url : str
        Page about the data; empty if there is none.
    keywords : tuple of str
    parents : tuple of str
        Roots of the registered data that these were made from, in ascending order.
    rai : mapping of str to tuple of str
        Responsible-AI properties of Croissant RAI 1.0, see `croissant.RAI`, and their texts.

    Raises
    ------
    InputError
        If a field is not as described; names it.
    """

    name: str
    description: str
    licence: str
    creators: tuple[Creator, ...]
    published: str
    commitment: TrainingCommitment
    columns: tuple[Column, ...] = ()
    encoding: str = "application/octet-stream"
    version: str = "1.0.0"
    url: str = ""
    keywords: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    rai: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _text("name", self.name, 200)
        _text("description", self.description, _TEXT, "\n")
        if canonical_licence(self.licence) != self.licence:
            raise InputError(f"licence should be written {canonical_licence(self.licence)!r}")
        _many("creators", self.creators, least=1)
        for creator in self.creators:
            _text("name of a creator", creator.name, 200)
            if creator.kind not in KINDS:
                raise InputError(f"a creator is a {' or an '.join(KINDS)}, not {creator.kind!r}")
        _date(self.published)
        _text("encoding", self.encoding, 100)
        if not _VERSION.fullmatch(self.version) or len(self.version) > 50:
            raise InputError(f"version {self.version!r} is not of the form 1.0.0")
        if self.url:
            _url("url", self.url)
        _many("keywords", self.keywords)
        for keyword in self.keywords:
            _text("a keyword", keyword, 100)
        _roots(self.parents, self.root)
        if columns_digest(self.columns) != self.commitment.columns:
            raise InputError("the columns are not those that the commitment names")
        for name, texts in self.rai.items():
            _many(f"property {name!r}", texts, least=1)
            for text in texts:
                _text(f"property {name!r}", text, _TEXT, "\n")
            if name not in croissant.RAI:
                raise InputError(f"{name!r} is no property of Croissant RAI 1.0: there are "
                                 f"{', '.join(sorted(croissant.RAI))}")  # fmt: skip
            if not croissant.RAI[name] and len(texts) > 1:
                raise InputError(f"property {name!r} takes one text")

    @property
    def root(self) -> str:
        """Root of the data, as it is registered."""
        return self.commitment.root

    def to_bytes(self) -> bytes:
        """Return the canonical JSON-LD.

        Raises
        ------
        InputError
            If the card is too large.
        """
        data = canonical_json(croissant.to_json(self))
        if len(data) > MAX_CARD_BYTES:
            raise InputError(f"the card has more than {MAX_CARD_BYTES} bytes")
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a card back.

        Raises
        ------
        CorruptedArtefact
            If it is not canonical, not a card that this tool writes, or contradicts itself; says
            where.
        """
        if len(data) > MAX_CARD_BYTES:
            raise CorruptedArtefact(f"{CARD} has more than {MAX_CARD_BYTES} bytes", artefact=CARD)
        value = parse_canonical(data, CARD)
        try:
            card = cls(**croissant.fields(value))
        except (InputError, ArtefactError) as error:
            raise CorruptedArtefact(f"{CARD}: {error.message}", artefact=CARD) from None
        # What was not read above is found here: unknown properties, and a root, a context or a
        # summary other than what follows from the rest.
        place = croissant.difference(value, croissant.to_json(card))
        if place is not None:
            raise CorruptedArtefact(f"{CARD}: {place}", artefact=CARD)
        return card

    def save(self, path: Path) -> None:
        """Write the card."""
        write_atomic(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the card at `path`; MissingArtefact if there is none, else as `from_bytes`."""
        return cls.from_bytes(read_bytes(path, CARD, MAX_CARD_BYTES))

    def registration(self) -> DataRegister:
        """Return the entry that registers the data; its blob is `to_bytes`."""
        return DataRegister(
            kind="training",
            root=self.root,
            samples=self.commitment.count,
            manifest=blob_digest(self.to_bytes()),
            unit=self.commitment.unit,
            licence=self.licence,
            parents=self.parents,
        )


def registered_card(entry: DataRegister, blob: bytes) -> Card:
    """Return the card of a registration, having checked that they say the same.

    Raises
    ------
    CorruptedArtefact
        If the blob is no card.
    MalformedEntry
        If entry and card differ; the rules, which see no blobs, do not find this out.
    """
    card = Card.from_bytes(blob)
    expected = card.registration()
    if entry != expected:
        name = next(n for n in vars(entry) if getattr(entry, n) != getattr(expected, n))
        raise MalformedEntry(
            f"data {entry.root}: {name} is not what the card says", root=entry.root
        )
    return card


def _text(what: str, value: object, limit: int, allowed: str = "") -> None:
    good = isinstance(value, str) and value.strip() and len(value) <= limit
    if not good or any(not c.isprintable() and c not in allowed for c in str(value)):
        raise InputError(f"{what} is not printable text of 1 to {limit} characters")


def _many(what: str, values: object, least: int = 0) -> None:
    if not isinstance(values, tuple) or not least <= len(values) <= _ITEMS:
        raise InputError(f"{what}: there are not {least} to {_ITEMS}")


def _date(text: str) -> None:
    try:
        good = date.fromisoformat(text).isoformat() == text
    except (ValueError, TypeError):
        good = False
    if not good:
        raise InputError(f"published {text!r} is not a date of the form YYYY-MM-DD")


def _roots(parents: tuple[str, ...], root: str) -> None:
    if not all(is_hex(parent, 32) for parent in parents):
        raise InputError("parents are roots of 64 hex digits")
    if len(parents) > MAX_PARENTS or list(parents) != sorted(set(parents)):
        raise InputError(f"parents are not at most {MAX_PARENTS} roots in ascending order")
    if root in parents:
        raise InputError("data cannot be their own parent")
