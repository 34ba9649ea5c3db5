"""Hostile files that are small, and cost their reader far more than he allowed (review, part 1).

What `Options.memory` promises is that a verifier says no before it takes more. Every test here
hands the verifier something of at most a few megabytes.
"""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from circuits.bundle import Bundle
from circuits.errors import OutOfMemory, ZkpotError
from circuits.network import Architecture, Conv2d, Dense, Flatten, NumberFormat, Requantise, SumPool
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.claims import well_formed_input, well_formed_relation
from circuits.sumcheck.details import Details
from circuits.sumcheck.model import ModelCommitment
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.testset import SumcheckPart, SumcheckShard
from circuits.sumcheck.wellformed import WellFormed
from circuits.testset import Manifest
from tests.sumcheck_world import World
from verifier.sumcheck.limits import require_circuit
from verifier.verify import Expectation, Options, verify_bundle

MB = 1 << 20
U4 = NumberFormat(4, False)


def shortest(relation: Relation) -> bytes:
    """Return zeros of the length of a proof: what a forger without any means can send."""
    shape, profile = relation.shape, relation.profile
    elements = shape.differences + shape.messages + profile.degree + profile.linear_degree
    columns = sum(32 + 8 * rows for rows in shape.rows.values())
    return bytes(32 + 16 * elements + profile.opened * columns)


def wide(hidden: int) -> Architecture:
    """Return a network of many weights and few values."""
    layers = (
        Dense("d1", ("input",), 4, hidden, False),
        Requantise("r1", ("d1",), (hidden,), 4, U4),
        Dense("d2", ("r1",), hidden, hidden, False),
        Requantise("r2", ("d2",), (hidden,), 12, U4),
        Dense("d3", ("r2",), hidden, 3, False),
    )
    return Architecture((4,), U4, 0, 4, 3, layers, "d3")


def test_a_network_of_many_weights_is_refused_before_it_is_looked_at(
    small: World, small_bundle: Bundle
) -> None:
    """6 MB of zeros as a bundle make the verifier hold 0.5 GB; 20 MB make it hold 2 GB."""
    circuit = replace(small.circuit, architecture=wide(2048))
    relation = circuit.relation
    assert relation.model is not None
    model = ModelCommitment(
        circuit.architecture.digest, circuit.kappa, 1, relation.model.rows, "ab" * 32
    )
    details = replace(Details.from_dict(small_bundle.details), model=model)
    statement = replace(small_bundle.statement, circuit=circuit.digest, model=model.model_id)
    forged = Bundle(
        statement, circuit.to_dict(), details.to_dict(), (shortest(relation), b"", b"")
    ).encode()
    assert len(forged) < 7 * MB
    tracemalloc.start()
    try:
        with pytest.raises(OutOfMemory):
            verify_bundle(
                forged, small.expected(well_formed=True), Options(verifiers="fast", memory=64 * MB)
            )
        assert tracemalloc.get_traced_memory()[1] < 128 * MB
    finally:
        tracemalloc.stop()


def pooled(size: int) -> Architecture:
    """Return a network of one window over much padding."""
    window = SumPool("p", ("input",), (1, 1, 1), (size, 1), (1, 1), (size - 1, 0, 0, 0), (1, 1))
    layers = (window, Flatten("f", ("p",), (1,)), Dense("d", ("f",), 1, 2, False))
    return Architecture((1, 1, 1), NumberFormat(1, False), 0, 2, 2, layers, "d")


def convolved(size: int) -> Architecture:
    """Return a network of one convolution with `size` taps, most of them over padding."""
    window = Conv2d(
        "c", ("input",), (1, 1, 1), (size, 1), (1, 1), (size - 1, 0, 0, 0), (1, 1), 1, 1, False
    )
    layers = (
        window, Requantise("r", ("c",), (1, 1, 1), 10, U4), Flatten("f", ("r",), (1,)),
        Dense("d", ("f",), 1, 2, False),
    )  # fmt: skip
    return Architecture((1, 1, 1), NumberFormat(1, False), 0, 2, 2, layers, "d")


def tabled(layers: int) -> Architecture:
    """Return a network of many large tables."""
    found: list[Requantise | Dense] = [Dense("d", ("input",), 1, 2, False)]
    for i in range(layers):
        form = NumberFormat(20, True)
        found.append(Requantise(f"r{i}", (found[-1].name,), (2,), 20 if i else 0, form))
        found.append(Dense(f"d{i}", (f"r{i}",), 2, 2, False))
    return Architecture((1,), NumberFormat(1, False), 0, 20, 2, tuple(found), found[-1].name)


