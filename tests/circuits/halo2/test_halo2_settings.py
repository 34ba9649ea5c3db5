"""ezkl's settings have one form, and only the examined configuration passes."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.errors import UnsafeConfiguration
from circuits.halo2.circuit import Circuit
from circuits.halo2.graph import range_exponent
from circuits.halo2.keys import compile_settings
from circuits.halo2.settings import canonical_settings, refuse_unsafe, run_args
from tests.circuits.halo2.halo2_world import NO_SRS, mlp


def circuit() -> Circuit:
    return Circuit(mlp(), 3, 10, 2, 256, 2, 2, 6, NO_SRS)


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The settings that ezkl makes for the tiny circuit."""
    return compile_settings(circuit(), tmp_path_factory.mktemp("settings"))


def as_bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


RAW = {
    "required_range_checks": [[0, 255], [-1, 1], [-7, 9]],
    "required_lookups": [
        {"Pow": {"a": 0.12, "scale": 1.0}}, {"Pow": {"a": 0.05, "scale": 1.0}}, "Abs",
    ],
    "timestamp": 1700000000,
    "run_args": {"logrows": 10},
}  # fmt: skip


@settings(max_examples=50)
@given(st.permutations(range(3)), st.permutations(range(3)), st.integers(0, 2**40))
def test_canonical_form_ignores_order_and_time(
    checks: list[int], lookups: list[int], time: int
) -> None:
    shuffled = {
        **RAW,
        "required_range_checks": [RAW["required_range_checks"][i] for i in checks],
        "required_lookups": [RAW["required_lookups"][i] for i in lookups],
        "timestamp": time,
    }
    assert canonical_settings(as_bytes(shuffled)) == canonical_settings(as_bytes(RAW))


def test_canonical_form_is_idempotent_and_loses_nothing() -> None:
    once = canonical_settings(as_bytes(RAW))
    assert canonical_settings(as_bytes(once)) == once
    assert once["required_range_checks"] == [[-7, 9], [-1, 1], [0, 255]]
    assert once["timestamp"] == 0
    assert len(once["required_lookups"]) == 3
    assert once["run_args"] == RAW["run_args"]


@pytest.mark.ezkl
def test_what_ezkl_makes_is_accepted_and_stable(examined: dict[str, Any], tmp_path: Path) -> None:
    refuse_unsafe(examined, circuit())
    # gen_settings orders its lists by a hash map's whim: a few runs would differ.
    for _ in range(3):
        assert compile_settings(circuit(), tmp_path) == examined
        assert not (tmp_path / "settings.raw").exists()
    assert canonical_settings((tmp_path / "settings.json").read_bytes()) == examined


@pytest.mark.ezkl
def test_every_argument_reaches_ezkl(examined: dict[str, Any]) -> None:
    """An argument that ezkl silently ignored would leave its unsafe default."""
    asked, got = run_args(circuit()), examined["run_args"]
    names = {"polycommit": "KZGCommit", "fixed": "Fixed", "public": "Public", "unsafe": "UNSAFE"}
    for name, value in asked.items():
        assert (
            got[name] == names.get(value, value) if isinstance(value, str) else got[name] == value
        )


@pytest.mark.ezkl
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("run_args", "disable_freivalds"), False),
        (("run_args", "disable_freivalds"), 1),
        (("run_args", "param_visibility"), "Private"),
        (("run_args", "param_visibility"), {"Hashed": {"hash_is_public": True, "outlets": []}}),
        (("run_args", "param_visibility"), "KZGCommit"),
        (("run_args", "input_visibility"), "Private"),
        (("run_args", "input_visibility"), "Public"),
        (("run_args", "output_visibility"), "Private"),
        (("run_args", "output_visibility"), "Fixed"),
        (("run_args", "input_scale"), 7),
        (("run_args", "input_scale"), False),
        (("run_args", "param_scale"), 1),
        (("run_args", "num_inner_cols"), 3),
        (("run_args", "logrows"), 11),
        (("run_args", "decomp_base"), 512),
        (("run_args", "decomp_legs"), 3),
        (("run_args", "ignore_range_check_inputs_outputs"), False),
        (("num_dynamic_lookups",), 1),
        (("total_dynamic_col_size",), 10),
        (("num_shuffles",), 1),
        (("total_shuffle_col_size",), 10),
        (("einsum_params", "total_einsum_col_size"), 100),
        (("version",), "23.0.6"),
        (("model_input_scales",), [0, 0, 7, 0]),
        (("model_input_scales",), [0] * 5),
        (("model_output_scales",), [0, 0, 0, 1]),
        (("model_instance_shapes",), [[1], [1], [1], [1]]),
        (("required_range_checks",), [[-1, 1]]),
        (("required_range_checks",), [[-1, 1], [0, 1023]]),
        (("required_range_checks",), [[-1, 1], [0, 255], [0, 511]]),
        (("module_sizes", "polycommit"), [15, 6, 42, 2]),
        (("module_sizes", "polycommit"), [15, 6, 50]),
        (("required_lookups",), []),
        (("required_lookups",), ["Abs"]),
        (("required_lookups",), [{"Div": {"denom": 2.0}}]),
        (("num_rows",), 1017),
    ],
)  # fmt: skip
def test_any_other_configuration_is_refused(
    examined: dict[str, Any], path: tuple[str, ...], value: object
) -> None:
    forged = copy.deepcopy(examined)
    place = forged
    for name in path[:-1]:
        place = place[name]
    assert path[-1] in place, "a check of a setting that ezkl does not write would check nothing"
    place[path[-1]] = value
    with pytest.raises(UnsafeConfiguration) as caught:
        refuse_unsafe(forged, circuit())
    assert caught.value.exit_status == 2


@pytest.mark.ezkl
@pytest.mark.parametrize(
    ("name", "absent"),
    [("num_shuffles", None), ("einsum_params", {}), ("module_sizes", {}), ("version", None)],
)
def test_an_absent_setting_is_refused(examined: dict[str, Any], name: str, absent: object) -> None:
    forged = copy.deepcopy(examined)
    if absent is None:
        del forged[name]
    else:
        forged[name] = absent
    with pytest.raises(UnsafeConfiguration):
        refuse_unsafe(forged, circuit())


@pytest.mark.ezkl
def test_other_lookup_tables_are_refused(examined: dict[str, Any]) -> None:
    wide = float(np.float32(range_exponent(32)))
    for change in ({"a": wide}, {"scale": 2.0}):
        forged = copy.deepcopy(examined)
        forged["required_lookups"][0]["Pow"] |= change
        with pytest.raises(UnsafeConfiguration, match="table"):
            refuse_unsafe(forged, circuit())
    forged = copy.deepcopy(examined)
    forged["required_lookups"].append({"Pow": {"a": wide, "scale": 1.0}})
    with pytest.raises(UnsafeConfiguration):
        refuse_unsafe(forged, circuit())


@pytest.mark.ezkl
def test_settings_of_another_circuit_are_refused(examined: dict[str, Any]) -> None:
    for other in (
        replace(circuit(), shard_size=4),
        replace(circuit(), model_budget=7),
        replace(circuit(), columns=3),
        replace(circuit(), architecture=mlp(weight_bits=3)),
    ):
        with pytest.raises(UnsafeConfiguration):
            refuse_unsafe(examined, other)
