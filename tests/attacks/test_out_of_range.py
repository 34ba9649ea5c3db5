"""Values outside their declared range: features, weights, labels, ties and padding.

ezkl takes any field element as an input, so a committed "feature" could be 2^200 or 1/3, which
breaks the arithmetic that the integer network stands for. The circuit counts what is in range.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from circuits.halo2.proof import FIELD_ORDER
from tests.attacks.lab import Bench, Refused, Secrets, consumers, substitute

pytestmark = pytest.mark.ezkl

THIRD = pow(3, -1, FIELD_ORDER)
HALF = (FIELD_ORDER - 1) // 2
HUGE = 1 << 200
FIRST_WEIGHTS = slice(0, 3)
"""Weights of the first feature: the first row of the network's first layer."""
FINAL_BIASES = slice(21, 24)


def _set(secrets: Secrets, name: str, at: slice, value: int) -> Secrets:
    for index in range(at.start, at.stop):
        secrets = secrets.changed(name, index, value % FIELD_ORDER)
    return secrets


def _accepted_for_any_count(bench: Bench, secrets: Secrets) -> bool:
    """Whether some proof of an honest shard, whatever it counts, can be made from `secrets`."""
    try:
        made = bench.prove(secrets)
    except Refused:
        return False  # the usual end: a value that is in no lookup table
    # ezkl has no objection: the proof is a sound one of an `in_range` that the verifier, who
    # computes the instances himself, never expects.
    assert bench.accepts(made)
    assert made.instances[4] != bench.circuit.in_range
    return any(
        bench.accepts(made, bench.public(correct=c)) for c in range(bench.circuit.shard_size + 1)
    )


@pytest.mark.parametrize("name", ["features", "weights"])
@pytest.mark.parametrize(
    "value",
    ["low - 1", "high + 1", "high + 2", HUGE, HALF, THIRD],
    ids=["low-1", "high+1", "high+2", "2^200", "half", "third"],
)
def test_no_feature_or_weight_out_of_range_gives_an_honest_looking_proof(mlp, name, value):
    """Wider values than declared: more precision than others have, or field arithmetic at will."""
    form, most = mlp.circuit.architecture.input_format, mlp.circuit.architecture.weight_max
    low, high = (form.low, form.high) if name == "features" else (-most, most)
    number = {"low - 1": low - 1, "high + 1": high + 1, "high + 2": high + 2}.get(value, value)
    at = 4 if name == "features" else 12  # of the second sample, and of the second layer
    assert not _accepted_for_any_count(mlp, mlp.secrets.changed(name, at, number % FIELD_ORDER))


@pytest.mark.parametrize("name", ["features", "weights"])
def test_the_ends_of_the_range_are_in_it(mlp, name):
    """The control: the same change within the range is an honest shard."""
    form, most = mlp.circuit.architecture.input_format, mlp.circuit.architecture.weight_max
    at = 4 if name == "features" else 12
    for number in (form.low, form.high) if name == "features" else (-most, most):
        made = mlp.prove(mlp.secrets.changed(name, at, number % FIELD_ORDER))
        assert made.instances == mlp.public(correct=made.instances[0])
        assert mlp.accepts(made)


@pytest.mark.parametrize(
    ("feature", "weight"),
    [(HUGE, 0), (THIRD, 3), (HALF, 2), (8, 1), (FIELD_ORDER - 9, 1)],
    ids=["2^200-times-0", "third-times-3", "half-times-2", "high+1", "low-1"],
)
def test_the_range_check_cannot_be_shown_another_feature(mlp, feature, weight):
    """Weights that make a wild feature's product small, so that only the range check notices.

    The check is then fed the value that the feature should have had: a forged edge.
    """
    secrets = _set(mlp.secrets, "weights", FIRST_WEIGHTS, weight).changed("features", 0, feature)
    assert not _accepted_for_any_count(mlp, secrets)
    graph = mlp.graph
    shifted = _shifted_features(mlp)
    forged = np.where(np.arange(9).reshape(3, 3) == 0, 9.0, mlp.values()[shifted])
    made = mlp.prove(secrets, substitute(graph, shifted, forged))
    assert made.instances == mlp.public(correct=made.instances[0])
    assert not mlp.accepts(made)
    ones = next(node.output[0] for node in graph.graph.node if shifted in node.input)
    assert _no_accepted_proof(mlp, secrets, substitute(graph, ones, np.ones((3, 3))))


