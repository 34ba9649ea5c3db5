"""The ledger's rules as one pure function, the same for every engine that stores entries.

`apply` takes a state and an entry to the next state, or raises. It does no I/O and keeps nothing,
so the replay of a log can only come to the state that its writer came to.

The promises of a ledger, by the numbers that comments and `ledger.invariants` use:

 1. balances and bonds are what was minted less what was burned, none is negative, and no task
    mints more than its pool;
 2. each credit follows from one accepted proof;
 3. a committed model is proven once in a round, whoever submits it;
 4. a proof is about the task, its test set and its submitter;
 5. the verifying key is derived by who verifies;
 6. the same submission again gets the same receipt;
 7. the log is append-only;
 8. there is one checkpoint of each size;
 9. the log never becomes smaller;
10. every entry is signed by who may make it, in the signer's own unbroken sequence;
11. a signature counts for one entry of one ledger only;
12. a replay comes to the stored state, on every engine;
13. commitments come before the release of the test set, and proofs after it;
14. what was acknowledged stays.

The rules keep 1 to 4, 10, 11 and 13; engines the others.
"""

from ledger.rules.machine import apply

__all__ = ["apply"]
