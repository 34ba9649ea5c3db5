"""What can be written on the ledger: one frozen class per entry type.

An entry says nothing about who made it or where; that is the envelope's part
(`ledger.envelope`). Proofs and other large artefacts are blobs, and entries hold their digests.
"""

from ledger.checks import NOTHING
from ledger.entries.base import Entry, blob_digest
from ledger.entries.data import DataRegister
from ledger.entries.governance import Chain, Clock, Genesis, PolicyChange
from ledger.entries.identity import IdentityRegister, IdentityRevoke, IdentityRotate
from ledger.entries.models import AuditAttest, ModelRelease, PredictionAttest
from ledger.entries.money import Bond, BondReturn, Credit, Slash, Transfer
from ledger.entries.task import ModelCommit, ProofSubmit, TaskClose, TaskOpen, TestsetRelease

ENTRY_TYPES: dict[str, type[Entry]] = {
    cls.type: cls
    for cls in (
        DataRegister,
        Clock,
        Genesis,
        PolicyChange,
        IdentityRegister,
        IdentityRevoke,
        IdentityRotate,
        AuditAttest,
        ModelRelease,
        PredictionAttest,
        Bond,
        BondReturn,
        Credit,
        Slash,
        Transfer,
        ModelCommit,
        ProofSubmit,
        TaskClose,
        TaskOpen,
        TestsetRelease,
    )
}

__all__ = [
    "ENTRY_TYPES",
    "NOTHING",
    "AuditAttest",
    "Bond",
    "BondReturn",
    "Chain",
    "Clock",
    "Credit",
    "DataRegister",
    "Entry",
    "Genesis",
    "IdentityRegister",
    "IdentityRevoke",
    "IdentityRotate",
    "ModelCommit",
    "ModelRelease",
    "PolicyChange",
    "PredictionAttest",
    "ProofSubmit",
    "Slash",
    "TaskClose",
    "TaskOpen",
    "TestsetRelease",
    "Transfer",
    "blob_digest",
]
