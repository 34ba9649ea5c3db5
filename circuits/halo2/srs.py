"""Which SRS to trust: the ceremony's files by hash, anything else only on explicit request.

Whoever knows the secret s behind an SRS can forge every proof made with it. The published
perpetual-powers-of-tau files are safe unless all of that ceremony's participants colluded, and
a file is one of them exactly if its SHA-256 is the published one. No check of the points can
show that s was forgotten; what those checks show is that a file is a consistent SRS at all.

The store is the folder ``srs`` in ``$ZKPOT_HOME`` or in the user's data folder. A hash is never
remembered from one call to the next: size and modification time can be set by whoever can write
the file, and hashing 16 MB (k = 17) takes hundredths of a second.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from circuits.encoding import canonical_json, file_digest, parse_canonical, write_atomic
from circuits.errors import CorruptedArtefact, SrsError, SrsInsecure, SrsInvalid, SrsMissing
from circuits.halo2._srs_points import check_points
from circuits.halo2.keys import home
from circuits.halo2.kzg import SrsFile
from circuits.halo2.process import call_ezkl

Origin: TypeAlias = Literal["ceremony", "development", "unknown"]

# SHA-256 of perpetual-powers-of-tau-raw-<k>, the halo2 form (github.com/han0110/halo2-kzg-srs)
# of the Perpetual Powers of Tau, as ezkl 23.0.5 publishes them in src/srs_sha.rs.
CEREMONY_SHA256 = {
    10: "9705d450e5dfd06adb673705f7bc34418ec86339203198beceb2ae7f1ffefedb",
    11: "257fa566ed9bc0767d3e63e92b5e966829fa3347d320a32055dc31ee7d33f8a4",
    12: "28b151069f41abc121baa6d2eaa8f9e4c4d8326ddbefee2bd9c0776b80ac6fad",
    13: "d5d94bb25bdc024f649213593027d861042ee807cafd94b49b54f1663f8f267d",
    14: "c09129f064c08ecb07ea3689a2247dcc177de6837e7d2f5f946e30453abbccef",
    15: "90807800a1c3b248a452e1732c45ee5099f38b737356f5542c0584ec9c3ebb45",
    16: "2a1a494630e71bc026dd5c0eab4c1b9a5dbc656228c1f0d48f5dbd3909b161d3",
    17: "41509f380362a8d14401c5ae92073154922fe23e45459ce6f696f58607655db7",
    18: "d0148475717a2ba269784a178cb0ab617bc77f16c58d4a3cbdfe785b591c7034",
    19: "d1a1655b4366a766d1578beb257849a92bf91cb1358c1a2c37ab180c5d3a204d",
    20: "54ef75911da76d7a6b7ea341998aaf66cb06c679c53e0a88a4fe070dd3add963",
    21: "486e044cf98704e07f41137d2b89698dc03d1fbf34d13b60902fea19a6013b4b",
    22: "1ee9b4396db3e4e2516ac5016626ab6ba967f091d5d23afbdb7df122a0bb9d0c",
}

_MARKER_SUFFIX = ".development.json"
_FETCH_TIMEOUT = 3600.0
_DEVELOPMENT_TIMEOUT = 1800.0


@dataclass(frozen=True)
class SrsInfo:
    """What is known of an SRS file.

    Attributes
    ----------
    path : Path
        Where it is.
    k : int
        Base-2 logarithm of its rows.
    digest : str
        SHA-256 of the file, lowercase hex.
    origin : {"ceremony", "development", "unknown"}
        ``ceremony`` if the digest is a published one, ``development`` if the file was made by
        `make_development` and carries its marker, else ``unknown``.
    """

    path: Path
    k: int
    digest: str
    origin: Origin

    @property
    def insecure(self) -> bool:
        """Whether its maker may be able to forge proofs."""
        return self.origin != "ceremony"


def store_folder() -> Path:
    """Return the folder of the SRS files; it need not exist yet."""
    return home() / "srs"


def identify(path: Path | str) -> SrsInfo:
    """Read size, k, digest and origin of a file, without looking at its points.

    Raises
    ------
    SrsMissing, SrsInvalid
        If there is no such file, or its size does not match its k.
    """
    srs = SrsFile.open(path)
    found = file_digest(srs.path)
    origin: Origin = "unknown"
    if CEREMONY_SHA256.get(srs.k) == found:
        origin = "ceremony"
    elif _marked_digest(srs.path) == found:
        origin = "development"
    return SrsInfo(srs.path, srs.k, found, origin)


def check(path: Path | str, *, full: bool = False) -> SrsInfo:
    """Check that a file is a consistent SRS, and say where it is from; trust is not decided.

    What is checked, and the difference that `full` makes, is in `_srs_points.check_points`.

    Raises
    ------
    SrsMissing, SrsInvalid
        If the file cannot be read, or fails a check; the message names it.
    """
    info = identify(path)
    check_points(SrsFile(info.path, info.k), full=full)
    return info


def require(path: Path | str, *, k: int | None = None, allow_insecure: bool = False) -> SrsInfo:
    """Accept a file for use, or say why not.

    A ceremony's file is accepted by its hash alone, which settles every point. With
    `allow_insecure` so is a development file, which passed `check` when it was made, and any
    other file that passes `check` now.

    Parameters
    ----------
    path : Path or str
        The file.
    k : int, optional
        The k that the circuit needs; any other is refused.
    allow_insecure : bool
        The user's explicit wish, to be recorded in whatever is made with the file.

    Raises
    ------
    SrsMissing, SrsInvalid
        No such file; wrong size, k or points; or a hash that no ceremony published.
    SrsInsecure
        A development SRS without `allow_insecure`.
    """
    info = identify(path)
    if k is not None and info.k != k:
        raise SrsInvalid(
            f"SRS file {info.path} is of k = {info.k}, and k = {k} is needed",
            path=str(info.path),
            expected_k=k,
            found_k=info.k,
        )
    if info.origin == "ceremony" or (allow_insecure and info.origin == "development"):
        return info
    if allow_insecure:
        return check(path)
    if info.origin == "development":
        raise SrsInsecure(
            f"SRS file {info.path} was made on a single machine, so its maker can forge proofs; "
            "it is for development only",
            path=str(info.path),
            found=info.digest,
        )
    raise SrsInvalid(
        f"SRS file {info.path} has SHA-256 {info.digest}, which is no ceremony's for k = {info.k}",
        path=str(info.path),
        found=info.digest,
        expected=CEREMONY_SHA256.get(info.k),
    )


def find(k: int, *, allow_insecure: bool = False) -> SrsInfo:
    """Return an acceptable SRS of the store, the ceremony's before a development one.

    Raises
    ------
    SrsMissing
        If the store has none; the message says how to get one.
    SrsInsecure
        If it has only a development one, and `allow_insecure` was not given.
    SrsInvalid
        If the file in the store is damaged.
    """
    if _ceremony_path(k).exists():
        return require(_ceremony_path(k), k=k)
    if _development_path(k).exists():
        if allow_insecure:
            return require(_development_path(k), k=k, allow_insecure=True)
        raise SrsInsecure(
            f"the only SRS for k = {k} in {store_folder()} is a development one, whose maker can "
            f"forge proofs: `zkpot srs fetch {k}` downloads the ceremony's, and "
            "--insecure-dev-srs accepts this one, which is recorded",
            k=k,
            store=str(store_folder()),
        )
    raise SrsMissing(
        f"no SRS for k = {k} in {store_folder()}: `zkpot srs fetch {k}` downloads the ceremony's, "
        "`zkpot srs import FILE` takes a copy you have, and `zkpot srs develop "
        f"{k}` makes an insecure one for experiments, to be used with --insecure-dev-srs",
        k=k,
        store=str(store_folder()),
    )


def list_store() -> list[SrsInfo | SrsError]:
    """Return what is in the store, by file name; for an unusable file, its error."""
    found: list[SrsInfo | SrsError] = []
    for path in sorted(store_folder().glob("*.srs")):
        try:
            found.append(identify(path))
        except SrsError as error:
            found.append(error)
    return found


def import_file(path: Path | str) -> SrsInfo:
    """Copy a ceremony's SRS file into the store.

    The copy is what gets checked, so the source cannot change in between.

    Raises
    ------
    SrsMissing, SrsInvalid, SrsInsecure
        As `require`; nothing is stored then.
    """
    require(path)
    with _workplace() as folder:
        copy = folder / "import.srs"
        shutil.copyfile(path, copy)
        return _adopt(copy, require(copy))


def fetch(k: int) -> SrsInfo:
    """Download the ceremony's SRS of 2^k rows into the store; the one use of the network.

    Raises
    ------
    SrsMissing
        If no ceremony hash is known for `k`.
    SrsInvalid
        If what arrived has another hash; nothing is stored then.
    WorkerFailed
        If the download failed.
    """
    if k not in CEREMONY_SHA256:
        raise SrsMissing(f"there is no ceremony SRS for k = {k} in this tool's table", k=k)
    with _workplace() as folder:
        target = folder / "fetch.srs"
        call_ezkl(
            "get_srs",
            timeout=_FETCH_TIMEOUT,
            settings_path=None,
            logrows=k,
            srs_path=str(target),
        )
        return _adopt(target, require(target, k=k))


def make_development(k: int) -> SrsInfo:
    """Make an insecure SRS of 2^k rows in the store, unless there is one, for experiments.

    Its secret passes through this machine's memory. It gets a name and a marker file that say so
    and is refused wherever `allow_insecure` is not given.

    Raises
    ------
    WorkerFailed
        If the backend could not make it.
    """
    path = _development_path(k)
    if path.exists():
        # What was committed with it could not be proven or verified with another.
        return require(path, k=k, allow_insecure=True)
    with _workplace() as folder:
        target = folder / "development.srs"
        call_ezkl("gen_srs", timeout=_DEVELOPMENT_TIMEOUT, srs_path=str(target), logrows=k)
        made = check(target)
        marker = {"digest": made.digest, "k": made.k, "origin": "development"}
        write_atomic(_marker_path(path), canonical_json(marker))
        target.replace(path)
    return identify(path)


def _ceremony_path(k: int) -> Path:
    return store_folder() / f"k{k:02d}.srs"


def _development_path(k: int) -> Path:
    return store_folder() / f"k{k:02d}-development.srs"


def _marker_path(path: Path) -> Path:
    return path.with_name(path.name + _MARKER_SUFFIX)


def _marked_digest(path: Path) -> str | None:
    # What a marker says is still insecure, so a forged one gains nothing without the flag.
    try:
        marker = parse_canonical(_marker_path(path).read_bytes(), "SRS marker")
    except (OSError, CorruptedArtefact):
        return None
    return str(marker.get("digest")) if isinstance(marker, dict) else None


@contextmanager
def _workplace() -> Iterator[Path]:
    # Inside the store, so that the last step is a rename on one file system.
    store_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=store_folder()) as folder:
        yield Path(folder)


def _adopt(path: Path, info: SrsInfo) -> SrsInfo:
    target = _ceremony_path(info.k)
    path.replace(target)
    return SrsInfo(target, info.k, info.digest, info.origin)
