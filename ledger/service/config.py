"""What an operator can set. Every limit has a default that a small machine can bear."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """What one caller, and all of them together, may use.

    Attributes
    ----------
    blob_bytes : int
        Most that one blob may have.
    spool_bytes : int
        Most that one identity may have in blobs that no entry names yet.
    spool_total : int
        Most that all of them together may have.
    spool_seconds : float
        After so long such a blob is thrown away.
    document_bytes : int
        Most that a blob may have which is no proof: a manifest, a card, a report.
    kept_of_one : int
        Most that one identity may have in blobs that its entries were the first to name. They
        are kept for ever, by every validator too.
    kept_total : int
        Most that all of them together may have.
    free_bytes : int
        Blobs are only taken while the disk has so much left.
    read_seconds : float
        In this time a request's body must have arrived; longer ones at 64 KiB a second.
    answer_seconds : float
        In this time a request must be answered, once its body is there.
    cosign_seconds : float
        For so long an answer waits for cosignatures that are asked for.
    signature_seconds : int
        Longest that a request's signature may be valid.
    skew_seconds : int
        How far the clocks of client and server may be apart.
    writes_per_second, write_burst : float
        Rate of the signed requests of one identity.
    strangers_per_second, stranger_burst : float
        Rate of the writes of one network address that are by no registered identity:
        registrations, and requests whose signature does not hold.
    connections : int
        Requests that are served at a time; others get 503.
    requests_per_address : int
        As many of them from one network address (IPv6: from one /64); others get 429.
    uploads : int
        Blobs that are taken in at a time; further ones get 503.
    uploads_of_one, uploads_per_address : int
        As many of them by one identity, and from one network address; further ones get 429.
    upload_rate : int
        Bytes a second at which uploads must come in while half of their places are taken.
    waiting : int
        Requests that wait for cosignatures at a time; others are told at once that there are none.
    entries_per_page : int
        Most entries that one answer lists.
    """

    blob_bytes: int = 256 << 20
    spool_bytes: int = 512 << 20
    spool_total: int = 16 << 30
    spool_seconds: float = 2 * 3600
    document_bytes: int = 64 << 20
    kept_of_one: int = 4 << 30
    kept_total: int = 256 << 30
    free_bytes: int = 1 << 30
    read_seconds: float = 60
    answer_seconds: float = 120
    cosign_seconds: float = 10
    signature_seconds: int = 300
    skew_seconds: int = 30
    writes_per_second: float = 5
    write_burst: float = 50
    strangers_per_second: float = 1
    stranger_burst: float = 30
    connections: int = 256
    requests_per_address: int = 64
    uploads: int = 32
    uploads_of_one: int = 2
    uploads_per_address: int = 8
    upload_rate: int = 1 << 20
    waiting: int = 32
    entries_per_page: int = 1000


@dataclass(frozen=True)
class Verification:
    """How proofs are verified.

    Attributes
    ----------
    workers : int
        Processes that verify.
    queue : int
        Proofs that may wait, those at work included.
    seconds : float
        After so long a verification is given up.
    memory : int
        Bytes that a worker and its children may have; one that has more is killed.
    """

    workers: int = 1
    queue: int = 64
    seconds: float = 900
    memory: int = 8 << 30


@dataclass(frozen=True)
class Settings:
    """Everything together.

    Attributes
    ----------
    limits : Limits
        For callers.
    verification : Verification
        For proofs.
    stop_seconds : float
        After SIGTERM, work that goes on is given so long to finish.
    quorum : int
        Cosignatures that the service advises its clients to ask for; 0 for none.
    """

    limits: Limits = field(default_factory=Limits)
    verification: Verification = field(default_factory=Verification)
    stop_seconds: float = 20
    quorum: int = 0
