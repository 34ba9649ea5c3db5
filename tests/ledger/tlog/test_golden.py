"""What others wrote: the examples of the C2SP specifications, and files made by Go programs.

`golden/go.json` was made with Go's own golang.org/x/mod/sumdb v0.7.0 (note and tlog, where the
formats come from) and, for cosignatures, with filippo.io/torchwood at 341dc2f: a tree over the
leaves "leaf 0" to "leaf 299", keys from the seeds that it names. Ed25519 signatures are
deterministic, so that what is written here must be theirs byte for byte.
"""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from circuits.merkle import consistency_proof, inclusion_proof, leaf_hash, root, verify_inclusion
from ledger.keys import Signer
from ledger.tlog.cosignature import add_cosignatures, cosign, cosigned_at
from ledger.tlog.note import Checkpoint, Note, VerifierKey, open_note
from ledger.tlog.quorum import Quorum
from ledger.tlog.receipt import Receipt
from ledger.tlog.wire import AddCheckpoint
from ledger.tlog.witness import Witness

GO = json.loads((Path(__file__).parent / "golden/go.json").read_text())
LOG = VerifierKey.parse(GO["log"]["vkey"])
WITNESSES = [VerifierKey.parse(witness["vkey"]) for witness in GO["witnesses"]]
LEAVES = [leaf_hash(f"leaf {i}".encode()) for i in range(300)]

# signed-note, section "Example".
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""  # noqa: E501
# signed-note, introduction: a text with an empty line and letters beyond ASCII.
QUASIMODO = """Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
"""  # noqa: E501
# tlog-witness, section "add-checkpoint".
REQUEST = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""  # noqa: E501
# tlog-cosignature, introduction: the line of a witness.
COSIGNATURE = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="  # noqa: E501


def signer(party):
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(party["seed"])))


def test_the_example_of_signed_note():
    foo = VerifierKey.parse(FOO)
    assert str(foo) == FOO
    assert open_note(FOO_NOTE, foo) == "This is an example message.\n"
    quasimodo = Note.parse(QUASIMODO)
    assert quasimodo.text.endswith("sole:\n\ned è subito sera.\n")
    assert quasimodo.encode() == QUASIMODO


def test_the_example_of_tlog_witness():
    request = AddCheckpoint.parse(REQUEST.encode())
    assert (request.old_size, len(request.proof)) == (20852014, 4)
    assert request.encode() == REQUEST.encode()
    note = Note.parse(request.note)
    assert len(note.signatures) == 2
    checkpoint = Checkpoint.parse(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == note.text


def test_the_example_of_tlog_cosignature():
    line = Note.parse(f"text\n\n{COSIGNATURE}\n").signatures[0]
    assert line.name == "witness.example.com/w1"
    # The example's signed message has this time.
    assert int.from_bytes(line.signature[:8]) == 1679315147
    assert len(line.signature) == 8 + 64


def test_the_keys_of_go():
    assert LOG.kind == "ed25519"
    assert LOG.public == signer(GO["log"]).public
    assert str(LOG) == GO["log"]["vkey"]
    for key, witness in zip(WITNESSES, GO["witnesses"], strict=True):
        assert key == VerifierKey(key.name, signer(witness).public, "cosignature")
        assert str(key) == witness["vkey"]


def test_the_checkpoint_of_go():
    checkpoint = Checkpoint.open(GO["checkpoint"], LOG)
    assert checkpoint == Checkpoint("log.example/golden", 300, root(LEAVES))
    assert checkpoint.sign(signer(GO["log"])) == GO["checkpoint"]


def test_the_cosignatures_of_torchwood():
    note = Note.parse(GO["cosigned"])
    times = Quorum(2, tuple(WITNESSES)).require(GO["cosigned"])
    assert [key for key, _ in times] == WITNESSES
    again = Note.parse(GO["checkpoint"]).add(
        cosign(note.text, key.name, signer(witness), time)
        for (key, time), witness in zip(times, GO["witnesses"], strict=True)
    )
    assert again.encode() == GO["cosigned"]
    lines = "".join(signature.line for signature in note.signatures[1:])
    assert add_cosignatures(GO["checkpoint"], lines, WITNESSES) == GO["cosigned"]
    assert cosigned_at(Note.parse(GO["checkpoint"]), WITNESSES[0]) is None


def test_a_witness_follows_the_log_of_go(tmp_path):
    key = signer(GO["witnesses"][0])
    witness = Witness.create(tmp_path, WITNESSES[0].name, key, [LOG])
    for case in GO["requests"]:
        request = AddCheckpoint.parse(case["body"].encode())
        assert request.encode() == case["body"].encode()
        assert request.proof == tuple(consistency_proof(LEAVES, case["old"], case["new"]))
        line = witness.add_checkpoint(request.old_size, request.proof, request.note)
        Quorum(1, (WITNESSES[0],)).require(request.note + line)


@pytest.mark.parametrize("case", GO["proofs"], ids=lambda case: f"{case['index']}-{case['size']}")
def test_the_tlog_proofs_of_go(case):
    receipt = Receipt.parse(case["text"])
    assert receipt.encode() == case["text"]
    assert receipt.entry == f"leaf {case['index']}".encode()
    assert receipt.proof == tuple(inclusion_proof(LEAVES, case["index"], case["size"]))
    checkpoint = Checkpoint.open(receipt.checkpoint, LOG)
    Quorum(2, tuple(WITNESSES)).require(receipt.checkpoint)
    leaf = leaf_hash(receipt.entry)
    verify_inclusion(leaf, receipt.index, checkpoint.size, receipt.proof, checkpoint.root)
