"""Pays credit for verified proofs, and for nothing else.

`Ledger` is the log on disk, `apply` the pure rules it keeps, `Receipt` what its users hold. The
entry classes say what can be written, and `ledger.errors` why it may be refused.
"""

from ledger.audit import AuditReport, Verify
from ledger.entries import (
    Credit,
    DataRegister,
    Entry,
    Genesis,
    IdentityRegister,
    ModelCommit,
    ProofSubmit,
    TaskOpen,
    TestsetRelease,
    blob_digest,
)
from ledger.envelope import SignedEntry
from ledger.keys import Signer
from ledger.ledger import Ledger
from ledger.note import Checkpoint, VerifierKey
from ledger.policy import Policy
from ledger.proofs import bundle_verifier
from ledger.receipt import Receipt
from ledger.rules import apply
from ledger.state import Accepted, State, Task, TaskPins, Testset

__all__ = [
    "Accepted",
    "AuditReport",
    "Checkpoint",
    "Credit",
    "DataRegister",
    "Entry",
    "Genesis",
    "IdentityRegister",
    "Ledger",
    "ModelCommit",
    "Policy",
    "ProofSubmit",
    "Receipt",
    "SignedEntry",
    "Signer",
    "State",
    "Task",
    "TaskOpen",
    "TaskPins",
    "Testset",
    "TestsetRelease",
    "VerifierKey",
    "Verify",
    "apply",
    "blob_digest",
    "bundle_verifier",
]