@pytest.mark.parametrize(
    "architecture",
    [wide(1 << 13), pooled(1 << 25), convolved(1 << 25), tabled(50)],
    ids=["weights", "pool", "convolution", "tables"],
)
def test_what_a_network_takes_is_seen_from_its_description(architecture: Architecture) -> None:
    """The numbers behind each take a gigabyte or more; nothing but the description is read."""
    circuit = Circuit(architecture, 1, 12, False, False, False, 0)
    with pytest.raises(OutOfMemory):
        require_circuit(circuit, 64 * MB)


def test_a_description_of_a_network_is_read_in_little_memory(small: World) -> None:
    """A hundred bytes a layer, and for each the reader writes half a gigabyte.

    The circuit that was agreed on does not help: it is compared later.
    """
    rows, taps = 1 << 12, (1 << 12) - 1
    layer = {
        "op": "max_pool", "name": "m", "inputs": ["input"], "input_shape": [1, rows, 1],
        "kernel": [taps, 1], "stride": [1, 1], "padding": [taps // 2, 0, taps // 2, 0],
        "dilation": [1, 1],
    }  # fmt: skip
    circuit = small.circuit.to_dict()
    circuit["architecture"] |= {"layers": [layer], "output": "m"}
    tracemalloc.start()
    try:
        with pytest.raises(ZkpotError):
            Circuit.from_dict(circuit)
        assert tracemalloc.get_traced_memory()[1] < 16 * MB
    finally:
        tracemalloc.stop()


def test_a_description_of_too_many_layers_is_not_read_to_its_end(small: World) -> None:
    circuit = small.circuit.to_dict()
    layer = circuit["architecture"]["layers"][0]
    # The last is no layer at all; whoever gets there has made all the others.
    circuit["architecture"] |= {"layers": [layer] * 5000 + [None]}
    with pytest.raises(ZkpotError, match="5001 layers"):
        Circuit.from_dict(circuit)


def test_a_manifest_of_many_features_is_refused(small: World, small_bundle: Bundle) -> None:
    """Of 2^26 features it takes 21 GB and minutes, for a manifest of 315 bytes."""
    shard = SumcheckShard(0, 1, "ab" * 32)
    part = SumcheckPart(2, 2, (shard,), 10)
    manifest = Manifest(1, (1 << 18,), 2, 0, NumberFormat(1, False), 0, (part,))
    proof = shortest(well_formed_relation(manifest))
    assert len(manifest.to_bytes()) < 400
    well_formed = WellFormed((well_formed_input(manifest, 0).commitment,), (proof,))
    layers = (Dense("d", ("input",), 1 << 18, 2, False),)
    architecture = Architecture((1 << 18,), NumberFormat(1, False), 0, 2, 2, layers, "d")
    circuit = Circuit(architecture, 2, 10, False, False, False, 0)
    assert circuit.relation.model is not None
    model = ModelCommitment(architecture.digest, 10, 1, circuit.relation.model.rows, "ab" * 32)
    counts = replace(
        Details.from_dict(small_bundle.details).outputs[0],
        correct=0, per_class=(), confusion=(), groups=(),
    )  # fmt: skip
    statement = replace(
        small_bundle.statement, circuit=circuit.digest, model=model.model_id,
        testset=manifest.testset_id, samples=1, correct=0, shard_correct=(0,),
        per_class=(), confusion=(), groups=(),
    )  # fmt: skip
    forged = Bundle(statement, circuit.to_dict(), Details(model, (counts,)).to_dict(), (b"",))
    expected = Expectation(manifest, statement.context, well_formed=well_formed.encode())
    with pytest.raises(OutOfMemory):
        verify_bundle(forged.encode(), expected, Options(verifiers="fast", memory=32 * MB))


def test_inspecting_nested_brackets_is_an_error_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    ran = subprocess.run(
        [sys.executable, "-m", "zkpot", "inspect", path], capture_output=True, check=False
    )
    assert ran.returncode == 4, ran.stderr


def test_no_control_characters_of_a_file_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"magic":"\\u001b[2K\\u001b]0;x\\u0007accepted: 10 of 10 right"}')
    ran = subprocess.run(
        [sys.executable, "-m", "zkpot", "commit-model", "--circuit", path, "--weights", path,
         "--out", tmp_path / "out"], capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 4
    assert b"\x1b" not in ran.stderr and b"\x07" not in ran.stderr


def test_what_a_shard_costs_does_not_grow_with_the_set() -> None:
    def seconds(shards: int) -> float:
        part = SumcheckPart(
            1, 2, tuple(SumcheckShard(i, 1, f"{i:064x}") for i in range(shards)), 10
        )
        manifest = Manifest(shards, (4,), 2, 0, U4, 0, (part,))
        _ = manifest.testset_id
        begin = time.process_time()
        for _ in range(20):
            _ = manifest.testset_id
        return time.process_time() - begin

    assert seconds(2000) < 10 * seconds(20) + 0.01
