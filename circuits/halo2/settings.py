"""ezkl settings: the run arguments we ask for, their canonical form, and what is refused.

ezkl's defaults, and several other configurations, accept forged proofs (docs/adr/0002 lists them
with the forgery each one let through; tests/attacks makes them). `refuse_unsafe` is an allowlist:
what was not tried as an attacker does not pass.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from circuits.errors import UnsafeConfiguration
from circuits.halo2.circuit import EZKL_VERSION, Circuit
from circuits.halo2.graph import range_exponent, vector_sizes
from circuits.halo2.kzg import column_capacity


def run_args(circuit: Circuit) -> dict[str, Any]:
    """Return the PyRunArgs fields for a circuit, as JSON values."""
    return {
        # Every tensor that matters is a graph input, committed by KZG at no cost in rows.
        "input_visibility": "polycommit",
        # What is left as a parameter is structure; any other visibility leaves it free.
        "param_visibility": "fixed",
        "output_visibility": "public",
        # The default replaces products by a random check whose challenge the prover knows.
        "disable_freivalds": True,
        "input_scale": 0,
        "param_scale": 0,
        "num_inner_cols": circuit.columns,
        "logrows": circuit.k,
        "decomp_base": circuit.decomp_base,
        "decomp_legs": circuit.decomp_legs,
        # Tables start at 1 and fill their column (see graph.range_exponent).
        "lookup_range": [1, _widest_format(circuit) + 1],
        # Salts are full field elements, so ezkl's own check of inputs would refuse them; the
        # graph range-checks what has a range.
        "ignore_range_check_inputs_outputs": True,
        "check_mode": "unsafe",
    }


def canonical_settings(raw: bytes) -> dict[str, Any]:
    """Return settings in the one form that makes keys reproducible.

    ezkl writes lists of required checks in hash-map order, which changes the keys, and a time.
    """
    settings: dict[str, Any] = json.loads(raw)
    settings["required_range_checks"].sort()
    settings["required_lookups"].sort(key=lambda op: json.dumps(op, sort_keys=True))
    settings["timestamp"] = 0
    return settings


def refuse_unsafe(settings: dict[str, Any], circuit: Circuit) -> None:
    """Refuse every configuration but the one that was attacked and held.

    Raises
    ------
    UnsafeConfiguration
        Naming the setting, what it is, what it must be, and what it would let through.
    """
    args = settings["run_args"]
    wanted: dict[str, Any] = {
        "disable_freivalds": (True, "arbitrary matrix products pass"),
        "param_visibility": ("Fixed", "other weights can be used for every sample"),
        "input_visibility": ("KZGCommit", "the proof would say nothing of the commitments"),
        "output_visibility": ("Public", "the count would not be bound"),
        "input_scale": (0, "rescaling lets the prover choose the rounding"),
        "param_scale": (0, "rescaling lets the prover choose the rounding"),
        "num_inner_cols": (circuit.columns, "the keys would be another circuit's"),
        "logrows": (circuit.k, "the keys would be another circuit's"),
        "decomp_base": (circuit.decomp_base, "range checks would be other ones"),
        "decomp_legs": (circuit.decomp_legs, "range checks would be other ones"),
        "ignore_range_check_inputs_outputs": (True, "salts would be refused"),
    }
    for name, (value, harm) in wanted.items():
        _require(f"run_args.{name}", args.get(name), value, harm)
    absent = {
        "num_dynamic_lookups": "ArgMax, OneHot and gathers by value let the prover choose",
        "total_dynamic_col_size": "ArgMax, OneHot and gathers by value let the prover choose",
        "num_shuffles": "ArgMax, ReduceMax and TopK let the prover choose between ties",
        "total_shuffle_col_size": "ArgMax, ReduceMax and TopK let the prover choose between ties",
    }
    for name, harm in absent.items():
        _require(name, settings.get(name), 0, harm)
    einsum = settings.get("einsum_params", {}).get("total_einsum_col_size")
    _require("einsum_params.total_einsum_col_size", einsum, 0, "arbitrary matrix products pass")
    _require("version", settings.get("version"), EZKL_VERSION, "only this version was attacked")
    _require("model_input_scales", settings.get("model_input_scales"), [0] * 4, "rescaling")
    _require("model_output_scales", settings.get("model_output_scales"), [0] * 4, "rescaling")
    _require("model_instance_shapes", settings.get("model_instance_shapes"), [[1], [1], [2], [1]],
             "counts would be read from the wrong place")  # fmt: skip
    checks = [[-1, 1], [0, circuit.decomp_base - 1]]
    _require("required_range_checks", settings.get("required_range_checks"), checks,
             "digits would have another range")  # fmt: skip
    lengths = [a + b for a, b in zip(_sizes(circuit), circuit.salts, strict=True)]
    found = settings.get("module_sizes", {}).get("polycommit")
    _require("module_sizes.polycommit", found, lengths, "inputs would be committed otherwise")
    _refuse_lookups(settings.get("required_lookups", []), circuit)
    rows = column_capacity(circuit.k)
    if settings["num_rows"] > rows:
        raise UnsafeConfiguration(
            f"the circuit uses {settings['num_rows']} rows and 2^{circuit.k} have {rows}: "
            "several blocks of columns were not examined",
            rows=settings["num_rows"],
        )


def _refuse_lookups(lookups: list[Any], circuit: Circuit) -> None:
    expected = sorted({range_exponent(n) for n in _formats(circuit)})
    try:
        # ezkl writes a 32-bit float in its shortest form.
        found = sorted(float(np.float32(op["Pow"]["a"])) for op in lookups)
        scales = {float(op["Pow"]["scale"]) for op in lookups}
    except (KeyError, TypeError, ValueError):
        raise UnsafeConfiguration(
            "a lookup table other than the range checks' was not examined", lookups=str(lookups)
        ) from None
    if scales != {1.0} or found != expected:
        raise UnsafeConfiguration(f"the range checks' tables are {found}, not {expected}")


def _formats(circuit: Circuit) -> tuple[int, int]:
    form = circuit.architecture.input_format
    return form.high - form.low + 1, 2 * circuit.architecture.weight_max + 1


def _widest_format(circuit: Circuit) -> int:
    return max(_formats(circuit))


def _sizes(circuit: Circuit) -> tuple[int, ...]:
    return vector_sizes(circuit.architecture, circuit.shard_size)


def _require(name: str, found: object, wanted: object, harm: str) -> None:
    if found != wanted or type(found) is not type(wanted):
        raise UnsafeConfiguration(
            f"ezkl setting {name} is {found!r} and must be {wanted!r}: otherwise {harm}",
            setting=name,
        )
