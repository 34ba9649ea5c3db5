"""Finished shards on disk, found again by what they prove, so that nothing is proven twice."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from circuits import container
from circuits.encoding import json_digest, read_bytes, write_atomic
from circuits.errors import ArtefactError, FolderInUse
from circuits.sumcheck.outputs import parse_outputs
from prover.shard_proof import ShardProof

VERSION: Final = 2
_FIELDS = {"key": dict, "outputs": dict, "milliseconds": int, "peak_rss": int}


class Checkpoints:
    """The finished shards of one run folder.

    Parameters
    ----------
    folder : Path
        Made if it does not exist, for its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the folder to oneself, and clear what a killed process left in it.

        Raises
        ------
        FolderInUse
            If another process has it.
        """
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderInUse(
                    f"another process is proving in {self.folder}: wait for it, or give another "
                    "--run-folder"
                ) from None
            for stale in self.folder.glob(".witness-*"):
                shutil.rmtree(stale, ignore_errors=True)
            yield
        finally:
            os.close(handle)

    def save(self, key: Mapping[str, str], proof: ShardProof) -> None:
        """Keep a proof under what it proves."""
        fields: dict[str, Any] = {
            "key": dict(key),
            "outputs": proof.outputs.to_dict(),
            "milliseconds": int(proof.seconds * 1000),
            "peak_rss": proof.peak_rss,
        }
        data = container.encode("checkpoint", VERSION, fields, (proof.proof,))
        write_atomic(self._path(key), data)

    def load(self, key: Mapping[str, str]) -> ShardProof | None:
        """Return the proof kept under a key, or None; a damaged file counts as none."""
        try:
            data = read_bytes(self._path(key), "checkpoint")
            fields, (proof,) = container.decode(data, "checkpoint", VERSION, _FIELDS)
            outputs = parse_outputs(fields["outputs"])
        except (ArtefactError, ValueError):
            return None
        if fields["key"] != key:
            return None
        return ShardProof(proof, outputs, fields["milliseconds"] / 1000, fields["peak_rss"])

    def _path(self, key: Mapping[str, str]) -> Path:
        return self.folder / f"shard-{json_digest('checkpoint', dict(key))[:32]}"
