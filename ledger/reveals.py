"""Whether an opening file that an evaluator released opens the test set that it committed to."""

from __future__ import annotations

from functools import partial

import numpy as np

from circuits.errors import CorruptedArtefact, ShapeMismatch, SrsMissing, WrongVersion
from circuits.halo2 import kzg
from circuits.halo2 import srs as srs_files
from circuits.sumcheck.params import Profile
from circuits.testset import Manifest, Opening


def invalid_reveal(manifest: bytes, opening: bytes) -> bool:
    """Tell whether a released opening file is of no use to who must prove with it.

    Parameters
    ----------
    manifest : bytes
        The registered manifest.
    opening : bytes
        The file whose digest the evaluator's release names. It holds the samples, so a ledger
        looks at it and does not keep it.

    Raises
    ------
    ArtefactError
        If the manifest cannot be read.
    SrsMissing
        If the SRS of a halo2 commitment is not at hand.
    """
    committed = Manifest.from_bytes(manifest)
    try:
        file = Opening.from_bytes(opening)
        file.check(committed)
        for backend in committed.backends:
            if backend == "sumcheck":
                _check_sumcheck(committed, file)
            else:
                part = committed.halo2
                info = srs_files.find(part.k, allow_insecure=part.srs_insecure)
                # Under another SRS an honest file would seem to open nothing.
                if info.digest != part.srs:
                    raise SrsMissing(f"the SRS at hand is {info.digest}, the set's is {part.srs}")
                commit = partial(kzg.commit, kzg.SrsFile.open(info.path))
                file.halo2.check(part, commit)
    except (CorruptedArtefact, ShapeMismatch, WrongVersion):
        return True
    return False


def _check_sumcheck(committed: Manifest, file: Opening) -> None:
    part = committed.sumcheck
    file.sumcheck.check(part)
    # Every column, since a file that opens some would fail whoever must open others.
    columns = np.arange(Profile(part.kappa).positions)
    for shard in part.shards:
        file.sumcheck.matrix(shard.index).open(columns)
