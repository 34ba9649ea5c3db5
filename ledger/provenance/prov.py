"""A trace as W3C PROV-JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from circuits.encoding import canonical_json
from ledger.provenance.extras import needed
from ledger.provenance.graph import NODES, Edge, Trace

if TYPE_CHECKING:
    from prov.model import ProvDocument

TERMS: Final = "urn:zkpot:terms:"
_ACTIVITIES: Final = frozenset({"commit", "proof", "round", "task"})
_PLANS: Final = frozenset({"policy", "charter"})


def document(trace: Trace) -> ProvDocument:
    """Return a trace as a PROV document.

    Identities are agents; commitments, proofs, rounds and tasks are activities, and all else
    entities, under the ids that they have in the trace. Where PROV has no closer relation, things
    influence each other.

    Raises
    ------
    InputError
        If the library is not installed.
    """
    with needed():
        from prov.constants import PROV_TYPE
        from prov.model import PROV, ProvDocument
    made = ProvDocument()
    terms = made.add_namespace("zkpot", TERMS)
    ledger = f"urn:zkpot:ledger:{quote(trace.origin, safe='')}:"
    for kind in NODES:
        made.add_namespace(kind, f"{ledger}{kind}:")
    made.add_namespace("trace", f"{ledger}trace:")
    made.entity(
        f"trace:{trace.log_root}",
        {
            PROV_TYPE: PROV["Collection"],
            terms["origin"]: trace.origin,
            terms["size"]: trace.size,
            terms["checkpoint"]: trace.checkpoint,
            terms["query"]: trace.query,
            terms["start"]: made.valid_qualified_name(trace.start),
        },
    )
    for node in trace.nodes:
        attributes: list[tuple[Any, Any]] = [
            (PROV["label"], node.label), (PROV_TYPE, terms[node.kind])
        ]  # fmt: skip
        if node.kind in _PLANS:
            attributes.append((PROV_TYPE, PROV["Plan"]))
        attributes += [
            (terms[name], value if isinstance(value, str | int) else canonical_json(value).decode())
            for name, value in node.fields.items()
            if value is not None
        ]
        if node.kind == "identity":
            made.agent(node.id, attributes)
        elif node.kind in _ACTIVITIES:
            made.activity(node.id, other_attributes=attributes)
        else:
            made.entity(node.id, attributes)
    for edge in trace.edges:
        _relate(made, edge)
    return made


def _relate(made: ProvDocument, edge: Edge) -> None:
    source, target = edge.source, edge.target
    activity = source.partition(":")[0] in _ACTIVITIES
    kind = {"zkpot:relation": edge.kind}
    match edge.kind:
        case "of-model":
            made.specialization(source, target)
        case "released-as":
            # The same, from the other end.
            made.specialization(target, source)
        case "made-from" | "trained-on" | "derived-from":
            made.wasDerivedFrom(source, target, other_attributes=kind)
        case "predicted" | "audited-by":
            made.wasDerivedFrom(target, source, other_attributes=kind)
        case "committed-by" | "has-proof":
            made.used(target, source, other_attributes=kind)
        case "on-testset" | "under-policy" | "under-charter":
            made.used(source, target, other_attributes=kind)
        case "earned":
            made.wasGeneratedBy(target, source, other_attributes=kind)
        case "signed-by" if activity:
            made.wasAssociatedWith(source, target, other_attributes=kind)
        case "signed-by" | "approved-by":
            made.wasAttributedTo(source, target, other_attributes=kind)
        case _:
            made.wasInfluencedBy(source, target, other_attributes=kind)


def export(trace: Trace) -> bytes:
    """Return the PROV-JSON of a trace.

    Raises
    ------
    InputError
        If the library is not installed.
    """
    text = document(trace).serialize(format="json", sort_keys=True)
    assert isinstance(text, str)
    return text.encode()
