"""The public face: the Python API and the `zkpot` command."""
