"""The verifier: every check by name, in order, and nothing taken from the prover."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from circuits.bundle import MAX_BYTES, Bundle
from circuits.encoding import canonical_json
from circuits.errors import (
    MissingArtefact,
    OutOfMemory,
    ProofRejected,
    SrsInsecure,
    SrsInvalid,
    SrsMissing,
    WorkerFailed,
    WrongContext,
)
from circuits.halo2.keys import Keys
from circuits.statement import Statement
from tests.circuits.halo2.halo2_world import World, mlp
from verifier import halo2, halo2_bundle
from verifier.verdict import Check, Verdict
from verifier.verify import Expectation, Options, verify_bundle

pytestmark = pytest.mark.ezkl

CHECKS = [
    "format", "circuit", "test set", "context", "shards", "model", "srs", "keys", "proof form",
    "ezkl", "py_ecc",
]  # fmt: skip
DEVELOPMENT = Options(allow_insecure_srs=True)
QUICK = Options(allow_insecure_srs=True, verifiers="fast")


@pytest.fixture
def expected(tiny: World) -> Expectation:
    return Expectation(tiny.manifest, tiny.context.digest)


@pytest.fixture(scope="module")
def honest(tiny: World, tiny_bundle: Bundle) -> Verdict:
    """The verdict on the honest bundle, with everything pinned and both verifiers."""
    return verify_bundle(
        tiny_bundle.encode(),
        Expectation(
            tiny.manifest, tiny.context.digest, circuit=tiny.circuit.digest,
            model=tiny.commitment.model_id,
        ),
        DEVELOPMENT,
    )  # fmt: skip


def refused(data: Path | bytes, expected: Expectation, check: str) -> ProofRejected:
    """Verify, and return the error of the check that must have failed."""
    verdict = verify_bundle(data, expected, QUICK)
    assert not verdict.accepted
    assert verdict.error is not None and verdict.error.check == check, verdict.error
    # Everything before it held, and it stopped there.
    assert [c.name for c in verdict.checks] == CHECKS[: CHECKS.index(check) + 1]
    assert [c.passed for c in verdict.checks] == [True] * CHECKS.index(check) + [False]
    assert verdict.checks[-1].detail == verdict.error.message
    with pytest.raises(type(verdict.error)):
        verdict.require()
    text = json.loads(json.dumps(verdict.to_dict()))
    assert text["accepted"] is False and text["error"]["check"] == check
    assert verdict.error.exit_status == 6
    return verdict.error


def restated(bundle: Bundle, **fields: Any) -> bytes:
    return replace(bundle, statement=replace(bundle.statement, **fields)).encode()


# --- the honest bundle


def test_honest_bundle_is_accepted_check_by_check(
    tiny: World, tiny_bundle: Bundle, honest: Verdict
) -> None:
    assert honest.accepted and honest.error is None
    assert [c.name for c in honest.checks] == CHECKS
    assert all(c.passed for c in honest.checks)
    assert honest.statement == tiny_bundle.statement
    assert honest.require() == tiny_bundle.statement
    assert honest.require().shard_correct == tiny.counts
    assert honest.srs_insecure is True


def test_verdict_is_json(tiny: World, tiny_bundle: Bundle, honest: Verdict) -> None:
    value = json.loads(json.dumps(honest.to_dict()))
    assert value["accepted"] is True and value["error"] is None
    assert value["srs_insecure"] is True
    assert Statement.decode(canonical_json(value["statement"])) == tiny_bundle.statement
    assert [c["name"] for c in value["checks"]] == CHECKS
    assert all(type(c["ms"]) is int and c["passed"] is True for c in value["checks"])


def test_file_and_progress(tiny_bundle: Bundle, expected: Expectation, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.write_bytes(tiny_bundle.encode())
    seen: list[str] = []
    verdict = verify_bundle(path, expected, replace(QUICK, progress=seen.append))
    assert verdict.accepted
    assert seen == CHECKS[:-1], "without a second opinion py_ecc is not asked"


def test_both_verifiers_must_accept(
    tiny_bundle: Bundle, expected: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halo2.SolidityVerifier, "verify", lambda *args: False)
    verdict = verify_bundle(tiny_bundle.encode(), expected, DEVELOPMENT)
    assert verdict.error is not None and verdict.error.check == "py_ecc"
    assert verify_bundle(tiny_bundle.encode(), expected, QUICK).accepted
    monkeypatch.setattr(halo2, "ezkl_accepts", lambda *args: False)
    verdict = verify_bundle(tiny_bundle.encode(), expected, DEVELOPMENT)
    assert verdict.error is not None and verdict.error.check == "ezkl"


# --- expectations


@pytest.mark.parametrize("field", ["circuit", "model"])
def test_other_expectation_is_named(tiny_bundle: Bundle, expected: Expectation, field: str) -> None:
    error = refused(tiny_bundle.encode(), replace(expected, **{field: "ab" * 32}), field)
    assert "ab" * 32 in error.message
    assert getattr(tiny_bundle.statement, field) in error.message


def test_other_verifying_key_is_named(
    tiny_bundle: Bundle, expected: Expectation, tiny_keys: Keys
) -> None:
    pinned = replace(expected, verifying_key=tiny_keys.verifying_key_digest)
    assert verify_bundle(tiny_bundle.encode(), pinned, QUICK).accepted
    error = refused(tiny_bundle.encode(), replace(expected, verifying_key="ab" * 32), "keys")
    assert "verifying key" in error.message


def test_other_context_is_named(tiny: World, tiny_bundle: Bundle, expected: Expectation) -> None:
    for other in (
        replace(tiny.context, round=1), replace(tiny.context, task="33" * 32),
        replace(tiny.context, submitter="33" * 32), replace(tiny.context, origin="another"),
    ):  # fmt: skip
        error = refused(tiny_bundle.encode(), replace(expected, context=other.digest), "context")
        assert isinstance(error, WrongContext) and error.code == "WRONG_CONTEXT"
        # Rewriting the statement does not help: the proofs are bound to the old one.
        forged = restated(tiny_bundle, context=other.digest)
        error = refused(forged, replace(expected, context=other.digest), "ezkl")
        assert "shard 0" in error.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: {"budget": 1}, "test set"),
        (lambda p: {"k": 11}, "test set"),
        (lambda p: {"shards": (*p.shards[:2], replace(p.shards[2], labels="ab" * 64))}, "test set"),
    ],
)
def test_other_test_set_is_named(
    tiny: World, tiny_bundle: Bundle, expected: Expectation,
    change: Callable[[Any], dict[str, Any]], says: str,
) -> None:  # fmt: skip
    part = tiny.manifest.halo2
    other = replace(tiny.manifest, parts=(replace(part, **change(part)),))
    error = refused(tiny_bundle.encode(), replace(expected, manifest=other), "test set")
    assert other.testset_id in error.message


@pytest.mark.parametrize(
    ("circuit", "says"),
    [
        ({"shard_size": 2}, "shard size: expected 3, found 2"),
        ({"testset_budget": 3}, "opening budget"),
        ({"architecture": mlp(features=3)}, "feature shape"),
        ({"k": 11}, "k: expected 10, found 11"),
    ],
)
def test_circuit_for_another_test_set_is_named(
    tiny: World, tiny_bundle: Bundle, expected: Expectation, circuit: dict[str, Any], says: str
) -> None:
    other = replace(tiny.circuit, **circuit)
    statement = replace(tiny_bundle.statement, circuit=other.digest)
    forged = replace(tiny_bundle, circuit=other.to_dict(), statement=statement)
    assert says in refused(forged.encode(), expected, "test set").message


# --- the bundle's own word


def test_changed_counts_are_refused(
    tiny: World, tiny_bundle: Bundle, expected: Expectation
) -> None:
    first, *rest = tiny.counts
    counts = (first + 1, *rest)
    forged = restated(tiny_bundle, shard_correct=counts, correct=sum(counts))
    assert f"{first + 1} right predictions" in refused(forged, expected, "ezkl").message
    moved = (first + 1, rest[0] - 1, *rest[1:])
    assert sum(moved) == sum(tiny.counts)
    refused(restated(tiny_bundle, shard_correct=moved), expected, "ezkl")


def test_missing_and_superfluous_counts_are_refused(
    tiny: World, tiny_bundle: Bundle, expected: Expectation
) -> None:
    for counts in ((*tiny.counts, 0), (sum(tiny.counts),)):
        error = refused(restated(tiny_bundle, shard_correct=counts), expected, "shards")
        assert "number of counts" in error.message


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ((0, 1), "shard 2 is missing"), ((0, 1, 1), "shard 1 is repeated"),
        ((1, 0, 2), "shard 1 is out of place"), ((0, 1, 2, 2), "one is too many"), ((), "shard 0"),
    ],
)  # fmt: skip
def test_shards_must_be_there_once_and_in_order(
    tiny_bundle: Bundle, expected: Expectation, order: tuple[int, ...], says: str
) -> None:
    forged = replace(tiny_bundle, proofs=tuple(tiny_bundle.proofs[i] for i in order))
    assert says in refused(forged.encode(), expected, "shards").message


@pytest.mark.parametrize("place", [0, 64])
def test_foreign_shard_is_named(tiny_bundle: Bundle, expected: Expectation, place: int) -> None:
    proof = bytearray(tiny_bundle.proofs[1])
    proof[place] ^= 1
    proofs = (tiny_bundle.proofs[0], bytes(proof), tiny_bundle.proofs[2])
    error = refused(replace(tiny_bundle, proofs=proofs).encode(), expected, "shards")
    which = "labels" if place else "features"
    assert "shard 1 is foreign" in error.message and which in error.message


def test_other_model_in_one_shard_is_named(tiny_bundle: Bundle, expected: Expectation) -> None:
    proof = bytearray(tiny_bundle.proofs[2])
    proof[128] ^= 1
    forged = replace(tiny_bundle, proofs=(*tiny_bundle.proofs[:2], bytes(proof)))
    assert "shard 2 was answered by model" in refused(forged.encode(), expected, "model").message


@pytest.mark.parametrize("size", [-1, 1, 32])
def test_length_of_a_proof_is_exact(tiny_bundle: Bundle, expected: Expectation, size: int) -> None:
    last = tiny_bundle.proofs[2]
    last = last[:size] if size < 0 else last + bytes(size)
    forged = replace(tiny_bundle, proofs=(*tiny_bundle.proofs[:2], last))
    assert "shard 2" in refused(forged.encode(), expected, "proof form").message


def test_tiny_and_huge_proofs_are_refused(tiny_bundle: Bundle, expected: Expectation) -> None:
    for proof in (b"", bytes(255), bytes((1 << 20) + 1)):
        forged = replace(tiny_bundle, proofs=(proof, *tiny_bundle.proofs[1:]))
        assert "shard 0" in refused(forged.encode(), expected, "shards").message


def test_damaged_proof_is_refused_by_each_verifier(
    tiny_bundle: Bundle, expected: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = bytearray(tiny_bundle.proofs[0])
    proof[-1] ^= 1
    forged = replace(tiny_bundle, proofs=(bytes(proof), *tiny_bundle.proofs[1:])).encode()
    assert "shard 0" in refused(forged, expected, "ezkl").message
    monkeypatch.setattr(halo2, "ezkl_accepts", lambda *args: True)
    verdict = verify_bundle(forged, expected, DEVELOPMENT)
    assert verdict.error is not None and verdict.error.check == "py_ecc"


def test_statement_about_another_circuit_is_refused(
    tiny_bundle: Bundle, expected: Expectation
) -> None:
    refused(restated(tiny_bundle, circuit="ab" * 32), expected, "circuit")
    refused(restated(tiny_bundle, testset="ab" * 32), expected, "test set")
    refused(restated(tiny_bundle, samples=9), expected, "test set")
    refused(restated(tiny_bundle, model="ab" * 32), expected, "model")


def test_development_mark_must_be_true(
    tiny: World, tiny_bundle: Bundle, expected: Expectation
) -> None:
    hidden = replace(tiny_bundle, details={"srs_insecure": False})
    assert "development mark" in refused(hidden.encode(), expected, "srs").message


# --- a bundle that is hardly one


@pytest.mark.parametrize("data", [b"", b"{}", b"junk", b"[" * 500, b"\xff" * 100])
def test_junk_gives_a_verdict(expected: Expectation, data: bytes) -> None:
    error = refused(data, expected, "format")
    assert error.details["reason"] in ("CORRUPTED_ARTEFACT", "WRONG_VERSION")
    assert verify_bundle(data, expected, QUICK).statement is None


def test_other_backend_and_version_give_a_verdict(
    tiny_bundle: Bundle, expected: Expectation
) -> None:
    error = refused(restated(tiny_bundle, backend="sumcheck"), expected, "format")
    assert error.details["reason"] == "WRONG_VERSION"
    forged = replace(tiny_bundle, circuit={**tiny_bundle.circuit, "backend_version": "1.0"})
    assert refused(forged.encode(), expected, "format").details["reason"] == "WRONG_VERSION"


@pytest.mark.parametrize(
    "change",
    [
        {"k": 21}, {"columns": 99}, {"shard_size": -1}, {"decomp_base": 0}, {"srs": ""},
        {"architecture": {}}, {"testset_budget": 2**52}, {"decomp_legs": True},
    ],
)  # fmt: skip
def test_impossible_circuit_gives_a_verdict(
    tiny_bundle: Bundle, expected: Expectation, change: dict[str, Any]
) -> None:
    forged = replace(tiny_bundle, circuit={**tiny_bundle.circuit, **change})
    refused(forged.encode(), expected, "format")


@pytest.mark.parametrize(
    "details", [{}, {"srs_insecure": 1}, {"srs_insecure": None}, {"srs_insecure": True, "x": 1}]
)
def test_malformed_details_give_a_verdict(
    tiny_bundle: Bundle, expected: Expectation, details: dict[str, Any]
) -> None:
    refused(replace(tiny_bundle, details=details).encode(), expected, "format")


@pytest.mark.parametrize("k", [0, -7, 1 << 50])
def test_hostile_k_gives_a_verdict(tiny_bundle: Bundle, expected: Expectation, k: int) -> None:
    forged = replace(tiny_bundle, circuit={**tiny_bundle.circuit, "k": k})
    refused(forged.encode(), expected, "format")


def test_one_proof_has_one_bundle(tiny_bundle: Bundle, expected: Expectation) -> None:
    """JSON's true equals 1 to Python: two encodings of one circuit would be two bundles."""
    forged = replace(tiny_bundle, circuit={**tiny_bundle.circuit, "version": True})
    assert forged.encode() != tiny_bundle.encode()
    refused(forged.encode(), expected, "format")


