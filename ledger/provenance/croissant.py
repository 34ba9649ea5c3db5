"""The JSON-LD form of a data card: MLCommons Croissant 1.1, with what it lacks under ``zkpot:``.

The properties that Croissant requires are all there. The files are one `FileSet` without
checksums, since a checksum would tell who guesses the data that the guess is right; the salted
commitment stands in their place, in ``zkpot:commitment``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from circuits.errors import CorruptedArtefact
from ledger.provenance.commit import TrainingCommitment
from ledger.provenance.sources import Column

if TYPE_CHECKING:
    from ledger.provenance.card import Card

CONFORMS: Final = "http://mlcommons.org/croissant/1.1"
CONFORMS_RAI: Final = "http://mlcommons.org/croissant/RAI/1.0"
URN: Final = "urn:zkpot:data:"
_SPDX: Final = "https://spdx.org/licenses/"
_FILES: Final = "training-data"
_ROWS: Final = "rows"

RAI: Final[Mapping[str, bool]] = {
    "annotationsPerItem": False,
    "annotatorDemographics": True,
    "dataAnnotationAnalysis": True,
    "dataAnnotationPlatform": True,
    "dataAnnotationProtocol": False,
    "dataBiases": True,
    "dataCollection": False,
    "dataCollectionMissingData": False,
    "dataCollectionRawData": False,
    "dataCollectionType": True,
    "dataImputationProtocol": False,
    "dataLimitations": True,
    "dataManipulationProtocol": False,
    "dataPreprocessingProtocol": True,
    "dataReleaseMaintenancePlan": True,
    "dataSocialImpact": False,
    "dataUseCases": True,
    "machineAnnotationTools": True,
    "personalSensitiveInformation": True,
}
"""Text properties of Croissant RAI 1.0, and whether each may have several."""


@dataclass(frozen=True)
class Creator:
    """Who made the data.

    Attributes
    ----------
    name : str
    kind : {"Person", "Organization"}
    """

    name: str
    kind: str = "Person"


# As the reference implementation writes it; a reader is told to expect exactly this.
_CROISSANT_TERMS = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileProperty "
    "fileObject fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path "
    "recordSet references regex repeated replace samplingRate separator source subField transform"
)
_CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "zkpot": "urn:zkpot:terms:",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _CROISSANT_TERMS.split()},
}


def to_json(card: Card) -> dict[str, Any]:
    """Return the JSON-LD of a card."""
    made = card.commitment
    value: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [CONFORMS, *([CONFORMS_RAI] if card.rai else [])],
        "name": card.name,
        "description": card.description,
        "license": _licence_to_json(card.licence),
        "url": card.url or URN + card.root,
        "creator": [{"@type": f"sc:{c.kind}", "name": c.name} for c in card.creators],
        "datePublished": card.published,
        "version": card.version,
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": _FILES,
                "description": "Kept by its owner, and committed to in zkpot:commitment.",
                "encodingFormat": card.encoding,
                "includes": "**",
            }
        ],
        "zkpot:commitment": {
            "@type": "zkpot:SaltedMerkleTree",
            "zkpot:columns": made.columns,
            "zkpot:count": made.count,
            "zkpot:root": made.root,
            "zkpot:tree": made.tree,
            "zkpot:unit": made.unit,
        },
    }
    if card.columns:
        value["recordSet"] = [
            {
                "@type": "cr:RecordSet",
                "@id": _ROWS,
                "field": [_field(i, column) for i, column in enumerate(card.columns)],
            }
        ]
    if card.keywords:
        value["keywords"] = list(card.keywords)
    if card.parents:
        value["prov:wasDerivedFrom"] = [{"@id": URN + parent} for parent in card.parents]
    for name, texts in card.rai.items():
        value[f"rai:{name}"] = list(texts)
    return value


def _field(index: int, column: Column) -> dict[str, Any]:
    kind = {"b": "Boolean", "i": "Integer", "u": "Integer", "f": "Float"}.get(
        column.type[1], "Text"
    )
    value: dict[str, Any] = {
        "@type": "cr:Field",
        # By number: a name may have characters that an identifier must not.
        "@id": f"{_ROWS}/{index}",
        "name": column.name,
        "dataType": f"sc:{kind}",
        "source": {"fileSet": {"@id": _FILES}, "extract": {"column": column.name}},
        "zkpot:type": column.type,
    }
    if column.shape:
        value |= {"isArray": True, "arrayShape": ",".join(map(str, column.shape))}
    return value


def _licence_to_json(licence: str) -> Any:
    if "://" in licence:
        return licence
    if " " in licence or licence.startswith("LicenseRef-"):
        return {"@type": "sc:CreativeWork", "name": licence}
    return _SPDX + licence


def fields(value: Any) -> dict[str, Any]:
    """Return what to make a card of; whoever calls this compares `to_json` of the card.

    Raises
    ------
    CorruptedArtefact
        If a property is missing or has another form; names it.
    """
    top = _Reader(value, "the card")
    made = _Reader(top.get("zkpot:commitment", dict), "zkpot:commitment")
    commitment = TrainingCommitment(
        unit=made.get("zkpot:unit", str),
        count=made.get("zkpot:count", int),
        columns=made.get("zkpot:columns", str),
        tree=made.get("zkpot:tree", str),
    )
    creators = [_Reader(item, "a creator") for item in top.get("creator", list)]
    parents = [_Reader(p, "a parent") for p in top.get("prov:wasDerivedFrom", list, [])]
    files = [_Reader(item, "the distribution") for item in top.get("distribution", list)]
    records = [_Reader(item, "the record set") for item in top.get("recordSet", list, [])]
    if len(files) != 1 or len(records) > 1:
        raise CorruptedArtefact("there should be one distribution, and one record set at most")
    url = top.get("url", str)
    return {
        "name": top.get("name", str),
        "description": top.get("description", str),
        "licence": _licence(top.get("license", object)),
        "creators": tuple(
            Creator(c.get("name", str), c.get("@type", str).removeprefix("sc:")) for c in creators
        ),
        "published": top.get("datePublished", str),
        "commitment": commitment,
        "columns": tuple(
            _column(_Reader(item, "a field"))
            for record in records
            for item in record.get("field", list)
        ),
        "encoding": files[0].get("encodingFormat", str),
        "version": top.get("version", str),
        "url": "" if url == URN + commitment.root else url,
        "keywords": tuple(top.get("keywords", list, [])),
        "parents": tuple(p.get("@id", str).removeprefix(URN) for p in parents),
        "rai": {
            name.removeprefix("rai:"): tuple(top.get(name, list))
            for name in top.names
            if name.startswith("rai:")
        },
    }


def _licence(value: Any) -> str:
    if isinstance(value, dict):
        return str(_Reader(value, "the licence").get("name", str))
    return str(value).removeprefix(_SPDX)


def _column(value: _Reader) -> Column:
    shape = value.get("arrayShape", str, "")
    try:
        return Column(
            value.get("name", str),
            value.get("zkpot:type", str),
            tuple(int(size) for size in shape.split(",")) if shape else (),
        )
    except ValueError:
        raise CorruptedArtefact(f"arrayShape {shape!r} is no list of sizes") from None


class _Reader:
    """Reads properties of an object, with an error that names what is missing."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict):
            raise CorruptedArtefact(f"{what} is no object")
        self._value = value
        self._what = what

    @property
    def names(self) -> list[str]:
        return sorted(self._value)

    def get(self, name: str, kind: type, default: Any = None) -> Any:
        found = self._value.get(name, default)
        if not isinstance(found, kind) or found is None or isinstance(found, bool):
            raise CorruptedArtefact(f"{name} of {self._what} is missing or no {kind.__name__}")
        return found


def difference(found: Any, expected: Any, place: str = "the card") -> str | None:
    """Say where two JSON values differ first, or return None."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in sorted(found.keys() | expected.keys()):
            if name not in expected:
                return f"{place} has an unknown property {name!r}"
            if name not in found:
                return f"{place} lacks {name!r}"
            if (inner := difference(found[name], expected[name], f"{name} of {place}")) is not None:
                return inner
        return None
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = (
            difference(f, e, f"an item of {place}") for f, e in zip(found, expected, strict=True)
        )
        return next(itertools.dropwhile(lambda said: said is None, pairs), None)
    # Compared with their types: true is not 1.
    if type(found) is type(expected) and found == expected:
        return None
    return f"{place} is {str(found)[:80]!r}, and follows to be {str(expected)[:80]!r}"
