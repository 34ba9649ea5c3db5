"""The halo2 backend: ezkl, in the one formulation of it that is sound (docs/adr/0002)."""
