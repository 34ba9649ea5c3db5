"""Where models come from: commitments to training data, cards, and traces through the ledger.

`commit` and `membership` need no ledger; `card` describes what is committed, `trace` follows a
model back, and `intoto` and `prov` write a trace in the formats of others, with the extra
``[provenance]``.
"""

from ledger.provenance.card import Card, canonical_licence, registered_card
from ledger.provenance.commit import (
    TrainingCommitment,
    TrainingSecret,
    commit_training,
    open_source,
)
from ledger.provenance.croissant import Creator
from ledger.provenance.graph import Edge, Node, Remark, Trace
from ledger.provenance.membership import (
    MembershipProof,
    prove_membership,
    verify_file,
    verify_row,
)
from ledger.provenance.sources import Column
from ledger.provenance.trace import trace

__all__ = [
    "Card",
    "Column",
    "Creator",
    "Edge",
    "MembershipProof",
    "Node",
    "Remark",
    "Trace",
    "TrainingCommitment",
    "TrainingSecret",
    "canonical_licence",
    "commit_training",
    "open_source",
    "prove_membership",
    "registered_card",
    "trace",
    "verify_file",
    "verify_row",
]
