"""Each configuration of ezkl that lets a forgery through is refused, and why it has to be.

The forgeries are made with plain ezkl, so that a newer ezkl that mends one is noticed: then the
refusal's reason has changed, and docs/adr/0002 with it.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from circuits.errors import UnsafeConfiguration
from circuits.halo2.circuit import Circuit
from circuits.halo2.graph import build
from circuits.halo2.proof import felt
from circuits.halo2.settings import canonical_settings, refuse_unsafe, run_args
from circuits.halo2.srs import SrsInfo
from circuits.network import Architecture, Dense, NumberFormat, Requantise
from tests.attacks.lab import (
    EZKL,
    Bench,
    Refused,
    conv_architecture,
    mlp_architecture,
    read_proof,
    substitute,
)

pytestmark = pytest.mark.ezkl

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
RANDOM = np.random.default_rng(0)
X = RANDOM.integers(-3, 4, (2, 3)).astype(np.float32)
W = RANDOM.integers(-3, 4, (3, 3)).astype(np.float32)


# The settings that we refuse.

HASHED = {"Hashed": {"hash_is_public": True, "outlets": []}}
UNSAFE: list[tuple[str, str, object]] = [
    ("Freivalds products", "run_args.disable_freivalds", False),
    ("Freivalds columns", "einsum_params.total_einsum_col_size", 64),
    ("private parameters", "run_args.param_visibility", "Private"),
    ("hashed parameters", "run_args.param_visibility", HASHED),
    ("polycommitted parameters", "run_args.param_visibility", "KZGCommit"),
    ("public parameters", "run_args.param_visibility", "Public"),
    ("private inputs", "run_args.input_visibility", "Private"),
    ("hashed inputs", "run_args.input_visibility", HASHED),
    ("public inputs", "run_args.input_visibility", "Public"),
    ("fixed inputs", "run_args.input_visibility", "Fixed"),
    ("private output", "run_args.output_visibility", "Private"),
    ("hashed output", "run_args.output_visibility", HASHED),
    ("fixed output", "run_args.output_visibility", "Fixed"),
    ("input scale", "run_args.input_scale", 7),
    ("parameter scale", "run_args.param_scale", 7),
    ("input scales", "model_input_scales", [0, 0, 7, 0]),
    ("output scales", "model_output_scales", [0, 0, 0, 7]),
    ("columns", "run_args.num_inner_cols", 3),
    ("rows", "run_args.logrows", 11),
    ("base", "run_args.decomp_base", 1 << 9),
    ("legs", "run_args.decomp_legs", 4),
    ("range-checked inputs", "run_args.ignore_range_check_inputs_outputs", False),
    ("shuffles", "num_shuffles", 1),
    ("shuffle columns", "total_shuffle_col_size", 8),
    ("dynamic lookups", "num_dynamic_lookups", 1),
    ("dynamic columns", "total_dynamic_col_size", 8),
    ("no lookups", "required_lookups", []),
    ("division", "required_lookups", [{"Div": {"denom": 4.0}}]),
    ("a table of a string", "required_lookups", ["Abs"]),
    ("another exponent", "required_lookups", [{"Pow": {"a": 0.5, "scale": 1.0}}] * 2),
    ("no range checks", "required_range_checks", []),
    ("wider digits", "required_range_checks", [[-1, 1], [0, 1 << 9]]),
    ("one more range", "required_range_checks", [[-1, 1], [0, 1], [0, 127]]),
    ("wider sign", "required_range_checks", [[-2, 2], [0, 127]]),
    ("several blocks", "num_rows", 1 << 12),
    ("another ezkl", "version", "23.0.6"),
    ("no version", "version", None),
    ("other outputs", "model_instance_shapes", [[1], [1], [1]]),
    ("other commitments", "module_sizes.polycommit", [11, 5, 26]),
    ("no commitments", "module_sizes.polycommit", []),
]


def _settings(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bench.keys.path("settings").read_bytes())
    return found


def test_the_honest_settings_pass(mlp):
    """The control for what follows, and that our settings are in their canonical form."""
    refuse_unsafe(_settings(mlp), mlp.circuit)
    assert canonical_settings(mlp.keys.path("settings").read_bytes()) == _settings(mlp)


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for _, path, value in UNSAFE],
    ids=[name for name, _, _ in UNSAFE],
)
def test_every_other_configuration_is_refused(mlp, path, value):
    """Whoever builds the keys from other settings than the attacked ones is stopped."""
    settings = _settings(mlp)
    place = settings
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    assert place[last] != value
    place[last] = value
    with pytest.raises(UnsafeConfiguration):
        refuse_unsafe(settings, mlp.circuit)


@pytest.mark.parametrize("path", sorted({path for _, path, _ in UNSAFE} - {"num_rows"}))
def test_a_missing_setting_is_refused(mlp, path):
    """An ezkl that no longer writes a setting must not pass for one where it is zero."""
    settings = copy.deepcopy(_settings(mlp))
    place = settings
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    del place[last]
    with pytest.raises(UnsafeConfiguration):
        refuse_unsafe(settings, mlp.circuit)


@pytest.mark.parametrize("name", ["disable_freivalds", "input_scale", "num_shuffles"])
def test_equal_but_of_another_type_is_refused(mlp, name):
    """True == 1 and 0 == False in Python; ezkl's JSON must not profit from that."""
    settings = _settings(mlp)
    place = settings["run_args"] if name in settings["run_args"] else settings
    place[name] = int(place[name]) if isinstance(place[name], bool) else bool(place[name])
    with pytest.raises(UnsafeConfiguration):
        refuse_unsafe(settings, mlp.circuit)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("disable_freivalds", False),
        ("param_visibility", "private"),
        ("param_visibility", "hashed"),
        ("param_visibility", "polycommit"),
        ("input_visibility", "hashed"),
        ("input_visibility", "private"),
        ("output_visibility", "private"),
        ("input_scale", 2),
        ("param_scale", 2),
        ("num_inner_cols", 1),
        ("decomp_base", 64),
        ("decomp_legs", 3),
        ("ignore_range_check_inputs_outputs", False),
    ],
)
def test_what_ezkl_makes_of_unsafe_arguments_is_refused(mlp, argument, value, tmp_path):
    """The same from ezkl's side: our graph, compiled with one argument changed."""
    args = run_args(mlp.circuit)
    assert args[argument] != value
    EZKL(
        "gen_settings", mlp.keys.path("graph"), tmp_path / "settings.json",
        py_run_args={**args, argument: value},
    )  # fmt: skip
    settings = canonical_settings((tmp_path / "settings.json").read_bytes())
    with pytest.raises(UnsafeConfiguration):
        refuse_unsafe(settings, mlp.circuit)


