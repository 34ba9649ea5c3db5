"""The public architecture: strict round trip, exact bounds, honest windows."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.errors import CorruptedArtefact
from circuits.network import (
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    MaxPool,
    NumberFormat,
    Relu,
    Requantise,
    SumPool,
    bounds,
    macs,
    parameter_shapes,
    windows,
)

U8 = NumberFormat(8, False)
NONE, ONE = (0, 0, 0, 0), (1, 1)


def example() -> Architecture:
    image = (2, 6, 6)
    return Architecture(
        input_shape=image,
        input_format=U8,
        input_exponent=8,
        weight_bits=8,
        classes=3,
        layers=(
            Conv2d("conv1", ("input",), image, (3, 3), ONE, (1, 1, 1, 1), ONE, 2, 1, True),
            Relu("relu1", ("conv1",), image),
            Add("add1", ("relu1", "input"), image, (0, 7)),
            MaxPool("max1", ("add1",), image, (2, 2), (2, 2), NONE, ONE),
            Requantise("q1", ("max1",), (2, 3, 3), 9, U8),
            SumPool("pool1", ("q1",), (2, 3, 3), (3, 3), ONE, NONE, ONE),
            Flatten("flat", ("pool1",), (2,)),
            Dense("dense1", ("flat",), 2, 3, True),
        ),
        output="dense1",
    )


def test_round_trip_keeps_value_and_digest() -> None:
    again = Architecture.from_dict(json.loads(json.dumps(example().to_dict())))
    assert again == example()
    assert again.digest == example().digest


def test_digest_sees_every_field() -> None:
    digests = {example().digest}
    for change in (
        {"input_exponent": 7},
        {"weight_bits": 7},
        {"input_format": NumberFormat(7, False)},
        {"input_format": NumberFormat(8, True)},
    ):
        digests.add(replace(example(), **change).digest)
    assert len(digests) == 5


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    for key, item in items:
        found += _paths(item, (*path, key))
    return found


def _edited(path: tuple[Any, ...], action: str) -> Any:
    value = copy.deepcopy(example().to_dict())
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    if action == "drop":
        del holder[path[-1]]
    elif action == "add":
        holder["extra"] = 1
    else:
        holder[path[-1]] = {"null": None, "float": 1.5, "text": "x", "huge": 10**30, "bool": True,
                            "list": [1], "negative": -1}[action]  # fmt: skip
    return value


@given(
    st.sampled_from(_paths(example().to_dict())),
    st.sampled_from(["drop", "null", "float", "text", "huge", "bool", "list", "negative"]),
)
def test_any_edit_is_refused_or_is_another_network(path: tuple[Any, ...], action: str) -> None:
    value = _edited(path, action)
    try:
        made = Architecture.from_dict(value)
    except CorruptedArtefact as error:
        assert "\n" not in error.message
        return
    assert made.to_dict() == value
    assert (made.digest == example().digest) == (value == example().to_dict())


@pytest.mark.parametrize("path", [("x",), ("layers", 0, "x"), ("input_format", "x")])
def test_unknown_fields_are_refused(path: tuple[Any, ...]) -> None:
    with pytest.raises(CorruptedArtefact, match="extra"):
        Architecture.from_dict(_edited(path, "add"))


@pytest.mark.parametrize("value", [None, [], "x", 3, {}, {"layers": ()}])
def test_other_json_is_refused(value: object) -> None:
    with pytest.raises(CorruptedArtefact):
        Architecture.from_dict(value)


def test_inconsistent_networks_are_refused() -> None:
    base = example()
    cases = [
        {"classes": 4},
        {"output": "flat"},
        {"layers": base.layers[:-1]},
        {"layers": (*base.layers[:1], *base.layers)},
        {"layers": base.layers[::-1]},
        {"layers": ()},
        {"layers": (Relu("spare", ("input",), (2, 6, 6)), *base.layers)},
        {"layers": (*base.layers[:-1], Dense("dense1", ("flat",), 5, 3, True))},
        {"weight_bits": 1},
        {"input_shape": (2, 6, 7)},
    ]
    for case in cases:
        with pytest.raises(CorruptedArtefact):
            replace(base, **case)


def test_malformed_layers_are_refused() -> None:
    for make in (
        lambda: Dense("input", ("input",), 1, 1, False),
        lambda: Dense("a b", ("input",), 1, 1, False),
        lambda: Dense("a", (), 1, 1, False),
        lambda: Dense("a", ("input",), 0, 1, False),
        lambda: Conv2d("c", ("input",), (3, 4, 4), ONE, ONE, NONE, ONE, 4, 2, False),
        lambda: Conv2d("c", ("input",), (1, 4, 4), (5, 5), ONE, NONE, ONE, 1, 1, False),
        lambda: Conv2d("c", ("input",), (1, 4, 4), (1, 1), (0, 1), NONE, ONE, 1, 1, False),
        lambda: MaxPool("m", ("input",), (1, 4, 4), (2, 2), ONE, (2, 0, 0, 0), ONE),
        lambda: Add("a", ("input",), (1,), (0,)),
        lambda: Add("a", ("input", "input"), (1,), (0,)),
        lambda: Add("a", ("input", "input"), (1,), (0, -1)),
        lambda: Requantise("r", ("input",), (1,), 63, U8),
        lambda: NumberFormat(0, True),
        lambda: Flatten("f", ("input",), (1, 2)),
        lambda: Dense("a", ("input",), 1 << 20, 1 << 20, False),
    ):
        with pytest.raises(CorruptedArtefact):
            make()


def test_bounds_macs_and_parameters_by_hand() -> None:
    found = bounds(example())
    conv = (2 * 9 + 1) * 127 * 255
    assert found["input"] == 255
    assert found["conv1"] == found["relu1"] == conv
    assert found["add1"] == found["max1"] == conv + (255 << 7)
    assert found["q1"] == 255
    assert found["pool1"] == found["flat"] == 9 * 255
    assert found["dense1"] == 3 * 127 * 9 * 255
    assert macs(example()) == 2 * 36 * 18 + 2 * 3
    assert list(parameter_shapes(example()).items()) == [
        ("conv1.weight", (2, 2, 3, 3)),
        ("conv1.bias", (2,)),
        ("dense1.weight", (2, 3)),
        ("dense1.bias", (3,)),
    ]


@given(
    groups=st.integers(1, 3),
    size=st.tuples(st.integers(5, 7), st.integers(5, 7)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(*[st.integers(0, 2)] * 4),
    dilation=st.integers(1, 2),
)
def test_windows_are_the_definition(
    groups: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: int,
) -> None:
    shape = (2 * groups, *size)
    layer = Conv2d(
        "c", ("input",), shape, kernel, stride, padding, (dilation,) * 2, groups, groups, False
    )
    found = windows(layer)
    assert found.dtype == np.int64
    assert found.shape == (groups, math.prod(layer.positions), layer.fan_in)
    for g in range(groups):
        for position in range(math.prod(layer.positions)):
            top, left = divmod(position, layer.positions[1])
            taps = []
            for channel in (2 * g, 2 * g + 1):
                for i in range(kernel[0]):
                    for j in range(kernel[1]):
                        row = top * stride[0] - padding[0] + i * dilation
                        column = left * stride[1] - padding[1] + j * dilation
                        inside = 0 <= row < size[0] and 0 <= column < size[1]
                        flat = (channel * size[0] + row) * size[1] + column
                        taps.append(flat if inside else -1)
            assert found[g, position].tolist() == taps
