"""Every error a user can get, with a machine-readable code and an exit status.

The tree (exit status in brackets)::

    ZkpotError [1]
    ├── InputError [2]                 the user's model, data or argument
    │   ├── UnsupportedOperator        an ONNX node outside the supported set
    │   ├── DynamicShape               a dimension other than the batch is symbolic
    │   ├── ModelFormatError           not a readable ONNX classifier
    │   ├── DataFormatError            not a readable test set
    │   ├── LabelOutOfRange
    │   ├── NotFinite                  NaN or infinity among features or weights
    │   ├── ShapeMismatch              test set and model disagree
    │   ├── WouldOverflow              a value does not fit the circuit's integers
    │   ├── TooManyFlips               quantisation changed too many predictions
    │   └── UnsafeConfiguration        a backend setting under which forgeries pass
    ├── ResourceError [3]
    │   ├── OutOfMemory                predicted, before any work is done
    │   ├── OpeningBudgetSpent
    │   ├── FolderInUse                another process is at work there
    │   └── WorkerFailed               a backend process crashed, panicked or timed out
    ├── ArtefactError [4]
    │   ├── MissingArtefact
    │   ├── CorruptedArtefact          names the artefact, expected and found digest
    │   └── WrongVersion               made by another format version
    ├── SrsError [5]
    │   ├── SrsMissing
    │   ├── SrsInvalid                 wrong hash, wrong size or wrong points
    │   └── SrsInsecure                a development SRS where a ceremony's is required
    ├── ProofRejected [6]              the proof does not hold; names the failed check
    │   └── WrongContext               made for another task, round or submitter
    └── LedgerError [7]                see ``ledger.errors``
"""

from __future__ import annotations

from typing import ClassVar


class ZkpotError(Exception):
    """Base of all errors raised on purpose by this project.

    Attributes
    ----------
    code : str
        Stable, machine-readable name; printed by the CLI and in ``--json`` output.
    exit_status : int
        Exit status of the command line for this error.
    """

    code: ClassVar[str] = "ZKPOT_ERROR"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details

    @property
    def message(self) -> str:
        """The one line meant for a person."""
        return str(self.args[0])

    def to_dict(self) -> dict[str, object]:
        """Return code, message and details, ready for JSON."""
        return {"error": self.code, "message": self.message, **self.details}


class InputError(ZkpotError):
    """The user's model, data or argument cannot be used."""

    code = "BAD_INPUT"
    exit_status = 2


class UnsupportedOperator(InputError):
    """An ONNX node is outside the supported operator set."""

    code = "UNSUPPORTED_OPERATOR"

    def __init__(self, node: str, operator: str, remedy: str) -> None:
        super().__init__(
            f"node {node!r} uses operator {operator}, which is not supported: {remedy}",
            node=node,
            operator=operator,
            remedy=remedy,
        )


class DynamicShape(InputError):
    """A dimension other than the batch is symbolic."""

    code = "DYNAMIC_SHAPE"


class ModelFormatError(InputError):
    """The file is not an ONNX classifier that can be read."""

    code = "MODEL_FORMAT"


class DataFormatError(InputError):
    """The file is not a test set that can be read."""

    code = "DATA_FORMAT"


class LabelOutOfRange(InputError):
    """A label is not one of the classes 0 .. C-1."""

    code = "LABEL_OUT_OF_RANGE"


class NotFinite(InputError):
    """A feature or a weight is NaN or infinite."""

    code = "NOT_FINITE"


class ShapeMismatch(InputError):
    """The test set and the model disagree on shape or classes."""

    code = "SHAPE_MISMATCH"


class WouldOverflow(InputError):
    """A value of the network does not fit the integers the circuit has."""

    code = "WOULD_OVERFLOW"

    def __init__(self, layer: str, needed: int, available: int, remedy: str) -> None:
        super().__init__(
            f"layer {layer!r} needs {needed} bits and there are {available}: {remedy}",
            layer=layer,
            bits_needed=needed,
            bits_available=available,
            remedy=remedy,
        )


class TooManyFlips(InputError):
    """Quantisation changed more predictions than the limit allows."""

    code = "TOO_MANY_FLIPS"


class UnsafeConfiguration(InputError):
    """A backend configuration under which forged proofs are accepted."""

    code = "UNSAFE_CONFIGURATION"


class ResourceError(ZkpotError):
    """The machine, or a budget, does not allow the work."""

    code = "RESOURCE"
    exit_status = 3


class OutOfMemory(ResourceError):
    """The work would not fit the memory limit; said before it starts."""

    code = "OUT_OF_MEMORY"


class OpeningBudgetSpent(ResourceError):
    """No proof may be made any more without leaking a committed secret."""

    code = "OPENING_BUDGET_SPENT"


class FolderInUse(ResourceError):
    """Another process is at work in the same folder."""

    code = "FOLDER_IN_USE"


class WorkerFailed(ResourceError):
    """A backend process crashed, panicked or ran out of time."""

    code = "WORKER_FAILED"


class ArtefactError(ZkpotError):
    """A file made by this tool cannot be used."""

    code = "ARTEFACT"
    exit_status = 4


class MissingArtefact(ArtefactError):
    """A file that the command needs is not there."""

    code = "MISSING_ARTEFACT"


class CorruptedArtefact(ArtefactError):
    """A file is not what its digest says, or not in canonical form."""

    code = "CORRUPTED_ARTEFACT"


class WrongVersion(ArtefactError):
    """A file was made by another format version."""

    code = "WRONG_VERSION"


class SrsError(ZkpotError):
    """The structured reference string cannot be used."""

    code = "SRS"
    exit_status = 5


class SrsMissing(SrsError):
    """No SRS of the needed size is at hand."""

    code = "SRS_MISSING"


class SrsInvalid(SrsError):
    """The SRS file has a wrong hash, a wrong size or wrong points."""

    code = "SRS_INVALID"


class SrsInsecure(SrsError):
    """A development SRS was found where a ceremony's is required."""

    code = "SRS_INSECURE"


class ProofRejected(ZkpotError):
    """The proof does not establish the statement.

    Parameters
    ----------
    check : str
        Name of the verifier's check that failed.
    message : str
        What was expected and what was found.
    """

    code = "PROOF_REJECTED"
    exit_status = 6

    def __init__(self, check: str, message: str, **details: object) -> None:
        super().__init__(f"{check}: {message}", check=check, **details)
        self.check = check


class WrongContext(ProofRejected):
    """The proof was made for another task, round or submitter."""

    code = "WRONG_CONTEXT"


class LedgerError(ZkpotError):
    """The ledger refuses an entry or finds itself damaged."""

    code = "LEDGER"
    exit_status = 7
