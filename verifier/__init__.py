"""Decides whether a proof bundle establishes its statement; holds no secrets, needs no torch."""
