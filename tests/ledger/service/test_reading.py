"""What anybody can read of a served ledger, and that it holds together."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from circuits.errors import MissingArtefact
from circuits.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger import Checkpoint, Ledger, Receipt, SignedEntry, VerifierKey
from ledger.embedded.tiles import TileReader
from tests.ledger.ledger_world import (
    ALICE,
    ARCHITECTURE,
    DATA,
    EVALUATOR,
    OPERATOR,
    ORIGIN,
    TASK,
    submit,
)
from tests.ledger.service.service_world import error_of, make_ledger, served, service_of

KEY = VerifierKey(ORIGIN, OPERATOR.public)
NOBODY = "ab" * 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reading") / "ledger"


@pytest.fixture(scope="module")
def task(folder: Path) -> str:
    made = make_ledger(folder)
    with Ledger.open(folder, OPERATOR) as ledger:
        submit(ledger, made, ALICE, "m", 80)
    return made


@pytest.fixture(scope="module")
def http(task: str, folder: Path) -> Iterator[httpx.Client]:
    with served(service_of(folder)) as url, httpx.Client(base_url=url) as client:
        yield client


def test_info_is_what_the_checkpoint_says(http: httpx.Client) -> None:
    info = http.get("/v1/info").json()
    checkpoint = Checkpoint.open(http.get("/checkpoint").text, KEY)
    assert (info["origin"], info["vkey"], info["writable"]) == (ORIGIN, str(KEY), True)
    assert (info["size"], info["root"]) == (checkpoint.size, checkpoint.root.hex())
    assert http.get("/healthz").json() == {"status": "ok", "size": info["size"], "queued": 0}


def test_entries_and_their_proofs(http: httpx.Client) -> None:
    checkpoint = Checkpoint.open(http.get("/checkpoint").text, KEY)
    found = http.get("/v1/entries", params={"start": 2, "count": 100}).json()
    assert found["size"] == checkpoint.size == 2 + len(found["entries"])
    for item in found["entries"]:
        data = base64.b64decode(item["data"])
        entry = SignedEntry.decode(data)
        assert (entry.digest, entry.body.type, entry.signer) == (
            item["digest"], item["type"], item["signer"],
        )  # fmt: skip
        place = {"index": item["index"], "size": checkpoint.size}
        hashes = http.get("/v1/proof/inclusion", params=place).json()["hashes"]
        proof = [base64.b64decode(h) for h in hashes]
        verify_inclusion(leaf_hash(data), item["index"], checkpoint.size, proof, checkpoint.root)
        assert http.get(f"/v1/entries/{item['index']}").json() == item
    credited = {e["type"]: e["credited"] for e in found["entries"]}
    assert credited["proof.submit"] > 0 and credited["model.commit"] is None
    assert http.get("/v1/entries?start=1&count=2").json()["entries"][1] == found["entries"][0]
    assert http.get("/v1/entries?start=999").json()["entries"] == []


def test_receipts_verify_offline_and_prove_growth(http: httpx.Client) -> None:
    first, last = (
        Receipt.parse(http.get(f"/v1/entries/{index}/receipt").text) for index in (1, 10)
    )
    assert last.verify(KEY).body.type == "proof.submit"
    old, new = (Checkpoint.open(r.checkpoint, KEY) for r in (first, last))
    sizes = {"old": old.size, "new": new.size}
    hashes = http.get("/v1/proof/consistency", params=sizes).json()["hashes"]
    proof = [base64.b64decode(h) for h in hashes]
    verify_consistency(old.size, old.root, new.size, new.root, proof)


def test_tiles_are_those_of_the_log(http: httpx.Client) -> None:
    def fetch(path: str) -> bytes:
        response = http.get(f"/{path}")
        if response.status_code == 404:
            raise MissingArtefact(path)
        return response.content

    tree, entries = TileReader(fetch, KEY).rebuild()
    assert tree.size == len(entries) == http.get("/v1/info").json()["size"]
    tile = http.get("/tile/0/000.p/3")
    assert "immutable" in tile.headers["cache-control"]


def test_who_is_on_the_ledger(http: httpx.Client) -> None:
    listed = http.get("/v1/identities").json()["identities"]
    assert [who["id"] for who in listed] == sorted(who["id"] for who in listed)
    assert {who["name"] for who in listed} == {ORIGIN, "evaluator", "alice", "bob"}
    alice = http.get(f"/v1/identities/{ALICE.public}").json()
    assert alice in listed
    assert (alice["nonce"], alice["key"], alice["revoked"]) == (4, ALICE.public, False)
    assert alice["balance"] > 0
    page = http.get("/v1/identities", params={"after": listed[1]["id"], "count": 1}).json()
    assert page["identities"] == listed[2:3]


def test_a_task_and_its_leaderboard(http: httpx.Client, task: str) -> None:
    info = http.get(f"/v1/tasks/{task}").json()
    (rank,) = info["leaderboard"]
    assert (rank["name"], rank["correct"], rank["accuracy"], rank["index"]) == (
        "alice", 80, [4, 5], 10,
    )  # fmt: skip
    assert rank["credited"] == info["minted"] > 0
    assert (info["phase"], info["round"], info["spent"]) == ("commit", 1, 1)
    assert info["terms"] == TASK.to_dict()
    types = [event["type"] for event in info["history"]]
    assert types == ["task.open", *["model.commit"] * 3, "testset.release", "proof.submit",
                     "credit"]  # fmt: skip
    (summary,) = http.get("/v1/tasks").json()["tasks"]
    assert summary == {name: info[name] for name in summary}


def test_data_charter_blobs_and_refusals(http: httpx.Client) -> None:
    data = http.get(f"/v1/data/{DATA.root}").json()
    assert http.get("/v1/data").json()["data"] == [data]
    assert (data["owner"], data["spent"], data["terms"]) == (EVALUATOR.public, 1, DATA.to_dict())
    assert http.get("/v1/charter").json()["charter"]["task_owners"] == [OPERATOR.public]
    blob = http.get(f"/v1/blobs/{TASK.architecture}")
    assert (blob.content, blob.headers["content-disposition"]) == (ARCHITECTURE, "attachment")
    assert http.get("/v1/refusals").json() == {"refusals": []}


def test_whose_key_it_is(http: httpx.Client) -> None:
    found = http.get("/v1/identities", params={"key": ALICE.public}).json()["identities"]
    assert [who["name"] for who in found] == ["alice"]
    assert http.get("/v1/identities", params={"key": NOBODY}).json() == {"identities": []}


def test_models_and_where_they_come_from(http: httpx.Client) -> None:
    assert http.get("/v1/releases").json() == {"releases": []}
    model = SignedEntry.decode(
        base64.b64decode(http.get("/v1/entries/10").json()["data"])
    ).body.statement.model
    trace = http.get(f"/v1/trace/{model}").json()["trace"]
    assert trace["ledger"]["origin"] == ORIGIN
    assert {"proof", "task", "testset", "identity"} <= {node["kind"] for node in trace["nodes"]}
    assert error_of(http.get("/v1/trace/nobody")) == (404, "NOT_FOUND")


def test_what_became_of_a_submission(http: httpx.Client) -> None:
    entry = http.get("/v1/entries/10").json()
    found = http.get(f"/v1/submissions/{entry['digest']}").json()
    assert (found["status"], found["index"], found["code"]) == ("accepted", 10, None)
    assert found["credited"] == entry["credited"]
    bundle = SignedEntry.decode(base64.b64decode(entry["data"])).body.bundle
    wanted = {"signer": ALICE.public, "bundle": bundle}
    assert http.get("/v1/submissions", params=wanted).json()["submissions"] == [found]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/entries/99", "/v1/entries/-1", "/v1/entries/99/receipt", "/nothing",
        "/v1/proof/inclusion?index=99&size=100", "/v1/proof/inclusion?index=3&size=3",
        "/v1/proof/consistency?old=5&new=4", "/v1/proof/consistency?old=5&new=99",
        f"/v1/identities/{NOBODY}", f"/v1/tasks/{NOBODY}", f"/v1/data/{NOBODY}",
        f"/v1/blobs/{NOBODY}", f"/v1/submissions/{NOBODY}", "/tile/0/001", "/tile/0/000.p/256",
        "/tile/entries/../../log.key", "/tile/0/..%2f..%2flog.key", "/tile/9/000",
    ],
)  # fmt: skip
def test_what_is_not_there(http: httpx.Client, path: str) -> None:
    assert error_of(http.get(path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/entries?start=-1", "/v1/entries?count=0", "/v1/entries?count=5000",
        "/v1/entries/x", "/v1/tasks/abc", "/v1/identities?after=zz", "/v1/proof/inclusion?index=1",
        f"/v1/tasks/{NOBODY.upper()}", "/v1/submissions?signer=1&bundle=2",
        "/v1/entries/1/receipt?cosignatures=-1", f"/v1/entries?start={2**60}",
    ],
)  # fmt: skip
def test_what_makes_no_sense(http: httpx.Client, path: str) -> None:
    assert error_of(http.get(path)) == (400, "MALFORMED_REQUEST")


def test_other_methods(http: httpx.Client) -> None:
    answer = http.delete("/v1/info")
    assert error_of(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET"


def test_cosignatures_that_nobody_gives(http: httpx.Client) -> None:
    for path in ("/v1/entries/1/receipt?cosignatures=1", "/v1/checkpoint?cosignatures=1"):
        assert error_of(http.get(path)) == (404, "TOO_FEW_VALIDATORS")


def test_headers(http: httpx.Client) -> None:
    for path in ("/v1/info", "/nothing", "/checkpoint"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers and headers["x-request-id"]