@pytest.mark.parametrize("shift", [0, 1, 7])
def test_a_rescaling_network_has_no_graph(shift):
    """Floor and ceiling of a division both pass in ezkl: a prover would choose per sample."""
    architecture = Architecture(
        (2,), NumberFormat(4, False), 0, 4, 2,
        (
            Dense("first", ("input",), 2, 2, False),
            Requantise("rescale", ("first",), (2,), shift, NumberFormat(8, False)),
            Dense("second", ("rescale",), 2, 2, False),
        ),
        "second",
    )  # fmt: skip
    with pytest.raises(UnsafeConfiguration, match="rescale"):
        build(architecture, 2, (2, 2, 2, 0))


# Why: the forgeries that plain ezkl accepts under them.


@dataclass(frozen=True)
class Plain:
    """A model compiled by plain ezkl with arguments of one's choice."""

    folder: Path
    srs: Path
    settings: dict[str, Any]

    @classmethod
    def of(cls, folder: Path, srs: SrsInfo, model: onnx.ModelProto, **args: Any) -> Plain:
        common = {
            "input_scale": 0, "param_scale": 0, "logrows": srs.k, "output_visibility": "public",
            # With the default base, tables span many columns and honest proofs fail at times.
            "decomp_base": 128, "decomp_legs": 2,
        }  # fmt: skip
        onnx.save(model, folder / "honest.onnx")
        settings = folder / "settings.json"
        EZKL("gen_settings", folder / "honest.onnx", settings, py_run_args={**common, **args})
        EZKL("compile_circuit", folder / "honest.onnx", folder / "honest.ezkl", settings)
        EZKL("setup", folder / "honest.ezkl", folder / "vk", folder / "pk", srs.path)
        return cls(folder, srs.path, json.loads(settings.read_bytes()))

    def forge(self, model: onnx.ModelProto, *inputs: NDArray[Any]) -> tuple[list[int], bool]:
        """Prove another model with the honest key; return its instances and ezkl's verdict."""
        at = self.folder
        onnx.save(model, at / "forged.onnx")
        data = [[felt(int(v)) for v in array.reshape(-1)] for array in inputs]
        (at / "in.json").write_text(json.dumps({"input_data": data}))
        EZKL("compile_circuit", at / "forged.onnx", at / "forged.ezkl", at / "settings.json")
        EZKL("gen_witness", at / "in.json", at / "forged.ezkl", at / "w.json", at / "vk", self.srs)
        EZKL("prove", at / "w.json", at / "forged.ezkl", at / "pk", at / "p.json", self.srs)
        instances = read_proof(at / "p.json").instances
        try:
            args = (at / "p.json", at / "settings.json", at / "vk", self.srs)
            return instances, EZKL("verify", *args) is True
        except Refused:
            return instances, False


