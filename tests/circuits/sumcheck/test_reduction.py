"""The reduction: true statements leave constraints that hold, and a lie anywhere breaks one."""

from dataclasses import replace

import numpy as np
import pytest

from circuits.errors import ProofRejected
from circuits.layers import NumberFormat
from circuits.sumcheck.field_k import ZERO, K
from circuits.sumcheck.public import Metrics, Outputs
from circuits.sumcheck.reduction import reduce
from circuits.sumcheck.relation import accuracy, well_formed
from circuits.sumcheck.running_claim import RunningClaim, lagrange
from tests.circuits.sumcheck.slow_prover import SlowChannel, World, broken, random_k
from tests.circuits.sumcheck.toy_networks import NETWORKS, random_samples, random_weights

KAPPA = 9
PLAIN = Metrics()
ALL = Metrics(per_class=True, confusion=True, groups=2)
SIZES = [(0, 1), (1, 2), (2, 3)]


def make(name, a=1, samples=2, metrics=PLAIN, groups=0, seed=0):
    rng = np.random.default_rng(seed)
    network = NETWORKS[name]
    return World(
        accuracy(network, a, KAPPA, metrics, groups),
        samples,
        random_samples(network, samples, rng),
        rng.integers(0, network.classes, samples),
        rng.integers(0, max(groups, 1), samples),
        random_weights(network, rng),
    )


def make_shard(a=2, samples=3, groups=2, classes=3):
    rng = np.random.default_rng(0)
    relation = well_formed(NumberFormat(2, True), 2, classes, groups, a, KAPPA)
    x = rng.integers(-2, 2, (samples, 2))
    labels, members = (rng.integers(0, n, samples) for n in (classes, max(groups, 1)))
    return World(relation, samples, x, labels, members)


