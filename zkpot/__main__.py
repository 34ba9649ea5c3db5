"""``python -m zkpot``: the same command as ``zkpot``."""

from zkpot.cli import main

main()