def _no_accepted_proof(
    bench: Bench, secrets: Secrets, graph: onnx.ModelProto | None = None
) -> bool:
    try:
        return not bench.accepts(bench.prove(secrets, graph))
    except Refused:
        return True


def _shifted_features(bench: Bench) -> str:
    nodes = bench.graph.graph.node
    powers = [node.input[0] for node in nodes if node.op_type == "Pow"]
    (shifted,) = (edge for edge in powers if bench.values()[edge].shape == (3, 3))
    assert len(consumers(bench.graph, shifted)) == 1
    return shifted


@pytest.mark.parametrize("label", [3, 17, -1, HUGE, HALF], ids=["C", "17", "-1", "2^200", "half"])
def test_a_stray_label_is_neither_right_nor_a_sample(mlp, label):
    """A label outside 0 .. C - 1 in place of a hard sample's: the sample must not be counted."""
    for at in range(mlp.samples):
        made = mlp.prove(mlp.secrets.changed("labels", at, label % FIELD_ORDER))
        assert mlp.accepts(made)
        correct, valid = made.instances[:2]
        assert valid == mlp.samples - 1
        assert correct <= mlp.correct
        for claim in range(mlp.samples + 1):
            assert not mlp.accepts(made, mlp.public(correct=claim))


@pytest.mark.parametrize("fixture", ["mlp", "conv"])
def test_a_stray_label_below_all_logits_is_not_right(fixture, request):
    """All logits -1 and no label: every difference 0 - (-1) is positive, the most there can be."""
    bench = request.getfixturevalue(fixture)
    sizes = len(bench.secrets.weights) - bench.circuit.salts[2]
    classes = bench.circuit.architecture.classes
    secrets = _set(bench.secrets, "weights", slice(0, sizes), 0)
    secrets = _set(secrets, "weights", slice(sizes - classes, sizes), -1)
    secrets = _set(secrets, "labels", slice(0, bench.circuit.shard_size), classes)
    made = bench.prove(secrets)
    assert bench.accepts(made)
    assert made.instances == bench.public(correct=0, samples=0)


def test_ties_count_as_wrong(mlp):
    """All-zero weights tie everywhere; with ArgMax a prover would claim every sample."""
    secrets = _set(mlp.secrets, "weights", slice(0, 24), 0)
    made = mlp.prove(secrets)
    assert mlp.accepts(made)
    assert made.instances == mlp.public(correct=0)
    for claim in range(1, mlp.samples + 1):
        assert not mlp.accepts(made, mlp.public(correct=claim))
    # Two of three classes ahead of the third, and level: still nobody's.
    secrets = _set(secrets, "weights", slice(FINAL_BIASES.start, FINAL_BIASES.start + 2), 5)
    made = mlp.prove(secrets)
    assert mlp.accepts(made)
    assert made.instances == mlp.public(correct=0)


def test_padding_cannot_be_counted_as_samples(mlp):
    """A short last shard that claims to be full, with padding turned into an easy sample."""
    honest = mlp.prove()
    full = mlp.circuit.shard_size
    assert mlp.samples < full
    for claim in range(full + 1):
        assert not mlp.accepts(honest, mlp.public(correct=claim, samples=full))
    filled = mlp.prove(mlp.secrets.changed("labels", mlp.samples, 0))
    assert filled.instances[1] == full
    assert not any(mlp.accepts(filled, mlp.public(correct=c)) for c in range(full + 1))
    # For the number it claims the proof is sound, but it opens another commitment than the set's.
    assert mlp.accepts(filled)
    assert filled.proof[:64] == honest.proof[:64]
    assert filled.proof[64:128] != honest.proof[64:128]


def test_a_bias_out_of_range_changes_no_count(conv):
    """Biases are not range-checked; this shows why they need not be.

    A common offset of the logits, however wild, cancels in the differences. One that does not
    cancel leaves the decomposition's range, so there is no proof. A bias is the same for every
    sample, so it can make another network of the same architecture, and no other count of it.
    """
    assert conv.samples == conv.circuit.shard_size  # padding compares with a logit of zero
    end = len(conv.secrets.weights) - conv.circuit.salts[2]
    offset = conv.secrets
    for at in (end - 2, end - 1):
        offset = offset.changed("weights", at, (offset.weights[at] + HUGE) % FIELD_ORDER)
    made = conv.prove(offset)
    assert made.instances == conv.public()
    assert conv.accepts(made)
    for wild in (HUGE, THIRD):
        assert _no_accepted_proof(conv, conv.secrets.changed("weights", end - 1, wild))
