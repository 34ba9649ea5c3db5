"""Pays credit for verified proofs, and for nothing else.

`Ledger` is the log on disk, `apply` the pure rules it keeps, `Receipt` what its users hold. The
entry classes say what can be written, and `ledger.errors` why it may be refused.
"""

from ledger.audit import AuditReport, Verify
from ledger.charter import Charter
from ledger.entries import (
    AuditAttest,
    Bond,
    BondReturn,
    Clock,
    Credit,
    DataRegister,
    Entry,
    Genesis,
    IdentityRegister,
    IdentityRevoke,
    IdentityRotate,
    ModelCommit,
    ModelRelease,
    PolicyChange,
    PredictionAttest,
    ProofSubmit,
    Slash,
    TaskClose,
    TaskOpen,
    TestsetRelease,
    Transfer,
    blob_digest,
)
from ledger.envelope import SignedEntry
from ledger.keys import Signer
from ledger.ledger import Ledger
from ledger.policy import Policy, Windows
from ledger.proofs import bundle_verifier
from ledger.records import Accepted, Task, TaskPins, Testset
from ledger.rules import apply
from ledger.state import State
from ledger.tlog.note import Checkpoint, VerifierKey
from ledger.tlog.receipt import Receipt

__all__ = [
    "Accepted",
    "AuditAttest",
    "AuditReport",
    "Bond",
    "BondReturn",
    "Charter",
    "Checkpoint",
    "Clock",
    "Credit",
    "DataRegister",
    "Entry",
    "Genesis",
    "IdentityRegister",
    "IdentityRevoke",
    "IdentityRotate",
    "Ledger",
    "ModelCommit",
    "ModelRelease",
    "Policy",
    "PolicyChange",
    "PredictionAttest",
    "ProofSubmit",
    "Receipt",
    "SignedEntry",
    "Signer",
    "Slash",
    "State",
    "Task",
    "TaskClose",
    "TaskOpen",
    "TaskPins",
    "Testset",
    "TestsetRelease",
    "Transfer",
    "VerifierKey",
    "Verify",
    "Windows",
    "apply",
    "blob_digest",
    "bundle_verifier",
]