def _model(
    equation: str, weights: NDArray[Any] | None = None, *, bias: NDArray[Any] | None = None
) -> onnx.ModelProto:
    """``einsum(x, W) (+ bias)``; W is a parameter if given, else an input."""
    initializers = {} if weights is None else {"W": weights}
    nodes = [helper.make_node("Einsum", ["x", "W"], ["y"], equation=equation, name="product")]
    output = "y"
    if bias is not None:
        initializers["b"] = bias
        nodes.append(helper.make_node("Add", ["y", "b"], ["o"], name="add"))
        output = "o"
    inputs = [helper.make_tensor_value_info("x", FLOAT, X.shape)]
    if weights is None:
        inputs.append(helper.make_tensor_value_info("W", FLOAT, W.shape))
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info(output, FLOAT, [2, 3])],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def _felts(values: NDArray[Any]) -> list[int]:
    return [int.from_bytes(bytes.fromhex(felt(int(v))), "little") for v in values.reshape(-1)]


@pytest.mark.parametrize("safe", [False, True], ids=["freivalds", "exact"])
def test_freivalds_accepts_any_product(srs, tmp_path, safe):
    """ezkl's default checks products by a challenge that the prover knows beforehand."""
    bias = np.arange(3, dtype=np.float32).reshape(1, 3)
    honest = _model("mk,kn->mn", W, bias=bias)
    plain = Plain.of(
        tmp_path, srs, honest,
        input_visibility="hashed", param_visibility="fixed", disable_freivalds=safe,
    )  # fmt: skip
    control, accepted = plain.forge(honest, X)
    assert accepted
    assert control[-6:] == _felts(X @ W + bias)
    wish = np.full((2, 3), 42, np.float32)
    forged, accepted = plain.forge(substitute(honest, "y", wish), X)
    assert forged[-6:] == _felts(wish + bias)
    assert accepted is not safe


@pytest.mark.parametrize(
    ("visibility", "bound"),
    [("private", False), ("hashed", False), ("polycommit", False), ("fixed", True)],
)
def test_parameters_are_bound_only_if_fixed(srs, tmp_path, visibility, bound):
    """Under one key and one published hash: the transposed weights instead of the honest ones."""
    plain = Plain.of(
        tmp_path, srs, _model("mk,kn->mn", W),
        input_visibility="hashed", param_visibility=visibility, disable_freivalds=True,
    )  # fmt: skip
    control, accepted = plain.forge(_model("mk,kn->mn", W), X)
    assert accepted
    forged, accepted = plain.forge(_model("mk,nk->mn", W), X)
    assert forged[-6:] == _felts(X @ W.T) != control[-6:]
    assert forged[:-6] == control[:-6]  # the published hashes of inputs and weights
    assert accepted is not bound


