"""The engine of a ledger on an EVM chain.

Entries are transactions of their authors to one contract; what this process keeps is a mirror of
the chain that checks it, and the blobs, for which a chain has no room.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from circuits.encoding import canonical_json
from circuits.errors import LedgerError, ProofRejected
from ledger.audit import AuditReport, Verify
from ledger.charter import Charter
from ledger.embedded.blobs import Blobs
from ledger.embedded.store import Refusal
from ledger.entries import Entry, ModelCommit, ProofSubmit, TaskOpen, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import (
    BadKey,
    BadPins,
    ChainUnavailable,
    LedgerMissing,
    MalformedEntry,
    UnknownTestset,
)
from ledger.evm import attest
from ledger.evm.accounts import ChainAccount
from ledger.evm.audit import audit
from ledger.evm.calls import Attested, Evidence, Halo2Evidence, Opening, call
from ledger.evm.events import Event
from ledger.evm.mirror import SPAN, Mirror
from ledger.evm.node import Mined, Node
from ledger.evm.pins import Pins, read_pins
from ledger.evm.receipt import ChainReceipt
from ledger.evm_keys import address_of
from ledger.records import Accepted, Task
from ledger.state import State

Attesters = Callable[[bytes, SignedEntry], Iterable[bytes]]
"""Asks attesters for their signatures over a submission, whatever the way to reach them."""

_POLL = 1.0


class EvmLedger:
    """A ledger that a contract keeps.

    Parameters
    ----------
    node : Node
        The chain.
    contract : str
        Address of the ledger contract, 20 bytes of hex.
    folder : pathlib.Path
        Where the blobs are kept.
    first : int
        Number of the block that the contract was deployed in, or an earlier one.
    confirmations : int
        Blocks that must follow before an entry counts. Too few, and what was seen can vanish.
    attesters : callable, optional
        How attestations are had; without it sumcheck bundles cannot be submitted.
    wait : float
        Seconds to wait for confirmations.
    span : int
        Blocks asked for at once; some nodes refuse more than a few.

    Attributes
    ----------
    attesters : callable or None
        As given; may be set for a submission whose attestations are at hand.

    Raises
    ------
    LedgerMissing
        If there is no such contract.
    ChainDisagrees
        If its entries are not what the rules allow.
    ChainUnavailable
        If the node does not answer.
    """

    def __init__(
        self,
        node: Node,
        contract: str,
        folder: Path,
        *,
        first: int = 0,
        confirmations: int = 12,
        attesters: Attesters | None = None,
        wait: float = 600.0,
        span: int = SPAN,
    ) -> None:
        self.node = node
        self._wait = wait
        self._mirror = Mirror(node, contract, first, confirmations, span)
        self._contract = node.contract(contract)
        self._accounts: dict[str, ChainAccount] = {}
        self.attesters = attesters
        self._mirror.refresh()
        if not self._mirror.events:
            raise LedgerMissing(f"chain {self._mirror.chain.id} has no ledger at {contract}")
        Blobs.create(folder)
        self._blobs = Blobs(folder)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def state(self) -> State:
        """What the confirmed entries amount to."""
        self._mirror.refresh()
        return self._mirror.state

    def entries(self) -> list[SignedEntry]:
        """Return all confirmed entries, in order."""
        self._mirror.refresh()
        return list(self._mirror.entries)

    def refusals(self) -> list[Refusal]:
        """Return nothing: a chain keeps no record of what its contract refused."""
        return []

    def blob(self, digest: str) -> bytes:
        """Return a blob that an entry names, having checked its digest; MissingBlob if absent."""
        return self._blobs.get(digest)

    def put_blob(self, data: bytes) -> str:
        """Keep a blob, and return its digest."""
        return self._blobs.put(data)

    def task(self, task: str) -> Task:
        """Return a task, or raise `UnknownTask`."""
        return self.state.task(task)

    def balance(self, identity: str) -> int:
        """Return what an identity owns."""
        return self.state.balances.get(identity, 0)

    def sign(self, body: Entry, signer: ChainAccount) -> SignedEntry:
        """Make an entry with the next number of an account.

        It is signed when it is sent, as a transaction; until then this engine keeps the account.
        """
        self._accounts[signer.public] = signer
        nonce = self.node.call(self._contract.functions.nonces(signer.address))
        return SignedEntry.by_chain(
            body, origin=self._mirror.state.origin, nonce=int(nonce), account=signer.public
        )

    def append(
        self,
        entry: SignedEntry,
        blobs: Iterable[bytes] = (),
        *,
        verifier: str | None = None,
        approvals: Iterable[bytes] = (),
    ) -> ChainReceipt:
        """Send an entry that needs no proof, and wait until it is confirmed.

        Parameters
        ----------
        entry : SignedEntry
            Made by `sign`. One that is there already gets its receipt again.
        blobs : iterable of bytes, optional
            What the entry names by digest, as far as they are not kept here.
        verifier : str, optional
            For a task.open with halo2, the address of the circuit's verifier contract.
        approvals : iterable of bytes, optional
            For such a task, what `approve` returned to governors.

        Raises
        ------
        EntryRefused
            By name, if the contract refuses it, or has no such entry.
        MissingBlob
            If a blob is neither given nor there.
        ChainUnavailable
            If the node does not answer, or it is not confirmed in time; the same entry can be
            appended again, and takes effect once.
        """
        if isinstance(entry.body, ProofSubmit):
            raise MalformedEntry("a proof is submitted, so that it is verified")
        given = {blob_digest(blob): blob for blob in blobs}
        content = [given.get(n) or self._blobs.get(n) for n in entry.body.blobs]
        evidence = None
        if isinstance(entry.body, TaskOpen):
            evidence = self._opening(entry, content[0], verifier, approvals)
        if isinstance(entry.body, ModelCommit):
            # Later it is too late: the set is opened, and what is pinned stays.
            self.pins(entry.body.task)
        return self._send(entry, evidence, content)

    def approve(
        self,
        entry: SignedEntry,
        verifier: str,
        files: tuple[bytes, bytes],
        *,
        vk: str,
        runtime: bytes,
        governor: ChainAccount,
    ) -> bytes:
        """Check a halo2 task as a governor, and sign that its verifier contract is the right one.

        Parameters
        ----------
        entry : SignedEntry
            The task.open that its owner wants to append.
        verifier : str
            Address of the verifier contract.
        files : tuple of bytes
            The circuit and the test set's manifest.
        vk : str
            Digest of the verifying key that the governor derived.
        runtime : bytes
            Code of the verifier that the governor compiled, see `ledger.evm.deploy`.
        governor : ChainAccount
            Who signs.

        Raises
        ------
        BadPins
            If the key, the code at the address or the numbers are others.
        EntryRefused
            By name, if the rules would not take the task anyway.
        """
        body, state = entry.body, self.state
        if not isinstance(body, TaskOpen) or body.testset not in state.testsets:
            raise BadPins("this is no task on a test set that is registered here")
        pins = read_pins(body, state.testsets[body.testset].terms, *files, verifier)
        code = self.node.code(verifier)
        return attest.approve(
            state, entry, pins, files, vk=vk, runtime=runtime, code=code, governor=governor
        )

    def submit(
        self,
        bundle: bytes,
        entry: SignedEntry,
        verify: Verify,
        *,
        attestations: Iterable[bytes] = (),
    ) -> ChainReceipt:
        """Verify a proof here, then send it to be verified or attested there.

        Parameters
        ----------
        bundle : bytes
            The bundle.
        entry : SignedEntry
            Made by `sign`.
        verify : callable
            Verifies it here.
        attestations : iterable of bytes, optional
            For a sumcheck bundle, what `ledger.evm.attest.attest` returned to attesters; those
            that `attesters` gets come on top.

        Raises
        ------
        ProofRejected
            If the bundle does not establish what the entry claims.
        EntryRefused
            By name, if the contract refuses it.
        ChainUnavailable
            As in `append`.
        """
        body = entry.body
        if not isinstance(body, ProofSubmit):
            raise MalformedEntry(f"a {body.type} entry is no submission")
        place = self._place(entry)
        if place is not None:
            return self.receipt(place)
        if blob_digest(bundle) != body.bundle:
            raise ProofRejected(
                "bundle", f"digest is {blob_digest(bundle)}, the entry names {body.bundle}"
            )
        self.pins(body.task)
        pins = self.state.pins(body.task, body.round, entry.signer)
        if Accepted.from_verdict(verify(bundle, pins)) != Accepted.claimed_by(body):
            raise ProofRejected("statement", "the entry claims another than was verified")
        return self._send(entry, self._evidence(bundle, entry, attestations), [bundle])

    def submission(self, body: ProofSubmit, signer: str) -> SignedEntry | None:
        """Return the entry by which `signer` submitted exactly this proof, or None."""
        for entry in self.entries():
            if entry.signer == signer and entry.body == body:
                return entry
        return None

    def receipt(self, index: int) -> ChainReceipt:
        """Return the receipt of a confirmed entry.

        Raises
        ------
        LedgerError
            If there is no such entry.
        """
        self._mirror.refresh()
        if not 0 <= index < len(self._mirror.events):
            raise LedgerError(f"the ledger has no entry {index}")
        event = self._mirror.events[index]
        block = self.node.block(event.block)
        if block is None:
            raise ChainUnavailable(f"block {event.block} was taken back")
        chain, digest = self._mirror.chain, event.entry.digest
        where = (event.transaction, block.digest, block.number)
        return ChainReceipt(index, digest, chain.id, chain.contract, *where)

    def credited(self, receipt: ChainReceipt) -> int:
        """Return what the proof of a receipt has earned."""
        return self.state.credits.get(receipt.index, 0)

    def checkpoint(self) -> str:
        """Return size and Merkle root of the entries, and the block up to which they are all.

        It is not signed. Anybody with a node of the chain can make it.
        """
        self._mirror.refresh()
        block, frontier = self._mirror.block, self._mirror.frontier
        fields = {
            "origin": self._mirror.state.origin,
            "size": frontier.size,
            "root": frontier.root.hex(),
            "block": block and block.digest,
            "number": block and block.number,
        }
        return canonical_json(fields).decode()

    def pins(self, task: str) -> Pins:
        """Return what the contract was told of a halo2 task, checked against its files.

        Contributors call it before they commit: the contract cannot read the files.

        Raises
        ------
        BadPins
            If it was told another thing.
        MissingBlob
            If a file is not here.
        """
        opened = self._opened(task)
        body = opened.entry.body
        if not isinstance(body, TaskOpen) or opened.pins is None:
            raise BadPins(f"task {task} has no parameters")
        if body.backend == "halo2":
            circuit = self._blobs.get(body.architecture)
            opened.pins.require(self._pins(body, circuit, opened.pins.verifier))
        return opened.pins

    def verifier_code(self, task: str) -> bytes:
        """Return the code of a task's verifier contract, to be compared with one's own."""
        return self.node.code(self.pins(task).verifier)

    def audit(self, verify: Verify | None = None) -> AuditReport:
        """Read the whole chain again and compare; see `ledger.evm.audit.audit`."""
        known = self._mirror
        fresh = Mirror(self.node, known.contract, known.first, known.confirmations, known.span)
        return audit(fresh, self._blobs, verify)

    def _opened(self, task: str) -> Event:
        self.task(task)
        return next(e for e in self._mirror.events if e.digest == task and e.pins is not None)

    def _pins(self, body: TaskOpen, circuit: bytes, verifier: str) -> Pins:
        registered = self.state.testsets[body.testset].terms
        manifest = self._blobs.get(registered.manifest)
        return read_pins(body, registered, circuit, manifest, verifier)

    def _opening(
        self, entry: SignedEntry, circuit: bytes, verifier: str | None, approvals: Iterable[bytes]
    ) -> Opening:
        body = entry.body
        assert isinstance(body, TaskOpen)
        testset = self.state.testsets.get(body.testset)
        if testset is None:
            raise UnknownTestset(f"test set {body.testset} is not registered, or not confirmed")
        evaluator = address_of(testset.evaluator)
        if body.backend != "halo2":
            return Opening(evaluator)
        if verifier is None:
            raise BadPins("a task with halo2 proofs needs the address of a verifier contract")
        pins = self._pins(body, circuit, verifier)
        text = attest.pinning(self._mirror.chain, entry, pins, self.node.code(verifier))
        return Opening(evaluator, pins, attest.in_order(self._charter, text, approvals))

    def _evidence(
        self, bundle: bytes, entry: SignedEntry, attestations: Iterable[bytes]
    ) -> Evidence:
        body = entry.body
        if isinstance(body, ProofSubmit) and body.statement.backend == "halo2":
            return Halo2Evidence.of(bundle)
        asked = self.attesters(bundle, entry) if self.attesters else ()
        signatures = (*attestations, *asked)
        text = attest.message(self._mirror.chain, entry)
        return Attested(attest.in_order(self._charter, text, signatures))

    @property
    def _charter(self) -> Charter:
        charter = self._mirror.state.charter
        assert charter is not None, "a ledger that was opened has a genesis entry"
        return charter

    def _place(self, entry: SignedEntry) -> int | None:
        self._mirror.refresh()
        for index, known in enumerate(self._mirror.entries):
            if known == entry:
                return index
        return None

    def _send(self, entry: SignedEntry, evidence: Evidence, blobs: Sequence[bytes]) -> ChainReceipt:
        place = self._place(entry)
        if place is not None:
            return self.receipt(place)
        account = self._accounts.get(entry.signer)
        if account is None:
            raise BadKey(f"the key of {entry.signer} is not here")
        function: Any = call(self._contract, entry, evidence)
        signed = self.node.sign(account, function)
        # Only now: whom the contract refuses cannot fill the disk either.
        for blob in blobs:
            self._blobs.put(blob)
        return self._confirmed(self.node.broadcast(signed), entry)

    def _confirmed(self, mined: Mined, entry: SignedEntry) -> ChainReceipt:
        deadline = time.monotonic() + self._wait
        while (place := self._place(entry)) is None:
            if time.monotonic() >= deadline:
                raise ChainUnavailable(
                    f"transaction {mined.transaction} is not confirmed within {self._wait:.0f} s",
                    transaction=mined.transaction,
                )
            time.sleep(min(_POLL, self._wait))
        return self.receipt(place)
