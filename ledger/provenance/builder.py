"""How each kind of node of a trace is made, and what it leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from circuits.errors import ZkpotError
from ledger.entries import (
    AuditAttest,
    Credit,
    DataRegister,
    ModelCommit,
    ModelRelease,
    PolicyChange,
    PredictionAttest,
    ProofSubmit,
    Slash,
)
from ledger.errors import LedgerCorrupt
from ledger.provenance.card import registered_card
from ledger.provenance.graph import Edge, Node, Remark
from ledger.provenance.index import Index, Place
from ledger.provenance.log import Log
from ledger.state import State

MOST: Final = 100
"""How many predictions, audits, commitments or proofs of one model are shown."""

Key = str | int
Found = TypeVar("Found")


class Builder:
    """Makes nodes, and collects edges, remarks and what is to be looked at next.

    Parameters
    ----------
    log : Log
    index : Index
        Of its entries.
    forward : bool
        Whether a model leads to its releases, by whomever, as well.

    Attributes
    ----------
    edges : set of Edge
    remarks : set of Remark
    waiting : list of (str, str or int)
        Kind and key of every node that an edge leads to.
    """

    def __init__(self, log: Log, index: Index, *, forward: bool) -> None:
        self._log = log
        self._forward = forward
        self._state = log.state
        self._index = index
        self.edges: set[Edge] = set()
        self.remarks: set[Remark] = set()
        self.waiting: list[tuple[str, Key]] = []

    def build(self, kind: str, key: Key) -> Node:
        """Make the node of this kind and key.

        Raises
        ------
        LedgerCorrupt
            If an entry names something that is not on the ledger.
        """
        make = getattr(self, f"_{kind}")
        node: Node = make(f"{kind}:{key}", key)
        return node

    def remark(self, code: str, node: str, message: str) -> None:
        """Add a remark."""
        self.remarks.add(Remark(code, node, message))

    def _link(self, source: str, relation: str, kind: str, key: Key) -> None:
        self.edges.add(Edge(source, relation, f"{kind}:{key}"))
        self.waiting.append((kind, key))

    def _links(
        self, source: str, relation: str, kind: str, places: Sequence[Place[Any]], *, newest: bool
    ) -> None:
        # Anyone can add to some of these, which must not be a way to spoil the trace of another.
        for place in places[-MOST:] if newest else places[:MOST]:
            self._link(source, relation, kind, place.index)
        if len(places) > MOST:
            which = "newest" if newest else "first"
            self.remark("OMITTED", source, f"of {len(places)} nodes of kind {kind}, the {which} "
                        f"{MOST} are shown")  # fmt: skip

    def _entry(self, node: str, kind: str, place: Place[Any], label: str, **fields: object) -> Node:
        """Return the node of an entry, and link it to who signed it."""
        entry = place.entry
        known = {"entry": place.index, "digest": entry.digest, "after": place.after}
        if entry.signer:
            self._link(node, "signed-by", "identity", entry.signer)
            label += f", entry {place.index} by {called(self._state, entry.signer)}"
            known |= {"signer": entry.signer, "key": entry.key, "scheme": entry.scheme}
        return Node(node, kind, label, {**known, **entry.body.to_dict(), **fields})

    def _release(self, node: str, key: str) -> Node:
        place = self._index.releases[key]
        body = place.body
        self._link(node, "of-model", "model", body.model)
        for parent in body.parents:
            _known(self._index.releases, parent)
            self._link(node, "made-from", "release", parent)
        for root in body.data:
            _known(self._index.data, root)
            self._link(node, "trained-on", "data", root)
        if body.proof is not None:
            self._link(node, "proven-by", "proof", body.proof)
        predictions, audits = self._index.predictions[key], self._index.audits[key]
        self._links(node, "predicted", "prediction", predictions, newest=True)
        self._links(node, "audited-by", "audit", audits, newest=True)
        self._remark_on_release(node, place)
        label = f"{body.name} {body.release}"
        counts = {"predictions": len(predictions), "audits": len(audits)}
        return self._entry(node, "release", place, label, **counts)

    def _remark_on_release(self, node: str, place: Place[ModelRelease]) -> None:
        body, owner = place.body, place.entry.signer
        commits, proofs = self._index.commits[body.model], self._index.proofs[body.model]
        own = [commit.index for commit in commits if commit.entry.signer == owner]
        if body.proof is None:
            self.remark("NOT_PROVEN", node, "it names no proof")
            # A commitment can be copied by anyone who sees it; only a proof shows who has the
            # model.
            others = {c.entry.signer for c in commits[:1]} | {p.entry.signer for p in proofs}
            if others - {owner}:
                self.remark(
                    "FOREIGN_COMMITMENT", node, "its model was first committed to, or proven, by "
                    "somebody else, and nothing shows that its owner has it",
                )  # fmt: skip
        if not body.data:
            self.remark("NO_DATA", node, "it names no training data")
        for root in body.data:
            if own and self._index.data[root].index > own[0]:
                self.remark("DATA_AFTER_MODEL", node, f"data {root} were registered after its "
                            "model was committed to")  # fmt: skip

    def _model(self, node: str, key: str) -> Node:
        releases = self._index.released[key]
        if self._forward:
            for release in releases[:MOST]:
                self._link(node, "released-as", "release", release)
        self._links(node, "committed-by", "commit", self._index.commits[key], newest=False)
        self._links(node, "has-proof", "proof", self._index.proofs[key], newest=False)
        fields = {"model": key, "releases": len(releases)}
        return Node(node, "model", f"commitment {key}", fields)

    def _data(self, node: str, key: str) -> Node:
        place = self._index.data[key]
        body = place.body
        self._parents(node, body)
        card = self._card(node, body)
        name = card.get("name", "data without a readable card")
        label = f"{name}, {body.samples} {body.unit}, {body.licence}"
        return self._entry(node, "data", place, label, card=card)

    def _parents(self, node: str, body: DataRegister) -> None:
        for parent in body.parents:
            training = _known(self._index.data, parent).body.kind == "training"
            self._link(node, "derived-from", "data" if training else "testset", parent)

    def _card(self, node: str, body: DataRegister) -> dict[str, object]:
        try:
            card = registered_card(body, self._log.blob(body.manifest))
        except ZkpotError as error:
            self.remark("CARD_UNREADABLE", node, error.message)
            return {}
        return {
            "name": card.name,
            "version": card.version,
            "published": card.published,
            "creators": [creator.name for creator in card.creators],
        }

    def _testset(self, node: str, key: str) -> Node:
        place = self._index.data[key]
        self._parents(node, place.body)
        return self._entry(node, "testset", place, f"{place.body.samples} samples")

    def _commit(self, node: str, key: int) -> Node:
        place = self._index.at(key, ModelCommit)
        self._link(node, "in-round", "round", f"{place.body.task}/{place.body.round}")
        return self._entry(node, "commit", place, "model fixed")

    def _proof(self, node: str, key: int) -> Node:
        place = self._index.at(key, ProofSubmit)
        body, said = place.body, place.body.statement
        self._link(node, "answers", "round", f"{body.task}/{body.round}")
        for credit in self._index.credits[key]:
            self._link(node, "earned", "credit", credit.index)
        if body.srs_insecure:
            self.remark("INSECURE_SRS", node, "it rests on a development SRS, whose maker can "
                        "forge proofs")  # fmt: skip
        if _known(self._index.data, said.testset).entry.signer == place.entry.signer:
            self.remark("SELF_EVALUATED", node, "who submitted it had registered the test set, "
                        "and knew the answers")  # fmt: skip
        accuracy = list(body.accuracy.as_integer_ratio())
        label = f"{said.correct} of {said.samples} right"
        return self._entry(node, "proof", place, label, accuracy=accuracy)

    def _credit(self, node: str, key: int) -> Node:
        place = self._index.at(key, Credit)
        label = (
            f"{place.body.amount} units to {called(self._state, place.body.identity)}, entry {key}"
        )
        return self._entry(node, "credit", place, label)

    def _round(self, node: str, key: str) -> Node:
        task, _, number = key.partition("/")
        self._link(node, "of-task", "task", task)
        released = self._index.rounds.get((task, int(number)))
        label = f"{number}, test set not released"
        fields: dict[str, object] = {"task": task, "round": int(number), "released": None}
        if released is not None:
            label = f"{number}, test set released by entry {released.index}"
            fields |= {"released": released.index, "opening": released.body.opening}
        return Node(node, "round", label, fields)

    def _task(self, node: str, key: str) -> Node:
        place = _known(self._index.tasks, key)
        self._link(node, "on-testset", "testset", place.body.testset)
        self._link(node, "under-policy", "policy", key)
        self._link(node, "under-charter", "charter", self._index.charter(place.index))
        self._links(node, "fault", "slash", self._index.slashes[key], newest=False)
        task = self._state.task(key)
        return self._entry(node, "task", place, place.body.title, closed=task.closed)

    def _policy(self, node: str, key: str) -> Node:
        policy = _known(self._index.tasks, key).body.policy
        label = f"at least {policy.minimum_accuracy}, pays {policy.rule} of {policy.pool} units"
        return Node(node, "policy", label, {"task": key, **policy.to_dict()})

    def _charter(self, node: str, key: int) -> Node:
        place = self._index.charters[key]
        charter = place.body.charter
        if isinstance(place.body, PolicyChange):
            for identity, _ in place.body.approvals:
                self._link(node, "approved-by", "identity", identity)
        label = (
            f"number {charter.number}, {charter.threshold} of {len(charter.governors)} governors"
        )
        return self._entry(node, "charter", place, label)

    def _slash(self, node: str, key: int) -> Node:
        place = self._index.at(key, Slash)
        body = place.body
        self.remark("SLASHED", f"task:{body.subject}", f"its evaluator lost a bond: {body.fault}, "
                    f"shown in entry {key}")  # fmt: skip
        label = f"{body.fault} of {called(self._state, body.offender)}"
        return self._entry(node, "slash", place, label)

    def _prediction(self, node: str, key: int) -> Node:
        place = self._index.at(key, PredictionAttest)
        return self._entry(node, "prediction", place, f"of input {place.body.input}")

    def _audit(self, node: str, key: int) -> Node:
        place = self._index.at(key, AuditAttest)
        self._link(node, "rests-on", "proof", place.body.proof)
        return self._entry(node, "audit", place, f"report {place.body.report}")

    def _identity(self, node: str, key: str) -> Node:
        known = self._state.identities.get(key)
        if known is None:
            raise LedgerCorrupt(f"identity {key} signed an entry and is not on the ledger")
        if known.revoked:
            self.remark("REVOKED", node, "this identity was ended since")
        fields = {
            "identity": key,
            "name": known.name,
            "keys": [list(pair) for pair in known.keys],
            "evm": known.evm,
            "revoked": known.revoked,
        }
        return Node(node, "identity", f"{known.name} {key}", fields)


def called(state: State, identity: str) -> str:
    """Return the name of an identity; some of its key too, for names are not unique."""
    return f"{state.name(identity)} {identity[:8]}"


def _known(places: dict[str, Found], key: str) -> Found:
    # The rules see to it; whoever serves a log that breaks them is found out here.
    if key not in places:
        raise LedgerCorrupt(f"an entry names {key}, which is not on the ledger")
    return places[key]
