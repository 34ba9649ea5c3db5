"""The ledger suite measures what it says, on a ledger small enough to wait for."""

from benchmarks import ledger
from ledger import Ledger


def test_a_small_run(tmp_path):
    found = ledger.run_suite(tmp_path, 400)
    assert found["entries"] == 400
    with Ledger.open(tmp_path / "ledger") as book:
        assert book.state.size == 400
        assert book.audit().ok
    for rates in (found["ours"], found["plain"]):
        assert rates["batched"] > 0
        assert rates["single"] > 0
    assert found["ratio_batched"] == found["plain"]["batched"] / found["ours"]["batched"]
    text = ledger.table(found)
    assert text.startswith("400 entries")
    assert "plain SQLite table" in text