def test_private_parameters_can_differ_from_sample_to_sample(srs, tmp_path):
    """One "model", another set of weights for every sample: any accuracy can be had."""
    each = RANDOM.integers(-3, 4, (2, 3, 3)).astype(np.float32)
    plain = Plain.of(
        tmp_path, srs, _model("mk,kn->mn", W),
        input_visibility="hashed", param_visibility="private", disable_freivalds=True,
    )  # fmt: skip
    forged, accepted = plain.forge(_model("mk,mkn->mn", each), X)
    assert forged[-6:] == _felts(np.einsum("mk,mkn->mn", X, each))
    assert accepted


@pytest.mark.parametrize("visibility", ["hashed", "polycommit"])
def test_weights_as_inputs_are_bound(srs, tmp_path, visibility):
    """What we do instead: the same forgery fails if the weights are an input of the graph."""
    plain = Plain.of(
        tmp_path, srs, _model("mk,kn->mn"),
        input_visibility=visibility, param_visibility="fixed", disable_freivalds=True,
    )  # fmt: skip
    assert plain.forge(_model("mk,kn->mn"), X, W)[1]
    forged, accepted = plain.forge(_model("mk,nk->mn"), X, W)
    assert forged[-6:] == _felts(X @ W.T)
    assert not accepted


@pytest.mark.parametrize("operator", ["ArgMax", "ArgMin"])
def test_argmax_needs_columns_that_are_refused(srs, tmp_path, mlp, operator):
    """The prediction's index comes from lookup columns that the prover fills: not ours to trust."""
    plain = Plain.of(tmp_path, srs, _index_of(operator), **_POLYCOMMIT)
    _refused_by_what_it_uses(mlp.circuit, _settings(mlp), plain.settings)
    assert plain.settings["num_shuffles"] > 0
    assert plain.settings["num_dynamic_lookups"] > 0


def test_argmax_does_not_enforce_its_order_of_ties(srs, tmp_path):
    """On ties the key of ArgMax takes a proof by ArgMin, whose sort has the opposite order.

    ArgMax puts equal values in descending order of index and takes the last, ArgMin in ascending
    order and takes the first. That one key accepts both shows that the order of ties, which
    decides which class all-zero weights predict, is not constrained.
    """
    plain = Plain.of(tmp_path, srs, _index_of("ArgMax"), **_POLYCOMMIT)
    tied, untied = np.full((1, 4), 7.0), np.array([[7.0, 3.0, 1.0, 2.0]])
    for logits in (tied, untied):
        assert plain.forge(_index_of("ArgMax"), logits) == ([0], True)
    assert plain.forge(_index_of("ArgMin"), tied) == ([0], True)
    assert plain.forge(_index_of("ArgMin"), untied) == ([2], False)


_POLYCOMMIT = {
    "input_visibility": "polycommit",
    "param_visibility": "fixed",
    "disable_freivalds": True,
    "ignore_range_check_inputs_outputs": True,
}


def test_our_graphs_hold_only_attacked_operators():
    """OneHot, ArgMax, Div and whatever else was not tried as an attacker are never emitted."""
    attacked = {
        "Add", "Cast", "Concat", "Equal", "Gather", "MatMul", "Mul", "Pow", "ReduceSum", "Relu",
        "Reshape", "Sign", "Sub", "Transpose",
    }  # fmt: skip
    for architecture, shard in ((mlp_architecture(), 3), (conv_architecture(), 2)):
        used = {node.op_type for node in build(architecture, shard, (2, 2, 2, 0)).graph.node}
        assert used <= attacked


def _index_of(operator: str) -> onnx.ModelProto:
    node = helper.make_node(operator, ["x"], ["o"], axis=1, keepdims=1)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", FLOAT, [1, 4])],
        [helper.make_tensor_value_info("o", INT64, [1, 1])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def _refused_by_what_it_uses(
    circuit: Circuit, honest: dict[str, Any], found: dict[str, Any]
) -> None:
    # Honest in everything but the columns that the operator brings in.
    settings = copy.deepcopy(honest)
    refuse_unsafe(settings, circuit)
    for name in ("num_shuffles", "total_shuffle_col_size", "num_dynamic_lookups",
                 "total_dynamic_col_size"):  # fmt: skip
        settings[name] = found[name]
    with pytest.raises(UnsafeConfiguration, match="let the prover choose"):
        refuse_unsafe(settings, circuit)
