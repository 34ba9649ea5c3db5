"""The answers of the API, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Hex = Annotated[str, Field(pattern="^[0-9a-f]*$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Base64 = Annotated[str, Field(description="RFC 4648, section 4")]
Index = Annotated[int, Field(ge=0)]


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorDetail(Answer):
    """What went wrong, for programs and for people."""

    code: str
    message: str


class Error(Answer):
    """Every error has this form."""

    error: ErrorDetail


class LimitsInfo(Answer):
    """What the service takes."""

    entry_bytes: int
    blob_bytes: int
    spool_bytes: int
    entries_per_page: int
    signature_seconds: int
    skew_seconds: int
    queue: int


class ValidatorInfo(Answer):
    """A validator that the service asks for cosignatures."""

    vkey: str
    size: Index = Field(description="Largest size that it has cosigned here; 0 for none.")


class Info(Answer):
    """What the ledger is."""

    origin: str
    vkey: str = Field(description="The log's verifier key; compare it with one from elsewhere.")
    size: Index
    root: Digest
    engine: str
    writable: bool
    limits: LimitsInfo
    validators: list[ValidatorInfo]
    quorum: Index = Field(description="Cosignatures that clients are advised to ask for.")


class EntryInfo(Answer):
    """An entry of the log."""

    index: Index
    digest: Digest
    type: str
    signer: Hex
    data: Base64
    credited: int | None = Field(description="What a proof earned; null for other entries.")


class Entries(Answer):
    """Some entries, and how many there are in all."""

    size: Index
    entries: list[EntryInfo]


class Hashes(Answer):
    """A Merkle proof (RFC 6962), from the leaf upwards."""

    hashes: list[Base64]


class IdentityInfo(Answer):
    """Somebody on the ledger."""

    id: Digest
    name: str
    scheme: str
    key: Digest
    evm: Hex
    revoked: bool
    nonce: Index
    balance: Index
    bonds: dict[str, int] = Field(description="Units bonded, by subject.")


class Identities(Answer):
    """Identities in ascending order."""

    identities: list[IdentityInfo]


class Deadlines(Answer):
    """Positions at which phases of the present rounds end; null where there is no limit."""

    unit: str
    position: Index
    commit: int | None
    release: int | None
    prove: int | None


class Rank(Answer):
    """The best proof of one identity."""

    identity: Digest
    name: str
    correct: Index
    samples: Index
    accuracy: tuple[int, int]
    credited: Index
    index: Index
    round: Index


class Event(Answer):
    """An entry that concerns a task."""

    index: Index
    type: str
    signer: Hex


class TaskSummary(Answer):
    """A task in a list."""

    id: Digest
    title: str
    owner: Digest
    testset: Digest
    phase: Literal["commit", "release", "prove", "closed"]
    round: Index
    spent: Index
    minted: Index
    pool: Index


class Tasks(Answer):
    """Tasks in ascending order of their identifiers."""

    tasks: list[TaskSummary]


class TaskInfo(TaskSummary):
    """A task and how far it has come."""

    terms: dict[str, Any]
    deadlines: Deadlines
    leaderboard: list[Rank]
    history: list[Event]


class DataInfo(Answer):
    """Registered data."""

    root: Digest
    owner: Digest
    name: str
    terms: dict[str, Any]
    spent: int | None = Field(description="Proofs on a test set; null for training data.")
    opened: bool | None = Field(description="Whether a test set was handed out.")


class DataSets(Answer):
    """Data in ascending order of their roots."""

    data: list[DataInfo]


class ReleaseInfo(Answer):
    """A released model."""

    id: Digest = Field(description="Digest of the entry.")
    index: Index
    name: str
    release: str
    owner: Digest
    owner_name: str
    model: Digest
    proof: int | None = Field(description="Index of the accepted proof that it rests on.")


class Releases(Answer):
    """Released models in ascending order of their identifiers."""

    releases: list[ReleaseInfo]


class CharterInfo(Answer):
    """Who governs."""

    charter: dict[str, Any]


class RefusalInfo(Answer):
    """Something that was not taken. Kept outside the log, and proven by nothing."""

    entry: Digest
    code: str
    signer: Hex
    type: str
    message: str
    at: str


class Refusals(Answer):
    """The newest refusals, oldest first."""

    refusals: list[RefusalInfo]


class Trace(Answer):
    """Where a model comes from and what rests on it."""

    trace: dict[str, Any]


class Appended(Answer):
    """An entry is on the log."""

    index: Index
    receipt: str = Field(description="C2SP tlog-proof; verifies offline.")


class Stored(Answer):
    """A blob is here."""

    digest: Digest
    size: Index


class SubmissionInfo(Answer):
    """A submission and what became of it."""

    id: Digest
    status: Literal["queued", "verifying", "accepted", "refused"]
    code: str | None
    message: str | None
    index: int | None
    credited: int | None


class Submissions(Answer):
    """Submissions of one author."""

    submissions: list[SubmissionInfo]


class Health(Answer):
    """The service runs."""

    status: Literal["ok"]
    size: Index
    queued: Index


class ValidatorStatus(Answer):
    """A validator and how far it has come."""

    vkey: str = Field(description="The key of its cosignatures.")
    log: str = Field(description="The verifier key of the log that it follows.")
    size: Index = Field(description="Entries that it has verified.")
    status: Literal["ok", "fault"]
    fault: str | None = Field(description="Why it will never cosign this log again.")
    problem: str | None = Field(description="Why it could not go on when it tried last.")
