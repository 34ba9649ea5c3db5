"""Every reason for which a ledger refuses, with its code.

The tree (exit status 7 throughout)::

    LedgerError
    ├── EntryRefused                 the state machine says no; nothing was changed
    │   ├── BadSignature
    │   ├── BadNonce                 not the signer's next number
    │   ├── NotAuthorised            the signer may not do this
    │   ├── AlreadyRegistered
    │   ├── UnknownTask
    │   ├── UnknownTestset
    │   ├── WrongPhase               commit, then release, then prove
    │   ├── NotCommitted             no such model commitment in this round
    │   ├── StatementMismatch        the statement is not about this task
    │   ├── NullifierSpent           this model has already been proven here
    │   ├── OverBudget
    │   └── BelowPolicy
    ├── MalformedEntry               not the canonical encoding of an entry
    ├── MissingBlob                  an entry refers to bytes nobody supplied
    ├── LedgerMissing                there is no ledger at that place
    ├── LedgerExists                 there is one already
    ├── LedgerCorrupt                what is stored contradicts itself
    ├── LedgerBusy                   another writer holds it for too long
    ├── StorageFailed                the database cannot be read or written, a full disk say
    ├── LedgerReadOnly               opened without the log's key
    ├── BadNote                      a signed note, checkpoint or receipt that does not hold
    └── BadKey                       a key that cannot or must not be used
"""

from __future__ import annotations

from circuits.errors import LedgerError


class EntryRefused(LedgerError):
    """The state machine refuses an entry; nothing was changed."""

    code = "ENTRY_REFUSED"


class BadSignature(EntryRefused):
    """The signature is not the signer's over this entry."""

    code = "BAD_SIGNATURE"


class BadNonce(EntryRefused):
    """The nonce is not the signer's next one."""

    code = "BAD_NONCE"


class NotAuthorised(EntryRefused):
    """The signer may not append this entry."""

    code = "NOT_AUTHORISED"


class AlreadyRegistered(EntryRefused):
    """The identity or the test set is on the ledger already."""

    code = "ALREADY_REGISTERED"


class UnknownTask(EntryRefused):
    """No task with that identifier was opened."""

    code = "UNKNOWN_TASK"


class UnknownTestset(EntryRefused):
    """No test set with that root was registered."""

    code = "UNKNOWN_TESTSET"


class WrongPhase(EntryRefused):
    """The task's round is not in the phase this entry belongs to."""

    code = "WRONG_PHASE"


class NotCommitted(EntryRefused):
    """The submitter did not commit to this model in this round."""

    code = "NOT_COMMITTED"


class StatementMismatch(EntryRefused):
    """The proven statement is not about this task, test set or submitter."""

    code = "STATEMENT_MISMATCH"


class NullifierSpent(EntryRefused):
    """The model has already been proven on the test set in this round of the task."""

    code = "NULLIFIER_SPENT"


class OverBudget(EntryRefused):
    """A submission or opening budget is spent."""

    code = "OVER_BUDGET"


class BelowPolicy(EntryRefused):
    """The proven accuracy is below the task's minimum."""

    code = "BELOW_POLICY"


class MalformedEntry(LedgerError):
    """The bytes are not the canonical encoding of a well-formed entry."""

    code = "MALFORMED_ENTRY"


class MissingBlob(LedgerError):
    """An entry refers to bytes that the ledger does not have."""

    code = "MISSING_BLOB"


class LedgerMissing(LedgerError):
    """There is no ledger where one was to be opened."""

    code = "LEDGER_MISSING"


class LedgerExists(LedgerError):
    """There is a ledger where one was to be created."""

    code = "LEDGER_EXISTS"


class LedgerCorrupt(LedgerError):
    """What is stored contradicts itself."""

    code = "LEDGER_CORRUPT"


class LedgerBusy(LedgerError):
    """Another writer holds the ledger for too long."""

    code = "LEDGER_BUSY"


class StorageFailed(LedgerError):
    """The database cannot be read or written."""

    code = "LEDGER_STORAGE"


class LedgerReadOnly(LedgerError):
    """The ledger was opened without the key that signs its checkpoints."""

    code = "LEDGER_READ_ONLY"


class BadNote(LedgerError):
    """A signed note, checkpoint or receipt is malformed or not signed by the key asked for."""

    code = "BAD_NOTE"


class BadKey(LedgerError):
    """A key file cannot be read, or a public key must not be used."""

    code = "BAD_KEY"
