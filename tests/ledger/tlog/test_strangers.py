"""Whatever a stranger sends is read or refused by name; it never ends in another error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tlog_world import LOG, W1, Log, cosigned

from ledger.errors import LedgerError
from ledger.tlog.cosignature import add_cosignatures
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import Note, VerifierKey
from ledger.tlog.receipt import Receipt
from ledger.tlog.trust import TrustPolicy
from ledger.tlog.wire import AddCheckpoint, Answer, read_answer

NOTE = Log(3).note(3)
READERS = {
    "note": lambda data: Note.parse(_text(data)),
    "key": lambda data: VerifierKey.parse(_text(data)),
    "cosignatures": lambda data: add_cosignatures(NOTE, _text(data), [W1]),
    "receipt": lambda data: Receipt.parse(_text(data)).verify(LOG),
    "evidence": lambda data: Evidence.decode(data).verify([LOG]),
    "policy": TrustPolicy.parse,
    "request": AddCheckpoint.parse,
    "answer": lambda data: read_answer(Answer(200, "", data), NOTE, [W1]),
    "conflict": lambda data: read_answer(Answer(409, "text/x.tlog.size", data), NOTE, [W1]),
}
# Pieces of the formats, so that more than their first line is reached.
PIECES = [
    "c2sp.org/tlog-proof@v1", "extra ", "index ", "old ", "log ", "witness w ", "group g 1 w",
    "quorum ", "none", "\n", "\n\n", " ", "+", "— ", "0", "7", "AAAAAAA=", str(LOG), str(W1),
    NOTE, cosigned(NOTE, W1.name), "A" * 43 + "=", "\udcff", "\ufeff", "{", "}", "[", "]", ":",
    ",", '"key"', '"notes"', '"prefix":""', '"proof":[]', '""', "\u0667",
]  # fmt: skip


def _text(data):
    return data.decode(errors="surrogateescape")


@pytest.mark.parametrize("reader", READERS)
@given(data=st.binary(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=12))
def test_it_is_refused_by_name(reader, data):
    if isinstance(data, list):
        data = "".join(data).encode(errors="surrogateescape")
    try:
        READERS[reader](data)
    except LedgerError as error:
        # It can be shown: no piece of what was sent breaks a terminal or a JSON file.
        assert error.message.encode()
