"""Following a model back through a ledger: to its data, its parents, its tasks and its proofs.

A trace repeats what the ledger says, and by whom. That a proof is on it means that the log
verified it; `Ledger.audit` does not take the log's word for that. That a model was trained on the
data which its release names is its owner's word, and no more.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from circuits.encoding import is_hex
from ledger.errors import (
    AmbiguousRelease,
    BadNote,
    LedgerCorrupt,
    TraceTooLarge,
    UnknownRelease,
)
from ledger.provenance.builder import Builder, Key, called
from ledger.provenance.graph import Node, Trace
from ledger.provenance.index import Index
from ledger.provenance.log import Log
from ledger.state import State
from ledger.tlog.encoding import from_base64, from_decimal

MAX_NODES: Final = 10_000
_LISTED = 10


def trace(log: Log, model: str) -> Trace:
    """Follow a model back to where it comes from.

    Parameters
    ----------
    log : Log
        The ledger.
    model : str
        Digest of a release; or commitment of a model; or name of a release, with ``@`` and its
        version where others have the same name.

    Raises
    ------
    UnknownRelease
        If the ledger knows no such model.
    AmbiguousRelease
        If several releases are called so; names them.
    TraceTooLarge
        If more than `MAX_NODES` things hang together with it.
    LedgerCorrupt
        If entries name what is not on the ledger.
    """
    note = log.checkpoint()
    origin, size, root = _place(note)
    # Others may go on writing; the trace is that of the checkpoint.
    index = Index(log.entries()[:size])
    start = _start(index, log.state, model)
    builder = Builder(log, index, forward=start[0] == "model")
    nodes: dict[str, Node] = {}
    waiting = deque([start])
    # Every edge leads to something older, but those to what was later said of a node; that each
    # is visited once bounds both.
    while waiting:
        kind, key = waiting.popleft()
        if f"{kind}:{key}" in nodes:
            continue
        if len(nodes) == MAX_NODES:
            raise TraceTooLarge(f"more than {MAX_NODES} things hang together with {model!r}")
        nodes[f"{kind}:{key}"] = builder.build(kind, key)
        waiting.extend(builder.waiting)
        builder.waiting.clear()
    _remark_on_lineage(nodes, builder)
    return Trace(
        origin=origin,
        size=size,
        log_root=root.hex(),
        checkpoint=note,
        query=model,
        start=":".join(map(str, start)),
        nodes=tuple(nodes.values()),
        edges=tuple(sorted(builder.edges)),
        remarks=tuple(sorted(builder.remarks)),
    )


def _place(note: str) -> tuple[str, int, bytes]:
    """Return origin, size and root of a checkpoint; who signed it is for its reader to check."""
    try:
        origin, size, root = note.split("\n")[:3]
        return origin, from_decimal(size), from_base64(root)
    except (ValueError, BadNote):
        raise LedgerCorrupt("the ledger's newest checkpoint is malformed") from None


def _start(index: Index, state: State, model: str) -> tuple[str, Key]:
    if is_hex(model, 32):
        if model in index.releases:
            return "release", model
        if any(model in known for known in (index.released, index.commits, index.proofs)):
            return "model", model
    found = index.named(model)
    if not found:
        raise UnknownRelease(f"no model {model!r} is on the ledger", model=model)
    if len(found) > 1:
        # Anyone may give a model the name of another's: which is meant is for the reader to say.
        listed = "; ".join(_called(index, state, digest) for digest in found[:_LISTED])
        raise AmbiguousRelease(
            f"{len(found)} releases are called {model!r}: {listed}", releases=found[:_LISTED]
        )
    return "release", found[0]


def _called(index: Index, state: State, digest: str) -> str:
    place = index.releases[digest]
    who = called(state, place.entry.signer)
    return f"{place.body.name}@{place.body.release} by {who}, {digest}"


def _remark_on_lineage(nodes: dict[str, Node], builder: Builder) -> None:
    """Say where a model was proven on a test set that its training data were made from."""
    parents: dict[str, list[str]] = {}
    for edge in builder.edges:
        if edge.kind in ("made-from", "trained-on", "derived-from"):
            parents.setdefault(edge.source, []).append(edge.target)
    for edge in sorted(builder.edges):
        if edge.kind != "proven-by":
            continue
        testset = f"testset:{nodes[edge.target].fields['statement']['testset']}"
        seen, waiting = {edge.source}, [edge.source]
        while waiting:
            new = set(parents.get(waiting.pop(), ())) - seen
            seen |= new
            waiting += new
        if testset in seen:
            builder.remark("TESTSET_IN_LINEAGE", edge.source, "what it was trained on was made "
                           "from the test set it is proven on")  # fmt: skip
