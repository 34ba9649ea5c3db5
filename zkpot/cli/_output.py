"""What commands share: output for people and for programs, progress, options, secrets."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from circuits.encoding import is_hex
from circuits.errors import InputError, MissingArtefact
from circuits.statement import Context
from ledger import Signer
from ledger.errors import BadKey
from zkpot import backends

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
FILE = click.Path(path_type=Path)
ROUND = click.option("--round", "round_", type=click.IntRange(0, 2**32 - 1), default=0,
                     show_default=True)  # fmt: skip


class Output:
    """Writes results to stdout and everything else to stderr.

    Parameters
    ----------
    as_json : bool
        One JSON object instead of text.
    quiet : bool
        Neither text nor progress; results as JSON are still written.
    """

    result_written = False
    """Whether this process has written its JSON object; an error then adds no second one."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def text(self, line: str = "") -> None:
        """Write a line for a person."""
        if not self.as_json and not self.quiet:
            click.echo(printable(line))

    def warn(self, line: str) -> None:
        """Write a warning; only ``--quiet`` silences it."""
        if not self.quiet:
            click.echo(f"warning: {printable(line)}", err=True)

    def result(self, values: Mapping[str, Any]) -> None:
        """Write the result for a program."""
        if self.as_json:
            click.echo(json.dumps(values, sort_keys=True))
            Output.result_written = True

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """Give a callback for long work: a bar on a terminal, a line a step elsewhere."""
        if self.quiet or self.as_json:
            yield _ignore
        elif not sys.stderr.isatty():
            yield _step_line
        else:
            columns = (
                TextColumn("{task.description:<12}"), BarColumn(),
                TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn(),
            )  # fmt: skip
            with Progress(*columns, transient=True) as bar:
                tasks: dict[str, TaskID] = {}

                def update(what: str, done: int, total: int) -> None:
                    if what not in tasks:
                        tasks[what] = bar.add_task(what, total=total)
                    bar.update(tasks[what], completed=done, total=total)

                yield update


def printable(text: str) -> str:
    """Return text without control characters but line feeds.

    Names out of a stranger's file must not move the cursor over what was said before.
    """
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _ignore(what: str, done: int, total: int) -> None:
    """Report nothing."""


def _step_line(what: str, done: int, total: int) -> None:
    if done:
        click.echo(f"  {what} {done}/{total}", err=True)


def command_output(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--json`` and ``--quiet`` to a command and pass it an `Output` as ``out``."""

    @click.option("--json", "as_json", is_flag=True, help="Write one JSON object to stdout.")
    @click.option("--quiet", "-q", is_flag=True, help="Write nothing but errors.")
    @wraps(function)
    def wrapped(*, as_json: bool, quiet: bool, **kwargs: Any) -> None:
        function(out=Output(as_json=as_json, quiet=quiet), **kwargs)

    return wrapped


def backend_option(
    *, multiple: bool = False, text: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the option that chooses a proof system."""
    default = (backends.DEFAULT,) if multiple else None
    return click.option(
        "--backend",
        "backend",
        type=click.Choice(backends.NAMES),
        multiple=multiple,
        default=default,
        show_default=multiple,
        help=text,
    )


def srs_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which SRS a command may use."""
    function = click.option(
        "--insecure-dev-srs",
        "allow_insecure",
        is_flag=True,
        help="halo2: accept a development SRS, whose maker can forge proofs. It is recorded.",
    )(function)
    return click.option(
        "--srs", type=FILE, help="halo2: SRS file; by default the one of the local store."
    )(function)


def context_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that make up a proof's context."""
    for option in reversed((
        click.option("--submitter", required=True,
                     help="Public key of the submitter: hex, or a .pub file."),
        click.option("--task", help="Task id, by default the test set's id."),
        ROUND,
        click.option("--origin", default="", help="Name of the ledger, if the proof is for one."),
    )):  # fmt: skip
        function = option(function)
    return function


def make_context(
    submitter: str, task: str | None, round_: int, origin: str, testset: str
) -> Context:
    """Build a context from what `context_options` gave."""
    if task is not None and not is_hex(task, 32):
        raise InputError(f"--task {task!r} is not a task id of 64 hex digits")
    return Context(public_key(submitter), task or testset, round_, origin)


def public_key(text: str) -> str:
    """Read a public key given as hex or as the name of a ``.pub`` file."""
    if not is_hex(text, 32):
        path = Path(text)
        if not path.is_file():
            raise MissingArtefact(f"{text!r} is neither 64 hex digits nor a public key file")
        text = path.read_text(errors="replace").strip()
        if not is_hex(text, 32):
            raise InputError(f"{path} does not hold a public key of 64 hex digits")
    return text


class Memory(click.ParamType[int]):
    """A size such as ``8G``, ``500M`` or a number of bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?", str(value).strip().lower())
        if match is None or float(match[1]) <= 0:
            self.fail(f"{value!r} is not a size such as 8G or 500M", param, ctx)
        return int(float(match[1]) * _UNITS[match[2]])


class Ratio(click.ParamType[Fraction]):
    """An exact ratio: ``4/5``, ``0.8`` or ``80%``."""

    name = "ratio"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """Return the ratio, without any float in between."""
        if isinstance(value, Fraction):
            return value
        text = str(value).strip()
        try:
            return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a ratio such as 4/5, 0.8 or 80%", param, ctx)


def keep_existing(secret: Path) -> None:
    """Refuse to replace a secret: what was published under it could never be opened again."""
    if secret.exists():
        raise InputError(f"{secret} exists and is not overwritten: name another --out")


def load_key(path: Path) -> Signer:
    """Read a key file; the passphrase is used where the file is encrypted."""
    secret = passphrase()
    try:
        return Signer.load(path, secret)
    except BadKey:
        if secret is None:
            raise
        # One passphrase for several keys, not all of which need be encrypted.
        with contextlib.suppress(BadKey):
            return Signer.load(path)
        raise


def digest_of(text: str | None, read: Callable[[Path], str]) -> str | None:
    """Return a digest given as 64 hex digits, or that of the artefact in a file."""
    return text if text is None or is_hex(text, 32) else read(Path(text))


def passphrase() -> bytes | None:
    """Return the passphrase of key files, from ``ZKPOT_PASSPHRASE``; None if there is none."""
    value = os.environ.get("ZKPOT_PASSPHRASE")
    return value.encode() if value else None


def size_text(count: int) -> str:
    """Return a number of bytes for a person."""
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GB"


def time_text(seconds: float) -> str:
    """Return a duration for a person."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min"