@pytest.mark.parametrize(("a", "samples"), SIZES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network(name, a, samples):
    world = make(name, a, samples)
    assert broken(world) == []


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("confusion", [False, True])
@pytest.mark.parametrize("groups", [0, 2])
def test_every_choice_of_counts(per_class, confusion, groups):
    world = make("one layer", 2, 3, Metrics(per_class, confusion, groups), 2)
    assert broken(world) == []


def test_the_number_of_constraints_is_that_of_the_schedule():
    world = make("convolution", 1, 2, ALL, 2)
    found = reduce(world.relation, world.statement(), SlowChannel(world), world)
    assert len(found.constraints) == world.relation.schedule.constraints


def test_all_margins_equal():
    world = make("one layer")
    for array in world.weights.values():
        array[...] = 0
    world = remade(world)
    assert world.statement().outputs.correct == int(world.shard[3, :2].sum())
    assert broken(world) == []


def remade(world):
    """The honest world of changed weights."""
    x = world.shard[: world.relation.shard.inputs, : world.samples].T
    labels = world.shard[world.relation.shard.label_span, : world.samples].argmax(axis=0)
    return World(world.relation, world.samples, x, labels, None, world.weights)


# One lie each, in a world that is otherwise honest. The prover goes on as well as it can.

WORLD = ("convolution", 2, 3, ALL, 2)


def other(count):
    """A count that is as possible."""
    return count - 1 if count else 1


def claim(metrics, **fields):
    world = make("convolution", 2, 3, metrics, 2)
    statement = world.statement()
    return broken(world, replace(statement, outputs=replace(statement.outputs, **fields)))


def test_a_wrong_share_of_a_class():
    metrics = Metrics(per_class=True)
    honest = make("convolution", 2, 3, metrics, 2).outputs()
    (correct, total), *rest = honest.per_class
    wrong = other(correct)
    moved = honest.correct - correct + wrong
    assert claim(metrics, correct=moved, per_class=((wrong, total), *rest)) == ["F"]
    assert claim(metrics, per_class=((correct, other(total)), *rest)) == ["class totals"]


def test_a_wrong_share_of_a_group():
    metrics = Metrics(groups=2)
    (correct, total), rest = make("convolution", 2, 3, metrics, 2).outputs().groups
    assert claim(metrics, groups=((other(correct), total), rest)) == ["F"]
    assert claim(metrics, groups=((correct, other(total)), rest)) == ["group totals"]


def test_a_wrong_confusion():
    metrics = Metrics(confusion=True)
    first, *rest = make("convolution", 2, 3, metrics, 2).outputs().confusion
    wrong = (first[0], other(first[1]), first[2])
    assert claim(metrics, confusion=(wrong, *rest)) == ["F"]


def test_more_correct_than_there_are():
    world = make("one layer", 2, 3)
    statement = world.statement()
    for correct in range(4):
        outputs = Outputs(correct)
        expected = [] if outputs == statement.outputs else ["F"]
        assert broken(world, replace(statement, outputs=outputs)) == expected


def test_a_padded_sample_does_not_count():
    world = make("one layer", 2, 3)
    with_padding = make("one layer", 2, 3)
    with_padding.shard[world.relation.shard.label_span, 3] = 1
    assert broken(with_padding, world.statement()) == []


def test_fewer_samples_under_the_same_commitment():
    world = make(*WORLD)
    statement = world.statement()
    world.samples = 2
    assert "class totals" in broken(world, replace(statement, samples=2))


def span(world, role, layer=""):
    return world.proof[world.relation.proof.span(role, layer)]


def logits_of_another_network(world):
    span(world, "logits")[...] += np.array([[5], [0], [0]])
    a = span(world, "logits")
    span(world, "maximum")[...] = a.max(axis=0)
    span(world, "predictions")[...] = np.arange(3)[:, None] == a.argmax(axis=0)
    world.commit_limbs()
    world.set_pairs()
    world.count_lookups()


def a_prediction_that_is_no_maximum(world):
    p = span(world, "predictions")
    p[...] = np.roll(p, 1, axis=0)


def two_predictions(world):
    span(world, "predictions")[...] = 1


def a_fraction_of_a_prediction(world):
    span(world, "predictions")[...] = (2**64 - 2**32 + 2) // 2


def a_larger_maximum(world):
    span(world, "maximum")[0, 1] += 1


def an_activation_outside_its_table(world):
    span(world, "output", "r")[0, 0] += 4
    world.set_pairs()
    world.count_lookups()


def an_accumulator_that_fits_the_activation(world):
    output = span(world, "output", "r")
    changed = 0 if output[3, 2] else 1
    output[3, 2] = changed
    world.first[3, 2] = changed << 2
    world.second[3, 2] = changed
    world.count_lookups()


def stale_multiplicities(world):
    span(world, "multiplicities")[0, 0] += 1


def a_multiplicity_of_another_table(world):
    segments = world.relation.table_slots
    counts = span(world, "multiplicities")
    first = segments[0].start
    counts[0, 0] += 1
    counts[segments[-1].start - first, 0] -= 1


def a_weight_out_of_range(world):
    world.weights["d.weight"][0, 0] = 2
    world.commit_model(world.weights)
    world.run_network()
    world.commit_predictions()
    world.set_pairs()
    world.count_lookups()


def a_weight_that_is_not_used(world):
    world.model[3] -= 2 * world.model[3] - 1


def a_bias_that_is_not_committed(world):
    world.model[world.relation.model.span("c.bias")] += 1


def an_input_that_is_not_committed(world):
    world.shard[5, 1] += 1


LIES = [
    (logits_of_another_network, {"T"}),
    (a_prediction_that_is_no_maximum, {"F"}),
    (two_predictions, {"F", "one"}),
    (a_fraction_of_a_prediction, {"F"}),
    (a_larger_maximum, {"F"}),
    (an_activation_outside_its_table, {"step"}),
    (an_accumulator_that_fits_the_activation, {"T"}),
    (stale_multiplicities, {"step"}),
    (a_multiplicity_of_another_table, {"step"}),
    (a_weight_out_of_range, {"step"}),
    (a_weight_that_is_not_used, {"m"}),
    (a_bias_that_is_not_committed, {"T"}),
    (an_input_that_is_not_committed, {"z"}),
]


@pytest.mark.parametrize(("change", "parts"), LIES, ids=[change.__name__ for change, _ in LIES])
def test_a_lie_breaks_its_constraints(change, parts):
    world = make(*WORLD)
    statement = world.statement()
    change(world)
    assert parts <= set(broken(world, statement))


def test_a_tie_broken_the_other_way():
    world = make("one layer")
    for array in world.weights.values():
        array[...] = 0
    world = remade(world)
    p = span(world, "predictions")
    p[...] = np.roll(p, 1, axis=0)  # class 1, whose logit is as large as that of class 0
    world.commit_limbs()
    world.set_pairs()
    world.count_lookups()
    assert "step" in broken(world)


@pytest.mark.parametrize("pad", ["z", "x'", "z'"])
def test_wrong_pads_of_a_product(pad):
    world = make("one layer")
    plan = world.relation.schedule
    world.pads[plan.messages + 3 * 4 + ["z", "x'", "z'"].index(pad)] += 1
    assert "product" in broken(world)


def test_a_pad_that_is_not_the_committed_one():
    world = make("one layer")
    channel = SlowChannel(world)
    found = reduce(world.relation, world.statement(), channel, world)
    for i in range(world.relation.schedule.messages):
        world.pads[i] += 1
        assert any(world.evaluate(form, found.vectors) for form in found.constraints)
        world.pads[i] -= 1


# Well-formed shards


@pytest.mark.parametrize(("a", "samples"), [(0, 1), (1, 1), (2, 3), (2, 4)])
@pytest.mark.parametrize("groups", [0, 2])
def test_a_well_formed_shard(a, samples, groups):
    world = make_shard(a, samples, groups)
    assert broken(world) == []
    found = reduce(world.relation, world.statement(), SlowChannel(world), world)
    padded = samples < 1 << a
    assert len(found.constraints) == world.relation.schedule.constraints - (not padded)


@pytest.mark.parametrize(
    ("feature", "sample", "value", "part"),
    [
        (0, 1, 2, "step"),
        (1, 3, 1, "padding"),
        (2, 3, 1, "labels"),
        (5, 3, 1, "groups"),
        (3, 0, 5, "F"),
        (6, 2, -1, "F"),
    ],
)
def test_a_shard_that_is_not_well_formed(feature, sample, value, part):
    world = make_shard()
    world.shard[feature, sample] = value
    world.set_pairs()
    world.count_lookups()
    assert part in broken(world)


def test_a_sample_without_a_label():
    world = make_shard()
    world.shard[2:5, 1] = 0
    assert broken(world) == ["labels"]


# What is refused before anything is read


@pytest.mark.parametrize("samples", [0, 5, True, 2.0])
def test_impossible_numbers_of_samples(samples):
    world = make("one layer", 2, 3)
    with pytest.raises(ProofRejected, match="samples"):
        broken(world, replace(world.statement(), samples=samples))


def test_statements_of_another_relation():
    world, shard = make("one layer"), make_shard()
    for one, other in ((world, shard), (shard, world)):
        with pytest.raises(ProofRejected, match="statement"):
            reduce(one.relation, other.statement(), SlowChannel(one), one)
    with pytest.raises(ProofRejected, match="statement"):
        broken(shard, replace(shard.statement(), kappa=10))


def test_counts_that_were_not_asked_for():
    world = make("one layer")
    outputs = replace(world.outputs(), per_class=((0, 0), (0, 0), (0, 2)))
    with pytest.raises(ProofRejected, match="outputs"):
        broken(world, replace(world.statement(), outputs=outputs))


# The running claim


@pytest.mark.parametrize("degree", [2, 3])
def test_interpolation(degree):
    coefficients = [random_k() for _ in range(degree + 1)]

    def g(x):
        return sum((c * x**i for i, c in enumerate(coefficients)), ZERO)

    c = random_k()
    weights = lagrange(degree, c)
    assert sum((w * g(K(i)) for i, w in enumerate(weights)), ZERO) == g(c)


def test_a_zero_coordinate_is_rejected():
    with pytest.raises(ProofRejected, match="lookups"):
        RunningClaim(None).bind_factored(ZERO, [], random_k())
