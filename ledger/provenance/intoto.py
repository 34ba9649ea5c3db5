"""A trace as a signed in-toto attestation: Statement v1 in a DSSE envelope.

Tools that know in-toto can check the signature and match the subject; what the predicate says is
described in docs/provenance.md. The signature is its signer's word that the ledger says so, at a
checkpoint that is in the predicate; whoever needs more asks the ledger.
"""

from __future__ import annotations

from typing import Any, Final

from circuits.encoding import canonical_json, parse_canonical
from circuits.errors import CorruptedArtefact
from ledger.entries import NOTHING
from ledger.errors import BadAttestation, BadKey
from ledger.keys import check_public_key
from ledger.provenance.croissant import URN
from ledger.provenance.extras import needed
from ledger.provenance.graph import Node, Trace
from ledger.signatures import Signs

PREDICATE_TYPE: Final = "urn:zkpot:predicate:model-provenance:1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES: Final = 1 << 26
_WHAT = "attestation"


def statement(trace: Trace) -> dict[str, Any]:
    """Return the in-toto statement of a trace, checked by in-toto's own library.

    Raises
    ------
    InputError
        If the library is not installed.
    """
    with needed():
        from google.protobuf.json_format import ParseDict
        from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI, Statement
        from in_toto_attestation.v1.statement_pb2 import Statement as Message
    value = {
        "_type": STATEMENT_TYPE_URI,
        "subject": [{"name": name, "digest": digest} for name, digest in _subjects(trace)],
        "predicateType": PREDICATE_TYPE,
        "predicate": _predicate(trace),
    }
    # Checked as the library's message, which is not what is signed: it has no whole numbers.
    Statement.copy_from_pb(ParseDict(value, Message())).validate()
    return value


def _subjects(trace: Trace) -> list[tuple[str, dict[str, str]]]:
    start = trace.node(trace.start)
    model, artefact = start.fields["model"], start.fields.get("artefact", NOTHING)
    subjects = [] if artefact == NOTHING else [(_title(start), {"sha256": artefact})]
    # Not a hash of a file, so it has a name of its own among the digests.
    return [*subjects, (f"model:{model}", {"zkpotModel": model})]


def _title(release: Node) -> str:
    return f"{release.fields['name']}@{release.fields['release']}"


def _predicate(trace: Trace) -> dict[str, Any]:
    start = trace.node(trace.start)
    targets = {
        kind: [trace.node(e.target) for e in trace.edges if (e.source, e.kind) == (start.id, kind)]
        for kind in ("trained-on", "made-from", "proven-by", "has-proof")
    }
    return {
        "ledger": trace.to_dict()["ledger"],
        "subject": {"node": start.id, "label": start.label},
        "resolvedDependencies": [
            *(
                {
                    "name": node.fields["card"].get("name", node.id),
                    "uri": URN + node.fields["root"],
                    "digest": {"zkpotData": node.fields["root"]},
                    "annotations": {n: node.fields[n] for n in ("licence", "samples", "unit")},
                }
                for node in targets["trained-on"]
            ),
            *(
                {"name": _title(node), "digest": {"zkpotRelease": node.fields["digest"]}}
                for node in targets["made-from"]
            ),
        ],
        "proofs": [
            {
                "entry": node.fields["entry"],
                "signer": node.fields["signer"],
                "bundle": node.fields["bundle"],
                "statement": node.fields["statement"],
                "srsInsecure": node.fields["srs_insecure"],
            }
            for node in (*targets["proven-by"], *targets["has-proof"])
        ],
        "remarks": trace.to_dict()["remarks"],
        "trace": trace.to_dict(),
    }


def export(trace: Trace, signer: Signs) -> bytes:
    """Return the statement of a trace in a DSSE envelope.

    Parameters
    ----------
    trace : Trace
    signer : Signs
        An Ed25519 key, such as that of the ledger. A DSSE message starts with ``DSSEv1`` and a
        space, as no ledger entry and no checkpoint can, so that one key may sign all three.

    Raises
    ------
    InputError
        If a library is not installed.
    BadKey
        If the key is of another kind.
    """
    if signer.scheme != "ed25519":
        raise BadKey(f"an attestation is signed by an Ed25519 key, not by {signer.scheme}")
    with needed():
        from securesystemslib.dsse import Envelope
        from securesystemslib.signer import Signature
    envelope = Envelope(canonical_json(statement(trace)), PAYLOAD_TYPE, {})
    signature = Signature(signer.public, signer.sign(envelope.pae()).hex())
    envelope.signatures[signature.keyid] = signature
    return canonical_json(envelope.to_dict())


def verify(data: bytes, public: str) -> dict[str, Any]:
    """Return the statement in an envelope that a key signed.

    Parameters
    ----------
    data : bytes
        The envelope.
    public : str
        Ed25519 public key, 32 bytes of lowercase hex, from somewhere else than the envelope.

    Raises
    ------
    InputError
        If a library is not installed.
    BadAttestation
        If it is malformed, of another type, or not signed by the key.
    """
    with needed():
        from google.protobuf.json_format import ParseDict, ParseError
        from in_toto_attestation.v1.statement import Statement
        from in_toto_attestation.v1.statement_pb2 import Statement as Message
        from securesystemslib.dsse import Envelope
        from securesystemslib.exceptions import VerificationError
        from securesystemslib.signer import SSlibKey
    check_public_key(public)
    if len(data) > MAX_ENVELOPE_BYTES:
        raise BadAttestation(f"the envelope has more than {MAX_ENVELOPE_BYTES} bytes")
    key = SSlibKey(public, "ed25519", "ed25519", {"public": public})
    try:
        envelope = Envelope.from_dict(parse_canonical(data, _WHAT))
        envelope.verify([key], 1)
        value = parse_canonical(envelope.payload, _WHAT)
        message = ParseDict(value, Message(), ignore_unknown_fields=True)
        Statement.copy_from_pb(message).validate()
    except VerificationError:
        raise BadAttestation(f"the envelope is not signed by {public}") from None
    except CorruptedArtefact as error:
        raise BadAttestation(error.message) from None
    except (ValueError, KeyError, TypeError, AttributeError, ParseError) as error:
        raise BadAttestation(f"this is no attestation in an envelope: {error!r}"[:500]) from None
    if envelope.payload_type != PAYLOAD_TYPE or value["predicateType"] != PREDICATE_TYPE:
        raise BadAttestation("the envelope holds an attestation of another type")
    return dict(value)
