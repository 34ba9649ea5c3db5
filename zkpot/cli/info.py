"""``zkpot estimate``, ``inspect`` and ``doctor``."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import psutil

from circuits.artefact_files import decode_circuit, load_circuit, load_model
from circuits.bundle import MAX_BYTES, Bundle
from circuits.encoding import parse_canonical, read_bytes
from circuits.errors import CorruptedArtefact
from circuits.halo2 import srs as srs_files
from circuits.halo2.circuit import EZKL_VERSION
from circuits.halo2.keys import home
from circuits.sumcheck.wellformed import WellFormed
from circuits.testset import Manifest
from prover.calibrate import calibrate, machine_speed
from verifier.question import count
from zkpot import backends
from zkpot.backends.base import DEFAULT_MEMORY
from zkpot.cli._output import FILE, Memory, Output, command_output, size_text, time_text


@click.command()
@click.option("--circuit", "circuit_file", type=FILE, required=True)
@click.option("--testset", type=FILE, required=True, help="Manifest of the test set.")
@click.option("--memory", type=Memory(), default=DEFAULT_MEMORY, show_default="8G")
@click.option("--jobs", type=int)
@command_output
def estimate(circuit_file: Path, testset: Path, memory: int, jobs: int | None, out: Output) -> None:
    """Say what proving will take, before it starts: time, memory, key and proof sizes."""
    circuit, manifest = load_circuit(circuit_file), Manifest.load(testset)
    backend = backends.named(circuit.backend)
    backend.require_testset(circuit, manifest)
    cost = backend.cost(circuit, manifest, memory, jobs)
    speed = machine_speed(backend.name)
    keys = f"keys {time_text(cost.setup_seconds)}, " if cost.setup_seconds else ""
    out.text(
        f"{count(cost.shards, 'shard')} of {circuit.shard_size} samples, {cost.jobs} at a time"
    )
    out.text(f"  time         {time_text(cost.seconds)}  ({keys}a shard "
             f"{time_text(cost.shard_seconds)})")  # fmt: skip
    out.text(f"  memory       {size_text(cost.peak_bytes)}")
    if cost.key_bytes:
        out.text(f"  proving key  {size_text(cost.key_bytes)}")
    out.text(f"  proofs       {size_text(cost.proof_bytes)}")
    out.text(f"  this machine counts as {speed:.2f} of the reference; `zkpot doctor --calibrate` "
             "measures it")  # fmt: skip
    out.result(
        {
            "shards": cost.shards,
            "jobs": cost.jobs,
            "milliseconds": round(cost.seconds * 1000),
            "setup_milliseconds": round(cost.setup_seconds * 1000),
            "prove_milliseconds": round(cost.shard_seconds * 1000),
            "peak_bytes": cost.peak_bytes,
            "key_bytes": cost.key_bytes,
            "proof_bytes": cost.proof_bytes,
        }
    )


def _bundle(data: bytes) -> dict[str, Any]:
    bundle = Bundle.decode(data)
    return {
        "statement": bundle.statement.to_dict(),
        "digest": bundle.digest,
        "shards": len(bundle.proofs),
        "proof_bytes": [len(proof) for proof in bundle.proofs],
        "details": bundle.details,
        "verified": False,
    }


def _testset(data: bytes) -> dict[str, Any]:
    manifest = Manifest.from_bytes(data)
    parts = {
        part.backend: {**part.header, "shards": len(part.shards), "proofs": part.proofs}
        for part in manifest.parts
    }
    return {**manifest.header, "testset": manifest.testset_id, "parts": parts}


def _circuit(data: bytes) -> dict[str, Any]:
    circuit = decode_circuit(data)
    facts = backends.named(circuit.backend).facts(circuit)
    return {**circuit.to_dict(), "digest": circuit.digest, **facts}


def _model(path: Path) -> dict[str, Any]:
    commitment = load_model(path)
    return {"backend": commitment.backend, **vars(commitment), "model": commitment.model_id}


def _well_formed(data: bytes) -> dict[str, Any]:
    found = WellFormed.decode(data)
    return {
        "commitments": list(found.commitments),
        "digest": found.digest,
        "proof_bytes": [len(proof) for proof in found.proofs],
        "verified": False,
    }


_READERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "zkpot-bundle": _bundle,
    "zkpot-circuit": _circuit,
    "zkpot-wellformed": _well_formed,
    "zkpot": _testset,
}


@click.command()
@click.argument("file", type=FILE)
@command_output
def inspect(file: Path, out: Output) -> None:
    """Show what a public artefact says; nothing is verified by it."""
    data = read_bytes(file, "artefact", MAX_BYTES)
    try:
        # What comes after the first line are proofs.
        value = parse_canonical(data.partition(b"\n")[0], "artefact")
        magic = str(value.get("magic")) if isinstance(value, dict) else ""
    except CorruptedArtefact:
        magic = ""
    if magic == "zkpot-model":
        found = _model(file)
    elif magic in _READERS:
        found = _READERS[magic](data)
    else:
        raise CorruptedArtefact(f"{file} is no public artefact of this tool")
    out.text(json.dumps(found, indent=2))
    out.result(found)


@click.command()
@click.option(
    "--calibrate",
    "measure",
    is_flag=True,
    help="Measure this machine (seconds) and remember it for estimates.",
)
@command_output
def doctor(measure: bool, out: Output) -> None:
    """Check this installation: versions, machine, keys and SRS files of halo2."""
    speeds = calibrate() if measure else {name: machine_speed(name) for name in backends.NAMES}
    memory = psutil.virtual_memory()
    ezkl_found = version("ezkl")
    keys = home() / "keys"
    circuits = [p for p in keys.iterdir() if not p.name.startswith(".")] if keys.exists() else []
    used = sum(f.stat().st_size for p in circuits for f in p.iterdir())
    usable = [i for i in srs_files.list_store() if isinstance(i, srs_files.SrsInfo)]
    srs_names = [f"k={i.k} {i.origin}" for i in usable]
    facts = {
        "python": platform.python_version(),
        "ezkl": ezkl_found,
        "ezkl_expected": EZKL_VERSION,
        "cores": os.cpu_count(),
        "memory_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "home": str(home()),
        "key_folders": len(circuits),
        "key_bytes": used,
        "srs": srs_names,
        "numba": version("numba"),
        "speed_percent": {name: round(100 * speed) for name, speed in speeds.items()},
    }
    out.text(f"python {facts['python']}, numba {facts['numba']}, ezkl {ezkl_found}")
    if ezkl_found != EZKL_VERSION:
        out.warn(f"only ezkl {EZKL_VERSION} was examined; halo2 proofs of another are refused")
    free = f"{size_text(memory.available)} of {size_text(memory.total)} memory free"
    known = ", ".join(f"{speed:.2f} for {name}" for name, speed in speeds.items())
    out.text(f"{facts['cores']} cores, {free}; of the reference speed {known}")
    out.text(f"home {home()}: keys of {len(circuits)} circuits, {size_text(used)} "
             "(delete them at will, they are derived again)")  # fmt: skip
    out.text("SRS files, for halo2 only: " + (", ".join(srs_names) or "none"))
    if usable and not any(i.origin == "ceremony" for i in usable):
        out.warn("no ceremony SRS: halo2 proofs made here convince nobody (`zkpot srs fetch 16`)")
    out.result(facts)
