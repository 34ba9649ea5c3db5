"""Verifies the proofs of the sumcheck backend."""
