"""The sumcheck backend: layers by sumcheck, commitments by Ligero, no trusted setup."""
