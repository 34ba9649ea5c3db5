"""The graph of a trace: typed nodes and edges, as JSON and as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from circuits.encoding import canonical_json

TRACE_VERSION: Final = 1
_DEEPEST: Final = 40

NODES: Final[Mapping[str, str]] = {
    "release": "model.release: a model under a name",
    "model": "a hiding commitment to weights",
    "data": "data.register: training data",
    "testset": "data.register: a test set",
    "commit": "model.commit: a model is fixed",
    "proof": "proof.submit: a verified proof and its statement",
    "credit": "credit: what a proof earned",
    "round": "a round of a task",
    "task": "task.open",
    "policy": "what a task asks for and pays",
    "charter": "genesis or policy.change: who governed when a task was opened",
    "slash": "slash: a fault shown in a task",
    "prediction": "prediction.attest",
    "audit": "audit.attest",
    "identity": "who signed",
}
"""Kinds of nodes."""

EDGES: Final[Mapping[str, tuple[str, str]]] = {
    "of-model": ("release", "model"),
    "made-from": ("release", "release"),
    "trained-on": ("release", "data"),
    "proven-by": ("release", "proof"),
    "predicted": ("release", "prediction"),
    "audited-by": ("release", "audit"),
    "released-as": ("model", "release"),
    "committed-by": ("model", "commit"),
    "has-proof": ("model", "proof"),
    "derived-from": ("data", "data"),
    "in-round": ("commit", "round"),
    "answers": ("proof", "round"),
    "earned": ("proof", "credit"),
    "rests-on": ("audit", "proof"),
    "of-task": ("round", "task"),
    "on-testset": ("task", "testset"),
    "under-policy": ("task", "policy"),
    "under-charter": ("task", "charter"),
    "fault": ("task", "slash"),
    "approved-by": ("charter", "identity"),
    "signed-by": ("entry", "identity"),
}
"""Kinds of edges, from where to where; data may derive from a test set, and any entry is signed."""


@dataclass(frozen=True)
class Node:
    """Something on the ledger.

    Attributes
    ----------
    id : str
        Kind, colon, and what it is called on the ledger.
    kind : str
        One of `NODES`.
    label : str
        One line for people.
    fields : mapping of str to object
        What is known of it, JSON-ready. Of an entry: ``entry``, its index; ``digest``; ``after``,
        the time of the newest clock entry before it, or None.
    """

    id: str
    kind: str
    label: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Edge:
    """How two nodes hang together; one of `EDGES`."""

    source: str
    kind: str
    target: str


@dataclass(frozen=True, order=True)
class Remark:
    """What a reader of a trace should not overlook.

    Attributes
    ----------
    code : str
        Stable name.
    node : str
        Id of the node that it is about.
    message : str
    """

    code: str
    node: str
    message: str


@dataclass(frozen=True)
class Trace:
    """Where a model comes from, as far as a ledger says.

    Attributes
    ----------
    origin : str
        Name of the ledger.
    size : int
        Number of its entries.
    log_root : str
        Merkle root over them, as hex.
    checkpoint : str
        The log's signed checkpoint that says so.
    query : str
        What was asked for.
    start : str
        Id of the node that was asked for.
    nodes : tuple of Node
        In the order in which they were reached.
    edges : tuple of Edge
        In ascending order.
    remarks : tuple of Remark
        In ascending order.
    """

    origin: str
    size: int
    log_root: str
    checkpoint: str
    query: str
    start: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    remarks: tuple[Remark, ...]

    def node(self, node: str) -> Node:
        """Return a node by its id; KeyError if there is none."""
        found = next((n for n in self.nodes if n.id == node), None)
        if found is None:
            raise KeyError(node)
        return found

    def kind(self, kind: str) -> list[Node]:
        """Return the nodes of a kind."""
        return [node for node in self.nodes if node.kind == kind]

    def to_dict(self) -> dict[str, Any]:
        """Return the trace as JSON-ready values."""
        return {
            "version": TRACE_VERSION,
            "ledger": {
                "origin": self.origin,
                "size": self.size,
                "root": self.log_root,
                "checkpoint": self.checkpoint,
            },
            "query": self.query,
            "start": self.start,
            "nodes": [
                {"id": n.id, "kind": n.kind, "label": n.label, "fields": dict(n.fields)}
                for n in self.nodes
            ],
            "edges": [{"from": e.source, "kind": e.kind, "to": e.target} for e in self.edges],
            "remarks": [{"code": r.code, "node": r.node, "message": r.message}
                        for r in self.remarks],
        }  # fmt: skip

    def encode(self) -> bytes:
        """Return the canonical JSON."""
        return canonical_json(self.to_dict())

    def text(self) -> Iterator[str]:
        """Give the lines of a tree, each node drawn once, then signers and remarks."""
        nodes = {node.id: node for node in self.nodes}
        below: dict[str, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            # Who signed is in the labels, and all who did are listed at the end.
            if edge.kind != "signed-by":
                below[edge.source].append(edge)
        drawn: set[str] = set()
        # A stack, since a lineage may be longer than Python's own is deep.
        waiting = [(0, "", self.start)]
        while waiting:
            depth, relation, place = waiting.pop()
            node = nodes[place]
            head = f"{'  ' * depth}{relation + ' ' if relation else ''}"
            again = place in drawn
            children = [] if again else sorted(below[place], key=_drawing_order)
            drawn.add(place)
            yield f"{head}{node.kind}: {node.label}{' (above)' if again and children else ''}"
            if depth < _DEEPEST:
                waiting += [(depth + 1, e.kind, e.target) for e in reversed(children)]
            elif children:
                yield f"{head}  ... and what is below it: see the JSON form"
        for node in self.kind("identity"):
            yield f"signer: {node.label}"
        for remark in self.remarks:
            yield f"remark [{remark.code}] {nodes[remark.node].label}: {remark.message}"


def _drawing_order(edge: Edge) -> tuple[int, str, str]:
    return list(EDGES).index(edge.kind), edge.source, edge.target
