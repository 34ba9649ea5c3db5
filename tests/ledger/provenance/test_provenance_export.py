"""Traces in the formats of others: in-toto in DSSE, and W3C PROV."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from prov.model import (
    ProvAgent,
    ProvAssociation,
    ProvDerivation,
    ProvDocument,
    ProvGeneration,
)

from circuits.encoding import canonical_json
from circuits.errors import InputError
from ledger.errors import BadAttestation, BadKey
from ledger.evm_keys import EvmSigner
from ledger.provenance import Trace, intoto, prov, trace
from tests.ledger.ledger_world import ALICE, BOB, OPERATOR, digest_of
from tests.ledger.provenance.provenance_world import ARTEFACT, Lineage


@pytest.fixture(scope="module")
def found(story: Lineage) -> Trace:
    return trace(story.ledger, story.releases["first"])


class TestIntoto:
    def test_statement(self, story: Lineage, found: Trace) -> None:
        said = intoto.statement(found)
        assert said["_type"] == "https://in-toto.io/Statement/v1"
        assert said["predicateType"] == intoto.PREDICATE_TYPE
        assert said["subject"] == [
            {"name": "digits@1.0", "digest": {"sha256": ARTEFACT}},
            {"name": f"model:{digest_of('m')}", "digest": {"zkpotModel": digest_of("m")}},
        ]
        predicate = said["predicate"]
        assert predicate["trace"] == found.to_dict()
        assert predicate["ledger"]["checkpoint"] == story.ledger.checkpoint()
        (proof,) = predicate["proofs"]
        assert (proof["entry"], proof["statement"]["correct"]) == (story.proof, 90)
        (data,) = predicate["resolvedDependencies"]
        assert story.derived is not None
        assert (data["name"], data["digest"]) == ("digits", {"zkpotData": story.derived.root})

    def test_of_a_release_without_a_file(self, story: Lineage) -> None:
        said = intoto.statement(trace(story.ledger, "digits@1.1"))
        assert [subject["digest"] for subject in said["subject"]] == [
            {"zkpotModel": digest_of("finetuned")}
        ]
        (parent,) = said["predicate"]["resolvedDependencies"]
        assert parent == {
            "name": "digits@1.0", "digest": {"zkpotRelease": story.releases["first"]}
        }  # fmt: skip

    def test_of_a_model(self, story: Lineage) -> None:
        said = intoto.statement(trace(story.ledger, digest_of("m")))
        assert len(said["subject"]) == 1
        assert [proof["entry"] for proof in said["predicate"]["proofs"]] == [story.proof]

    def test_round_trip(self, found: Trace) -> None:
        data = intoto.export(found, OPERATOR)
        assert intoto.verify(data, OPERATOR.public) == intoto.statement(found)
        assert data == intoto.export(found, OPERATOR)

    def test_signature_by_the_words_of_dsse(self, found: Trace) -> None:
        """What the specification says is signed, with nothing but a signature library."""
        envelope = json.loads(intoto.export(found, OPERATOR))
        payload = base64.b64decode(envelope["payload"])
        kind = b"application/vnd.in-toto+json"
        assert envelope["payloadType"].encode() == kind
        signed = b" ".join((b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload))
        (signature,) = envelope["signatures"]
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(OPERATOR.public))
        key.verify(base64.b64decode(signature["sig"]), signed)
        with pytest.raises(InvalidSignature):
            key.verify(base64.b64decode(signature["sig"]), signed + b" ")

    def test_another_key(self, found: Trace) -> None:
        data = intoto.export(found, OPERATOR)
        with pytest.raises(BadAttestation, match="not signed by"):
            intoto.verify(data, BOB.public)
        # The name of a key in the envelope is a hint, and proves nothing.
        forged = json.loads(intoto.export(found, BOB))
        forged["signatures"][0]["keyid"] = OPERATOR.public
        with pytest.raises(BadAttestation, match="not signed by"):
            intoto.verify(canonical_json(forged), OPERATOR.public)

    @pytest.mark.parametrize(
        "change",
        [lambda e: e | {"payload": base64.b64encode(b"{}").decode()},
         lambda e: e | {"payload": e["payload"][:-8]}, lambda e: e | {"payload": "*"},
         lambda e: e | {"payload": e["payload"][:40] + "A" + e["payload"][41:]},
         lambda e: e | {"payloadType": "text/plain"}, lambda e: e | {"payloadType": 1},
         lambda e: e | {"signatures": []}, lambda e: e | {"signatures": None},
         lambda e: e | {"signatures": e["signatures"] * 2},
         lambda e: e | {"signatures": [{"sig": "AAAA", "keyid": OPERATOR.public}]},
         lambda e: e | {"signatures": [{"sig": 7, "keyid": []}]},
         lambda e: {"payload": e["payload"]}, lambda e: [], lambda e: None],
    )  # fmt: skip
    def test_mutations(self, found: Trace, change: Callable[[Any], Any]) -> None:
        envelope = json.loads(intoto.export(found, OPERATOR))
        with pytest.raises(BadAttestation):
            intoto.verify(canonical_json(change(envelope)), OPERATOR.public)

    @pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b"{", b"{ }"])
    def test_no_json(self, data: bytes) -> None:
        with pytest.raises(BadAttestation):
            intoto.verify(data, OPERATOR.public)

    def test_too_large(self) -> None:
        with pytest.raises(BadAttestation, match="more than"):
            intoto.verify(bytes(intoto.MAX_ENVELOPE_BYTES + 1), OPERATOR.public)

    @pytest.mark.parametrize(
        "statement",
        [{}, {"_type": "https://in-toto.io/Statement/v1"}, [], {"_type": 1},
         {"_type": "https://in-toto.io/Statement/v1", "predicateType": "x", "predicate": {"a": 1},
          "subject": [{"name": "n", "digest": {"sha256": "00"}}]},
         {"_type": "https://in-toto.io/Statement/v1", "predicateType": intoto.PREDICATE_TYPE,
          "predicate": {"a": 1}, "subject": [{"name": "n"}]},
         {"_type": "https://in-toto.io/Statement/v1", "predicateType": intoto.PREDICATE_TYPE,
          "subject": [{"name": "n", "digest": {"sha256": "00"}}]}],
    )  # fmt: skip
    def test_other_statements_that_the_key_signed(self, statement: Any) -> None:
        payload, kind = canonical_json(statement), b"application/vnd.in-toto+json"
        signed = b" ".join((b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload))
        envelope = {
            "payload": base64.b64encode(payload).decode(), "payloadType": kind.decode(),
            "signatures": [{"keyid": OPERATOR.public,
                            "sig": base64.b64encode(OPERATOR.sign(signed)).decode()}],
        }  # fmt: skip
        with pytest.raises(BadAttestation):
            intoto.verify(canonical_json(envelope), OPERATOR.public)

    def test_keys_that_prove_nothing(self, found: Trace) -> None:
        with pytest.raises(BadKey):
            intoto.verify(intoto.export(found, OPERATOR), "01" + "00" * 31)
        with pytest.raises(BadKey, match="not by evm"):
            intoto.export(found, EvmSigner(bytes([7]) * 32))


class TestProv:
    def test_read_back(self, story: Lineage) -> None:
        for query in ("digits@1.1", digest_of("m"), story.releases["copied"]):
            seen = trace(story.ledger, query)
            data = prov.export(seen)
            assert ProvDocument.deserialize(content=data.decode(), format="json") == prov.document(
                seen
            )
            assert data == prov.export(seen)

    def test_content(self, story: Lineage, found: Trace) -> None:
        document = ProvDocument.deserialize(content=prov.export(found).decode(), format="json")
        assert len(list(document.get_records(ProvAgent))) == len(found.kind("identity"))
        derivations = {"trained-on", "derived-from", "predicted", "audited-by"}
        derived = sum(edge.kind in derivations for edge in found.edges)
        assert len(list(document.get_records(ProvDerivation))) == derived == 4
        assert len(list(document.get_records(ProvGeneration))) == 1
        # Alice is behind her proof and her commitment, Bob behind his.
        associated = [
            (str(record.formal_attributes[0][1]), str(record.formal_attributes[1][1]))
            for record in document.get_records(ProvAssociation)
        ]
        assert (f"proof:{story.proof}", f"identity:{ALICE.public}") in associated
        ids = {str(record.identifier) for record in document.get_records() if record.identifier}
        assert ids == {node.id for node in found.nodes} | {f"trace:{found.log_root}"}


class TestMissingLibraries:
    @pytest.mark.parametrize(
        ("library", "use"),
        [("prov", lambda t: prov.export(t)), ("in_toto_attestation", lambda t: intoto.statement(t)),
         ("securesystemslib", lambda t: intoto.export(t, OPERATOR)),
         ("securesystemslib", lambda t: intoto.verify(b"{}", OPERATOR.public))],
    )  # fmt: skip
    def test_one_line(
        self, found: Trace, monkeypatch: pytest.MonkeyPatch, library: str,
        use: Callable[[Trace], object],
    ) -> None:  # fmt: skip
        for name in list(sys.modules):
            if name == library or name.startswith(library + "."):
                monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(
            InputError, match=r"this needs the extra, pip install 'zkpot\[prov"
        ) as c:
            use(found)
        assert c.value.code == "BAD_INPUT"
        assert "\n" not in c.value.message

    def test_the_ledger_needs_none_of_them(self) -> None:
        code = (
            "import sys\n"
            "for name in ('prov', 'in_toto_attestation', 'securesystemslib'):\n"
            "    sys.modules[name] = None\n"
            "import ledger, ledger.provenance, ledger.provenance.intoto, ledger.provenance.prov\n"
            "import zkpot.cli.provenance\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
