"""Proves one shard with ezkl, in processes of their own."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from circuits.errors import WorkerFailed
from circuits.halo2.circuit import Circuit
from circuits.halo2.keys import Keys
from circuits.halo2.process import call_ezkl
from circuits.halo2.proof import FIELD_ORDER, context_elements, felt, instances
from circuits.sumcheck.public import Outputs
from prover.shard_proof import ShardProof


def prove_shard(
    circuit: Circuit,
    keys: Keys,
    srs: Path,
    *,
    features: Sequence[int],
    labels: Sequence[int],
    weights: Sequence[int],
    context: str,
    samples: int,
    timeout: float,
    threads: int | None = None,
    scratch: Path | None = None,
    stop: threading.Event | None = None,
) -> ShardProof:
    """Prove how many samples of one shard a network gets right.

    Parameters
    ----------
    circuit, keys, srs
        The circuit, its derived keys with the proving key, and its SRS file.
    features, labels, weights : sequence of int
        The committed vectors, salts included.
    context : str
        Context digest, as hex.
    samples : int
        Real samples of the shard, which the circuit counts as well.
    timeout : float
        Seconds allowed for each of the two steps.
    threads : int, optional
        Threads of the process.
    scratch : Path, optional
        Folder for the witness, which is secret; it is removed in any case.
    stop : threading.Event, optional
        Once set, no further process is started.

    Raises
    ------
    WorkerFailed
        If ezkl fails, or its public instances are not those of an honest proof, which happens
        when an input or an accumulator is out of the range the circuit declares.
    """
    with tempfile.TemporaryDirectory(prefix=".witness-", dir=scratch) as folder:
        work = Path(folder)
        vectors = (features, labels, weights, context_elements(context))
        (work / "input.json").write_text(
            json.dumps({"input_data": [[felt(v) for v in vector] for vector in vectors]})
        )
        witness = call_ezkl(
            "gen_witness",
            timeout=timeout,
            threads=threads,
            data=work / "input.json",
            model=keys.path("compiled"),
            output=work / "witness.json",
            vk_path=keys.path("verifying_key"),
            srs_path=srs,
        )
        if stop is not None and stop.is_set():
            raise WorkerFailed("proving was stopped")
        proving = call_ezkl(
            "prove",
            timeout=timeout,
            threads=threads,
            witness=work / "witness.json",
            model=keys.path("compiled"),
            pk_path=keys.path("proving_key"),
            proof_path=work / "proof.json",
            srs_path=srs,
        )
        written = json.loads((work / "proof.json").read_bytes())
    found = [int.from_bytes(bytes.fromhex(f), "little") for f in written["instances"][0]]
    correct = found[0]
    expected = instances(circuit, correct=correct, samples=samples, context=context)
    if found != expected or not 0 <= correct <= samples < FIELD_ORDER:
        raise WorkerFailed(
            "the circuit's public outputs are not those of an honest shard: "
            "a label, feature or weight is outside its declared range"
        )
    return ShardProof(
        bytes(written["proof"]),
        Outputs(correct),
        witness.seconds + proving.seconds,
        max(witness.peak_rss, proving.peak_rss),
    )
