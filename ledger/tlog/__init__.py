"""Transparency-log formats, byte for byte as C2SP has them, so that others' tools read ours.

Notes and checkpoints (`note`), the cosignatures of witnesses (`cosignature`) and how many of them
are enough (`quorum`), what a witness does (`witness`), proof that somebody signed two histories
(`evidence`), and proof that an entry is on a log (`receipt`).
"""
