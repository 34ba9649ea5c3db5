"""Every reason for which a ledger refuses, with its code.

The tree (exit status 7 throughout)::

    LedgerError
    ├── EntryRefused                 the state machine says no; nothing was changed
    │   ├── BadSignature
    │   ├── BadNonce                 not the signer's next number
    │   ├── NotAuthorised            the signer may not do this
    │   │   └── Revoked              the identity was ended
    │   ├── AlreadyRegistered
    │   ├── UnknownTask
    │   ├── UnknownTestset
    │   ├── WrongPhase               commit, then release, then prove
    │   │   └── TooLate              the deadline of the phase has passed
    │   ├── NotCommitted             no such model commitment in this round
    │   ├── StatementMismatch        the statement is not about this task
    │   ├── NullifierSpent           this model has already been proven here
    │   ├── OverBudget
    │   ├── NotBonded                a bond that the task asks for is missing
    │   ├── OpeningNotNamed          the release does not name the file that is handed out
    │   ├── InsufficientFunds        fewer units than are to be moved
    │   ├── NotApproved              too few governors approve
    │   ├── NoFault                  the evidence does not show what it is said to show
    │   ├── UnknownData
    │   ├── UnknownRelease
    │   └── BelowPolicy
    ├── MalformedEntry               not the canonical encoding of an entry
    ├── MissingBlob                  an entry refers to bytes nobody supplied
    ├── LedgerMissing                there is no ledger at that place
    ├── LedgerExists                 there is one already
    ├── LedgerCorrupt                what is stored contradicts itself
    ├── LedgerBusy                   another writer holds it for too long
    ├── StorageFailed                the database cannot be read or written, a full disk say
    ├── LedgerReadOnly               opened without the log's key
    │   ├── LedgerRolledBack         the log's key has signed more than this copy has, or else
    │   ├── NoMark                   what the log's key has signed is not known here
    │   ├── LedgerIsBackup           a copy that was made to be restored, not to go on
    │   └── LedgerMoved              it goes on somewhere else
    ├── BadNote                      a signed note, checkpoint or receipt that does not hold
    │   └── NoQuorum                 too few of the witnesses that are asked for cosigned it
    ├── BadTrustPolicy               a file that says whom to trust, and does not parse
    ├── BadEvidence                  it does not show that a key signed two histories
    ├── WitnessRefused               a witness does not cosign a checkpoint
    │   ├── BadWitnessRequest
    │   ├── NotSignedByLog
    │   ├── UnknownLog
    │   ├── WitnessConflict          the witness is at another size, which it tells
    │   └── NotConsistent            the checkpoint contradicts what the witness has seen
    ├── AmbiguousRelease             several released models have that name
    ├── TraceTooLarge                too much hangs together with a model
    ├── BadAttestation               an exported trace that is malformed or not so signed
    └── BadKey                       a key that cannot or must not be used
"""

from __future__ import annotations

from typing import ClassVar

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


class Revoked(NotAuthorised):
    """The identity was ended and signs nothing any more."""

    code = "REVOKED"


class TooLate(WrongPhase):
    """The deadline of the phase has passed."""

    code = "TOO_LATE"


class NotBonded(EntryRefused):
    """A bond that the task asks for is missing or too small."""

    code = "NOT_BONDED"


class OpeningNotNamed(EntryRefused):
    """A bonded evaluator does not name the opening file that is handed to contributors."""

    code = "OPENING_NOT_NAMED"


class InsufficientFunds(EntryRefused):
    """The signer has fewer units than are to be moved."""

    code = "INSUFFICIENT_FUNDS"


class NotApproved(EntryRefused):
    """Too few governors approve."""

    code = "NOT_APPROVED"


class NoFault(EntryRefused):
    """The evidence does not show the fault that it is said to show."""

    code = "NO_FAULT"


class UnknownData(EntryRefused):
    """No data with that root is registered."""

    code = "UNKNOWN_DATA"


class UnknownRelease(EntryRefused):
    """No such model was released."""

    code = "UNKNOWN_RELEASE"


class NoQuorum(BadNote):
    """Too few of the witnesses that are asked for have cosigned."""

    code = "NO_QUORUM"


class BadTrustPolicy(LedgerError):
    """A file of trusted logs and witnesses is malformed."""

    code = "BAD_TRUST_POLICY"


class BadEvidence(LedgerError):
    """The evidence does not show that a trusted key signed two histories."""

    code = "BAD_EVIDENCE"


class WitnessRefused(LedgerError):
    """A witness does not cosign a checkpoint.

    Attributes
    ----------
    status : int
        What the protocol answers with over HTTP.
    """

    code = "WITNESS_REFUSED"
    status: ClassVar[int] = 500


class BadWitnessRequest(WitnessRefused):
    """The request is malformed, or its old size is above its checkpoint's."""

    code = "BAD_WITNESS_REQUEST"
    status = 400


class NotSignedByLog(WitnessRefused):
    """No key of the log signed the checkpoint, or a signature of one does not verify."""

    code = "NOT_SIGNED_BY_LOG"
    status = 403


class UnknownLog(WitnessRefused):
    """The witness does not watch that log."""

    code = "UNKNOWN_LOG"
    status = 404


class WitnessConflict(WitnessRefused):
    """The proof does not start from the size that the witness is at.

    Attributes
    ----------
    size : int
        The size of the last checkpoint that the witness recorded.
    """

    code = "WITNESS_CONFLICT"
    status = 409

    def __init__(self, size: int) -> None:
        super().__init__(f"the witness is at size {size}", size=size)
        self.size = size


class NotConsistent(WitnessRefused):
    """The checkpoint is not shown to go on from what the witness has seen."""

    code = "NOT_CONSISTENT"
    status = 422


class LedgerRolledBack(LedgerReadOnly):
    """The log's key has signed more entries than this copy has, or others in their place.

    Going on from here would sign a second history; the missing entries must be restored first.
    """

    code = "LEDGER_ROLLED_BACK"


class NoMark(LedgerReadOnly):
    """The record of what the log's key has signed is missing or damaged."""

    code = "LEDGER_NO_MARK"


class LedgerIsBackup(LedgerReadOnly):
    """The ledger is a backup or a mirror; it is restored before it goes on."""

    code = "LEDGER_IS_BACKUP"


class LedgerMoved(LedgerReadOnly):
    """The ledger was moved, and goes on somewhere else."""

    code = "LEDGER_MOVED"


class NotOnChain(EntryRefused):
    """The contract of the ledger has no such entry."""

    code = "NOT_ON_CHAIN"


class BadPins(EntryRefused):
    """What a chain's task tells its verifier contract is not what the task's digests stand for."""

    code = "BAD_PINS"


class ChainUnavailable(LedgerError):
    """A node does not answer, or a transaction is not mined in time."""

    code = "CHAIN_UNAVAILABLE"


class ChainDisagrees(LedgerCorrupt):
    """The contract came to another result than the ledger's rules."""

    code = "CHAIN_DISAGREES"


class AmbiguousRelease(LedgerError):
    """Several released models have the name that was asked for."""

    code = "AMBIGUOUS_RELEASE"


class TraceTooLarge(LedgerError):
    """More hangs together with a model than a trace may hold."""

    code = "TRACE_TOO_LARGE"


class BadAttestation(LedgerError):
    """An exported trace is malformed, or not signed by the key asked for."""

    code = "BAD_ATTESTATION"
