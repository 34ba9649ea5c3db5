"""The documentation's table of gas is the one that is measured."""

from __future__ import annotations

from pathlib import Path

from tests.ledger.evm.gas import table


def test_the_documented_table_is_the_measured_one():
    documented = Path(__file__).parents[3] / "docs" / "evm.md"
    assert table() in documented.read_text(), "run python -m tests.ledger.evm.gas"
