"""The ``zkpot`` command: groups the commands, and turns errors into one line and a status."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

import click

from circuits.errors import ZkpotError
from circuits.halo2.process import kill_all
from zkpot.cli._output import Output, printable
from zkpot.cli.bench import bench
from zkpot.cli.data import commit_data
from zkpot.cli.demo import demo
from zkpot.cli.info import doctor, estimate, inspect
from zkpot.cli.ledger import ledger
from zkpot.cli.model import commit_model, compile_
from zkpot.cli.proof import prove, verify
from zkpot.cli.provenance import (
    commit_training_,
    data_card,
    membership,
    register_training,
    trace_,
)
from zkpot.cli.serve import follow, serve
from zkpot.cli.srs import srs

_LONGEST_MESSAGE = 2000
STATUS_INTERRUPTED = 130
STATUS_BUG = 70


def _version() -> str:
    try:
        return version("zkpot")
    except PackageNotFoundError:
        return "unknown"


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done; 1 error; 2 bad input or usage; 3 resources or budget; 4 artefact "
    "missing, damaged or of another version; 5 SRS; 6 proof rejected; 7 ledger; 70 bug; "
    "130 interrupted.",
)
@click.version_option(_version(), prog_name="zkpot")
def cli() -> None:
    """Prove, in zero knowledge, what a private model scores on a private, committed test set."""


for command in (
    demo, commit_data, compile_, estimate, inspect, doctor, commit_model, prove, verify, ledger,
    srs, bench, commit_training_, data_card, membership,
):  # fmt: skip
    cli.add_command(command)
for command in (register_training, trace_, serve, follow):
    ledger.add_command(command)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line."""
    Output.result_written = False
    signal.signal(signal.SIGTERM, _terminate)
    # For data given as package.module:function; last, so that nothing installed is shadowed.
    sys.path.append(str(Path.cwd()))
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Exit as done:
        status = done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        status = error.exit_code
    except click.ClickException as error:
        _report("USAGE", " ".join(error.format_message().split()), {})
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        kill_all()
        _report("INTERRUPTED", "interrupted; finished shards are kept, run it again to go on", {})
        status = STATUS_INTERRUPTED
    except ZkpotError as error:
        _report(error.code, error.message, error.to_dict())
        status = error.exit_status
    except OSError as error:
        _report("SYSTEM", f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), {})
        status = 1
    except Exception as error:
        # A bug of ours. The message might quote a secret, so it takes a variable to see it.
        if os.environ.get("ZKPOT_DEBUG"):
            traceback.print_exc()
        _report("BUG", f"internal error ({type(error).__name__}); run again with ZKPOT_DEBUG=1 "
                "for details, and please report it", {})  # fmt: skip
        status = STATUS_BUG
    sys.exit(status or 0)


def _report(code: str, message: str, details: dict[str, object]) -> None:
    line = printable(" ".join(message.split()))[:_LONGEST_MESSAGE]
    if "--json" in sys.argv and not Output.result_written:
        click.echo(json.dumps(details or {"error": code, "message": line}, default=str))
    click.echo(f"error [{code}]: {line}", err=True)