# --- what says nothing of the bundle raises


def test_missing_file_raises(expected: Expectation, tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(MissingArtefact, match="bundle"):
            verify_bundle(path, expected, QUICK)


def test_file_that_is_too_large_gives_a_verdict(expected: Expectation, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.touch()
    os.truncate(path, MAX_BYTES + 1)
    refused(path, expected, "format")


def test_development_srs_needs_permission(
    tiny: World, tiny_bundle: Bundle, expected: Expectation
) -> None:
    data = tiny_bundle.encode()
    for options in (None, Options(), Options(srs=tiny.srs.path)):
        with pytest.raises(SrsInsecure):
            verify_bundle(data, expected, options)
    given = Options(srs=tiny.srs.path, allow_insecure_srs=True, verifiers="fast")
    assert verify_bundle(data, expected, given).srs_insecure is True


def test_absent_and_unfit_srs_raise(
    tiny: World, tiny_bundle: Bundle, expected: Expectation, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    data = tiny_bundle.encode()
    with monkeypatch.context() as patch:
        patch.setenv("ZKPOT_HOME", str(tmp_path / "empty"))
        with pytest.raises(SrsMissing, match="srs fetch 10"):
            verify_bundle(data, expected, QUICK)
    with pytest.raises(SrsMissing):
        verify_bundle(data, expected, replace(QUICK, srs=tmp_path / "absent"))
    (tmp_path / "short").write_bytes(tiny.srs.path.read_bytes()[:-1])
    with pytest.raises(SrsInvalid):
        verify_bundle(data, expected, replace(QUICK, srs=tmp_path / "short"))


def test_memory_limit_raises_before_keys_are_made(
    tiny_bundle: Bundle, expected: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_work(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("nothing should have been derived")

    monkeypatch.setattr(halo2_bundle.halo2_keys, "derive", no_work)
    with pytest.raises(OutOfMemory):
        verify_bundle(tiny_bundle.encode(), expected, replace(QUICK, memory=1 << 20))


def test_a_crash_is_no_verdict(
    tiny_bundle: Bundle, expected: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*args: Any, **kwargs: Any) -> None:
        raise WorkerFailed("killed")

    monkeypatch.setattr(halo2, "ezkl_accepts", crash)
    with pytest.raises(WorkerFailed):
        verify_bundle(tiny_bundle.encode(), expected, QUICK)


# --- keys


def test_fresh_keys_are_derived_again(
    tiny: World, tiny_bundle: Bundle, expected: Expectation, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: list[dict[str, Any]] = []
    real = halo2_bundle.halo2_keys.derive

    def watch(*args: Any, **kwargs: Any) -> Keys:
        asked.append(kwargs)
        return real(*args, **kwargs)

    monkeypatch.setattr(halo2_bundle.halo2_keys, "derive", watch)
    options = replace(QUICK, key_store=tmp_path / "keys")
    for fresh in (False, False, True):
        assert verify_bundle(
            tiny_bundle.encode(), expected, replace(options, fresh_keys=fresh)
        ).accepted
    assert [kwargs["fresh"] for kwargs in asked] == [False, False, True]
    assert not any(kwargs["proving"] for kwargs in asked)
    (folder,) = (tmp_path / "keys").iterdir()
    assert folder.name == tiny.circuit.digest
    assert not (folder / "pk.key").exists(), "a verifier keeps no proving key"


# --- the verdict


STATEMENT = Statement(
    "halo2", "aa" * 32, "bb" * 32, "cc" * 32, 5, 3, (1, 2), "dd" * 32
)  # fmt: skip


def test_a_verdict_without_checks_accepts_nothing() -> None:
    empty = Verdict(STATEMENT, ())
    assert not empty.accepted
    with pytest.raises(ProofRejected, match="not every check"):
        empty.require()


def test_one_failed_check_is_enough() -> None:
    verdict = Verdict(STATEMENT, (Check("a", True), Check("b", False), Check("c", True)))
    assert not verdict.accepted
    with pytest.raises(ProofRejected):
        verdict.require()


def test_an_error_is_enough() -> None:
    verdict = Verdict(STATEMENT, (Check("a", True),), ProofRejected("b", "no"))
    assert not verdict.accepted
    with pytest.raises(ProofRejected, match="b: no"):
        verdict.require()


def test_acceptance_needs_a_statement() -> None:
    with pytest.raises(ProofRejected):
        Verdict(None, (Check("a", True),)).require()
    assert Verdict(STATEMENT, (Check("a", True),)).require() == STATEMENT
