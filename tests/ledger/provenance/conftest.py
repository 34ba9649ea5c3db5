"""One ledger with a lineage for all tests that only read it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ledger.ledger_world import OPERATOR
from tests.ledger.provenance.provenance_world import Lineage, lineage


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineage]:
    """The ledger, in a folder with the key of its log."""
    made = lineage(tmp_path_factory.mktemp("lineage"))
    OPERATOR.save(made.folder / "log.key", None)
    with made.ledger:
        yield made
