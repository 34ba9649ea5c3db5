"""Graph, settings and keys of a circuit, derived from its public description and an SRS.

Derivation is deterministic, so prover and verifier each make their own and agree: nobody ever
accepts a key or settings from somebody else. They are kept in a local store by circuit digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from circuits.encoding import canonical_json, file_digest, is_hex, parse_canonical, sync_folder
from circuits.errors import CorruptedArtefact
from circuits.halo2.circuit import Circuit
from circuits.halo2.graph import build
from circuits.halo2.process import call_ezkl
from circuits.halo2.settings import canonical_settings, refuse_unsafe, run_args

SETUP_TIMEOUT = 1800.0
"""Seconds; k = 18 takes about two minutes on two cores."""

_COUNTING_THREADS = 1
"""ezkl counts the rows of a circuit in parallel, and its threads race for shared constants: with
two threads one count in sixty was two rows off, and the settings with it."""

_FILES = {
    "graph": "graph.onnx",
    "settings": "settings.json",
    "compiled": "circuit.ezkl",
    "verifying_key": "vk.key",
    "proving_key": "pk.key",
}


@dataclass(frozen=True)
class Keys:
    """Paths of a circuit's derived files.

    Attributes
    ----------
    folder : Path
        Where they are.
    verifying_key_digest : str
        SHA-256 of the verifying key file, as hex.
    """

    folder: Path
    verifying_key_digest: str

    def path(self, name: str) -> Path:
        """Return the path of ``graph``, ``settings``, ``compiled``, ``verifying_key``, ..."""
        return self.folder / _FILES[name]


def home() -> Path:
    """Return the folder of this user's keys and SRS files: $ZKPOT_HOME, or the platform's."""
    given = os.environ.get("ZKPOT_HOME")
    return Path(given) if given else Path(platformdirs.user_data_dir("zkpot", appauthor=False))


def compile_settings(circuit: Circuit, folder: Path) -> dict[str, Any]:
    """Write ``graph.onnx`` and ``settings.json`` of a circuit into `folder`.

    Returns
    -------
    dict
        The canonical settings, not yet judged by `refuse_unsafe`.
    """
    (folder / _FILES["graph"]).write_bytes(_graph_bytes(circuit))
    raw = folder / "settings.raw"
    call_ezkl(
        "gen_settings",
        timeout=SETUP_TIMEOUT,
        threads=_COUNTING_THREADS,
        model=folder / _FILES["graph"],
        output=raw,
        py_run_args=run_args(circuit),
    )
    settings = canonical_settings(raw.read_bytes())
    raw.unlink()
    (folder / _FILES["settings"]).write_text(json.dumps(settings, sort_keys=True))
    return settings


def derive(
    circuit: Circuit, srs: Path, *, proving: bool, store: Path | None = None, fresh: bool = False
) -> Keys:
    """Derive the keys of a circuit, or find them in the local store.

    Parameters
    ----------
    circuit : Circuit
        What to derive from.
    srs : Path
        SRS file; its digest must be the circuit's.
    proving : bool
        Whether the proving key is needed; it is large, and a verifier does not keep it.
    store : Path, optional
        Local store, by default ``keys`` in `home`.
    fresh : bool
        Derive again even if the store has them.

    Raises
    ------
    SrsInvalid
        If the SRS is not the one the circuit names.
    UnsafeConfiguration
        If ezkl's settings are not exactly the examined ones.
    WorkerFailed
        If ezkl fails.
    CorruptedArtefact
        If a derivation disagrees with what the store holds.
    """
    circuit.require_srs(srs, file_digest(srs))
    folder = (store or home() / "keys") / circuit.digest
    graph = hashlib.sha256(_graph_bytes(circuit)).hexdigest()
    kept = _load(folder, graph, proving=proving)
    if kept is not None and not fresh:
        return kept
    with _staging(folder) as stage:
        settings = compile_settings(circuit, stage)
        refuse_unsafe(settings, circuit)
        compiled = stage / _FILES["compiled"]
        call_ezkl(
            "compile_circuit",
            timeout=SETUP_TIMEOUT,
            threads=_COUNTING_THREADS,
            model=stage / _FILES["graph"],
            compiled_circuit=compiled,
            settings_path=stage / _FILES["settings"],
        )
        call_ezkl(
            "setup",
            timeout=SETUP_TIMEOUT,
            model=compiled,
            vk_path=stage / _FILES["verifying_key"],
            pk_path=stage / _FILES["proving_key"],
            srs_path=srs,
        )
        if not proving:
            (stage / _FILES["proving_key"]).unlink()
        digests = {
            name: file_digest(stage / name) for name in _FILES.values() if (stage / name).exists()
        }
        previous = _digests(folder)
        # Keys of a graph that another version of this tool made are replaced without a word.
        if previous is not None and previous["graph.onnx"] != graph:
            previous = None
        if previous is not None and previous["vk.key"] != digests["vk.key"]:
            raise CorruptedArtefact(
                f"the verifying key in {folder} is not the one derived just now: "
                f"expected {digests['vk.key']}, found {previous['vk.key']}; delete the folder",
                artefact="verifying key",
            )
        (stage / "digests.json").write_bytes(canonical_json(digests))
        if previous is None or proving:
            _replace(folder, stage)
        # Else the old folder, found to be right, stays: its proving key may be in use.
    kept = _load(folder, graph, proving=proving)
    if kept is None:
        raise CorruptedArtefact(f"the keys in {folder} were removed while in use", artefact="keys")
    return kept


def _digests(folder: Path) -> dict[str, str] | None:
    try:
        data = (folder / "digests.json").read_bytes()
    except FileNotFoundError:
        return None
    found = parse_canonical(data, "digests.json")
    required = set(_FILES.values()) - {_FILES["proving_key"]}
    if not isinstance(found, dict) or not (
        required <= found.keys() <= set(_FILES.values())
        and all(is_hex(value, 32) for value in found.values())
    ):
        raise CorruptedArtefact(
            f"{folder / 'digests.json'} is damaged: delete the folder and it is derived again",
            artefact="digests.json",
        )
    return found


def _graph_bytes(circuit: Circuit) -> bytes:
    graph = build(circuit.architecture, circuit.shard_size, circuit.salts)
    data: bytes = graph.SerializeToString(deterministic=True)
    return data


def _load(folder: Path, graph: str, *, proving: bool) -> Keys | None:
    digests = _digests(folder)
    if (
        digests is None
        or digests["graph.onnx"] != graph
        or (proving and _FILES["proving_key"] not in digests)
    ):
        return None
    for name, expected in digests.items():
        if name == _FILES["proving_key"] and not proving:
            continue  # hundreds of megabytes that are not going to be used
        found = file_digest(folder / name) if (folder / name).exists() else "nothing"
        if found != expected:
            raise CorruptedArtefact(
                f"{folder / name} is damaged: expected digest {expected}, found {found}; "
                "delete the folder and it is derived again",
                artefact=name,
                expected=expected,
                found=found,
            )
    return Keys(folder, digests[_FILES["verifying_key"]])


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder`; whatever is still there at the end vanishes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".deriving-", dir=folder.parent))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _replace(folder: Path, stage: Path) -> None:
    if folder.exists():
        retired = Path(tempfile.mkdtemp(prefix=".retired-", dir=folder.parent))
        folder.rename(retired / "keys")
        stage.rename(folder)
        shutil.rmtree(retired)
    else:
        stage.rename(folder)
    sync_folder(folder.parent)
