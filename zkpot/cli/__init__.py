"""The ``zkpot`` command line; one module for each group of commands."""

from zkpot.cli.main import main

__all__ = ["main"]
