"""Where everything lies in the matrices."""

from circuits.sumcheck.layout import MASK_ROWS, ModelLayout, ProofLayout, ShardLayout
from tests.circuits.sumcheck.toy_networks import NETWORKS


def test_blocks_follow_each_other_and_masks_begin_a_row():
    counts = [("r", "output", 5), ("r", "quotient", 0), ("", "logits", 3), ("", "pads", 2)]
    layout = ProofLayout.of(2, 4, counts)
    assert [(b.role, b.offset, b.count) for b in layout.blocks] == [
        ("output", 0, 5),
        ("logits", 5, 3),
        ("pads", 8, 2),
    ]
    assert layout.span("output", "r") == slice(0, 5)
    assert layout.span("logits") == slice(5, 8)
    assert layout.span("quotient", "r") == layout.span("limbs") == slice(0, 0)
    assert (layout.features, layout.data_rows, layout.rows) == (10, 3, 9)
    assert layout.mask_rows == {name: 3 + i for i, name in enumerate(MASK_ROWS)}
    assert layout.pad_slot == 8 * 4


def test_shard():
    layout = ShardLayout(a=3, kappa=5, inputs=6, classes=3, groups=2)
    assert (layout.features, layout.rows) == (11, 3)
    assert (layout.label_span, layout.group_span) == (slice(6, 9), slice(9, 11))


def test_weights_come_before_biases_which_begin_a_row():
    layout = ModelLayout.of(NETWORKS["convolution"], kappa=5)
    assert dict(layout.spans) == {
        "c.weight": (0, 16),
        "d.weight": (16, 24),
        "c.bias": (64, 4),
        "d.bias": (68, 3),
    }
    assert (layout.weights, layout.biases, layout.rows) == (40, 7, 3)
    assert layout.span("c.bias") == slice(64, 68)


def test_a_model_without_biases_has_no_rows_for_them():
    layout = ModelLayout.of(NETWORKS["one class"], kappa=1)
    assert (layout.weights, layout.biases, layout.rows) == (2, 0, 1)
