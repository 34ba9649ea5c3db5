"""The public input: its exact bytes, and the counts that are refused in the clear."""

from dataclasses import replace

import pytest

from circuits.errors import ProofRejected
from circuits.sumcheck.public import AccuracyInput, Metrics, Outputs, WellFormedInput

STATEMENT = AccuracyInput("c1", "7e", 3, "5a", "0d", 9, "c0", Outputs(4))
ALL = Metrics(per_class=True, confusion=True, groups=1)
FULL = Outputs(5, ((2, 4), (3, 5)), ((2, 2), (2, 3)), ((5, 9),))


def test_the_bytes_of_an_accuracy_statement():
    assert STATEMENT.encode() == (
        b'{"circuit":"c1","commitment":"5a","context":"c0","model":"0d","outputs":{"correct":4},'
        b'"protocol":"zkpot-sumcheck","relation":"accuracy","samples":9,"shard":3,"testset":"7e",'
        b'"version":1}'
    )


def test_the_bytes_of_tables():
    encoded = replace(STATEMENT, outputs=FULL).encode()
    assert (
        b'"outputs":{"confusion":[[2,2],[2,3]],"correct":5,"groups":[[5,9]],'
        b'"per_class":[[2,4],[3,5]]}' in encoded
    )


def test_the_bytes_of_a_well_formed_statement():
    assert WellFormedInput(13, 9, "5a", 500).encode() == (
        b'{"a":9,"commitment":"5a","kappa":13,"protocol":"zkpot-sumcheck",'
        b'"relation":"well-formed","samples":500,"version":1}'
    )


def test_honest_counts_pass():
    FULL.check(ALL, 2, 9)
    Outputs(0).check(Metrics(), 2, 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correct": -1}, "a count"),
        ({"correct": 10}, "a count"),
        ({"correct": True}, "a count"),
        ({"correct": 5.0}, "a count"),
        ({"correct": 4}, "per_class"),
        ({"per_class": ()}, "per_class"),
        ({"per_class": ((2, 4), (3, 5), (0, 0))}, "per_class"),
        ({"per_class": ((2, 4), (2, 5))}, "per_class"),
        ({"per_class": ((2, 4, 1), (3, 5, 1))}, "per_class"),
        ({"confusion": ((2, 2), (3, 2))}, "confusion"),
        ({"confusion": ((2, 2),)}, "confusion"),
        ({"confusion": ((2, 10), (2, 3))}, "a count"),
        ({"groups": ()}, "groups"),
        ({"groups": ((5, 9), (0, 0))}, "groups"),
        ({"groups": ((-1, 9),)}, "a count"),
    ],
)
def test_other_counts_are_refused(change, message):
    with pytest.raises(ProofRejected, match=f"outputs: .*{message}"):
        replace(FULL, **change).check(ALL, 2, 9)


def test_tables_that_were_not_asked_for_are_refused():
    for metrics in (replace(ALL, per_class=False), replace(ALL, confusion=False), Metrics()):
        with pytest.raises(ProofRejected):
            FULL.check(metrics, 2, 9)
