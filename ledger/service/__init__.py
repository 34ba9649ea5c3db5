"""A ledger served over HTTP, and the validators that check what it serves.

Needs the extra ``serve``. The ledger's side is `app`, with `keeper` (the one thread that touches
the log), `queue` and `workers` (proofs are verified in processes of their own), `auth` and
`spool`. A validator follows it (`follow`, `witness`), and everybody else uses `client`.
"""
