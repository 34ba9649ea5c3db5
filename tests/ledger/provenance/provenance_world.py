"""A ledger with a lineage on it: data made from data, models made from models."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

from ledger import Ledger
from ledger.entries import (
    AuditAttest,
    Clock,
    Entry,
    IdentityRegister,
    ModelRelease,
    PredictionAttest,
    TestsetRelease,
)
from ledger.provenance import Card, Creator, TrainingSecret, commit_training, open_source
from tests.ledger.ledger_world import (
    ALICE,
    ARCHITECTURE,
    BOB,
    DATA,
    EVALUATOR,
    MANIFEST,
    OPERATOR,
    ORIGIN,
    TASK,
    commitment,
    digest_of,
    signer,
    submit,
)

KEY = bytes(range(32))
CAROL = signer("carol")
ARTEFACT = digest_of("the file that is shipped")


def digits_csv(folder: Path, rows: int = 100) -> Path:
    """Write real rows: 8 x 8 digits and their labels."""
    digits = load_digits()
    table = np.column_stack([digits.data, digits.target])[:rows].astype(int)
    header = ",".join([*(f"p{i}" for i in range(64)), "label"])
    path = folder / "digits.csv"
    np.savetxt(path, table, "%d", delimiter=",", header=header, comments="")
    return path


def cancer_csv(folder: Path) -> Path:
    """Write real rows: 3 measurements of a tumour each."""
    cancer = load_breast_cancer()
    header = ",".join(name.title() for name in cancer.feature_names[:3])
    path = folder / "tumours.csv"
    np.savetxt(path, cancer.data[:50, :3], "%g", delimiter=",", header=header, comments="")
    return path


def cancer_npz(folder: Path) -> Path:
    """Write real rows: 30 measurements of a tumour each, and whether it is benign."""
    cancer = load_breast_cancer()
    path = folder / "cancer.npz"
    np.savez_compressed(path, x=cancer.data, y=cancer.target)
    return path


def images(folder: Path, count: int = 30) -> Path:
    """Write real files: one digit each, in folders by label."""
    digits, root = load_digits(), folder / "images"
    for index in range(count):
        path = root / str(digits.target[index]) / f"{index}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(digits.images[index].astype(np.uint8).tobytes())
    return root


def card_of(path: Path, key: bytes = KEY, **changes: object) -> tuple[Card, TrainingSecret]:
    """Commit to data and describe them."""
    source = open_source(path)
    secret = commit_training(source, key)
    fields: dict[str, object] = {
        "name": path.stem, "description": "Handwritten digits.", "licence": "CC-BY-4.0",
        "creators": (Creator("E. Alpaydin"), Creator("UCI", "Organization")),
        "published": "2026-01-31", "commitment": secret.commitment, "columns": source.columns,
        "encoding": source.encoding,
    }  # fmt: skip
    return Card(**(fields | changes)), secret  # type: ignore[arg-type]


@dataclass
class Lineage:
    """Alice proves a model on the evaluator's set, trained on data made from Carol's."""

    ledger: Ledger
    folder: Path
    task: str = ""
    proof: int = -1
    base: Card | None = None
    derived: Card | None = None
    releases: dict[str, str] = field(default_factory=dict)

    def do(self, who, body: Entry, *blobs: bytes) -> str:
        entry = self.ledger.sign(body, who)
        self.ledger.append(entry, blobs)
        return entry.digest

    def release(self, who, called: str, **changes: object) -> str:
        fields = {"name": "digits", "release": "1.0", "model": digest_of("m")} | changes
        self.releases[called] = self.do(who, ModelRelease(**fields))
        return self.releases[called]


def lineage(folder: Path) -> Lineage:
    """Play the story on a new ledger."""
    made = Lineage(
        Ledger.init(folder / "ledger", ORIGIN, OPERATOR, allow_insecure_srs=False), folder
    )
    for who, name in ((EVALUATOR, "evaluator"), (ALICE, "alice"), (BOB, "bob"), (CAROL, "carol")):
        made.do(who, IdentityRegister(name))
    made.do(OPERATOR, Clock(1_800_000_000))
    made.base, _ = card_of(images(folder), name="scans")
    made.derived, _ = card_of(digits_csv(folder), parents=(made.base.root,))
    for who, card in ((CAROL, made.base), (ALICE, made.derived)):
        made.do(who, card.registration(), card.to_bytes())
    made.do(EVALUATOR, DATA, MANIFEST)
    made.task = made.do(OPERATOR, TASK, ARCHITECTURE)
    # Bob copies Alice's commitment, which nothing can stop him from.
    for who in (ALICE, BOB):
        made.do(who, commitment(made.task, who, "m"))
    made.do(EVALUATOR, TestsetRelease(made.task, 0))
    made.proof = submit(made.ledger, made.task, ALICE, "m", 90).index
    proven = {"task": made.task, "proof": made.proof, "data": (made.derived.root,)}
    first = made.release(ALICE, "first", artefact=ARTEFACT, **proven)
    made.release(ALICE, "second", release="1.1", model=digest_of("finetuned"), parents=(first,))
    made.release(BOB, "copied")
    made.do(ALICE, PredictionAttest(first, digest_of("question"), digest_of("answer")))
    made.do(BOB, AuditAttest(first, made.proof, digest_of("report")), b"report")
    return made
