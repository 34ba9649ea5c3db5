from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from py_ecc import optimized_bn128 as bn
from srs_files import SECRET, lagrange_at_secret, write_srs

from circuits.errors import InputError, SrsInvalid, SrsMissing
from circuits.halo2 import kzg
from circuits.halo2.process import call_ezkl

R = bn.curve_order
K = 4
ROOM = kzg.column_capacity(K)

scalars = st.one_of(
    st.integers(-600, 600),
    st.integers(-(R - 1), R - 1),
    st.sampled_from([0, 1, -1, R - 1, 1 - R, 1 << 16, (1 << 16) + 1, R // 2, R // 2 + 1]),
)


@pytest.fixture(scope="module")
def srs(tmp_path_factory):
    return write_srs(tmp_path_factory.mktemp("srs"), K)


def expected(values) -> bytes:
    basis = lagrange_at_secret(K)
    total = sum(int(v) * basis[i] for i, v in enumerate(values)) + sum(basis[-6:])
    point = bn.normalize(bn.multiply(bn.G1, total % R))
    return b"".join(int(c).to_bytes(32, "big") for c in point)


@given(st.lists(scalars, min_size=1, max_size=ROOM))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_commitment_is_the_polynomial_at_the_secret(srs, values):
    assert kzg.commit(srs, values) == expected(values)


def test_negative_values_and_their_field_elements_commit_alike(srs):
    assert kzg.commit(srs, [-5, 7]) == kzg.commit(srs, [R - 5, 7 - R])


def test_trailing_zeros_do_not_show(srs):
    # So the length of a tensor must come from the circuit, never from the commitment.
    assert kzg.commit(srs, [3, 4]) == kzg.commit(srs, [3, 4, 0, 0])


def test_numpy_integers_do_not_wrap(srs):
    values = np.array([-128, 127, -1], dtype=np.int8)
    assert kzg.commit(srs, list(values)) == expected(values)


@pytest.mark.parametrize("values", [[], [1] * (ROOM + 1)])
def test_only_what_fits_one_column(srs, values):
    with pytest.raises(InputError, match="cannot be committed"):
        kzg.commit(srs, values)


@pytest.mark.parametrize("value", [R, -R, 1 << 256])
def test_values_outside_the_field_are_refused(srs, value):
    with pytest.raises(InputError, match="outside the scalar field"):
        kzg.commit(srs, [1, value])


def test_floats_are_refused(srs):
    with pytest.raises(TypeError):
        kzg.commit(srs, [1.0])


def test_a_sum_at_infinity_is_refused(srs):
    basis = lagrange_at_secret(K)
    value = -sum(basis[-6:]) * pow(basis[0], -1, R) % R
    with pytest.raises(InputError, match="infinity"):
        kzg.commit(srs, [value])


@given(st.lists(st.tuples(scalars, st.integers(0, 15)), max_size=40))
@settings(deadline=None, max_examples=25)
def test_combine_is_the_plain_sum(srs, terms):
    points = kzg.SrsFile.open(srs).powers(range(1 << K))
    found = kzg.combine([points[i] for _, i in terms], [s for s, _ in terms])
    wanted = bn.multiply(bn.G1, sum(s * pow(SECRET, i, R) for s, i in terms) % R)
    assert bn.eq(found, wanted)


def test_missing_file(tmp_path):
    with pytest.raises(SrsMissing):
        kzg.commit(tmp_path / "no.srs", [1])


@pytest.mark.parametrize("damage", ["short", "long", "empty", "other k", "huge k"])
def test_size_must_match_k(tmp_path, srs, damage):
    data = srs.read_bytes()
    changed = {
        "short": data[:-1],
        "long": data + b"\0",
        "empty": b"",
        "other k": (K + 1).to_bytes(4, "little") + data[4:],
        "huge k": (1 << 31).to_bytes(4, "little") + data[4:],
    }[damage]
    path = tmp_path / "bad.srs"
    path.write_bytes(changed)
    with pytest.raises(SrsInvalid):
        kzg.SrsFile.open(path)


@pytest.mark.parametrize("word", [bytes(32), b"\xff" * 32])
def test_points_off_the_curve_are_noticed(tmp_path, srs, word):
    data = bytearray(srs.read_bytes())
    start = 4 + (64 << K)
    data[start : start + 32] = word
    path = tmp_path / "bad.srs"
    path.write_bytes(data)
    with pytest.raises(SrsInvalid):
        kzg.commit(path, [1])


def test_rows_outside_the_file_are_refused(srs):
    with pytest.raises(ValueError, match="not a part"):
        kzg.SrsFile.open(srs).powers(range((1 << K) + 1))


def _circuit(folder, shape):
    """A circuit whose two inputs are committed; its output is the first input's first values."""
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Slice", ["a", "zero", "end", "zero"], ["x"]),
                helper.make_node("Slice", ["b", "zero", "end", "zero"], ["y"]),
                helper.make_node("Mul", ["x", "y"], ["m"]),
                helper.make_node("ReduceSum", ["m", "zero"], ["o"], keepdims=0),
            ],
            "g",
            [
                helper.make_tensor_value_info("a", TensorProto.FLOAT, [shape]),
                helper.make_tensor_value_info("b", TensorProto.FLOAT, [4]),
            ],
            [helper.make_tensor_value_info("o", TensorProto.FLOAT, [])],
            [
                helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
                helper.make_tensor("end", TensorProto.INT64, [1], [3]),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, folder / "m.onnx")
    options = {
        "input_visibility": "polycommit",
        "param_visibility": "fixed",
        "output_visibility": "public",
        "disable_freivalds": True,
        "ignore_range_check_inputs_outputs": True,
        "input_scale": 0,
        "param_scale": 0,
        "logrows": 10,
    }
    settings_file = folder / "s.json"
    call_ezkl(
        "gen_settings",
        timeout=60,
        model=folder / "m.onnx",
        output=settings_file,
        py_run_args=options,
    )
    # gen_settings may lower logrows to what the rows need; the file in use is of k = 10.
    assert json.loads(settings_file.read_text())["run_args"]["logrows"] == 10
    call_ezkl("gen_srs", timeout=60, srs_path=folder / "k.srs", logrows=10)
    common = {"timeout": 60, "compiled_circuit": folder / "c"}
    call_ezkl("compile_circuit", model=folder / "m.onnx", settings_path=settings_file, **common)
    call_ezkl(
        "setup",
        timeout=60,
        model=folder / "c",
        vk_path=folder / "vk",
        pk_path=folder / "pk",
        srs_path=folder / "k.srs",
    )


@pytest.mark.ezkl
def test_commitments_are_the_first_bytes_of_a_real_proof(tmp_path):
    import ezkl

    room = kzg.column_capacity(10)
    _circuit(tmp_path, room)
    rng = np.random.default_rng(7)
    first = [int(v) for v in rng.integers(-500, 500, room - 1)] + [R - 12345]
    second = [3, -2, 1, int.from_bytes(rng.bytes(31), "big")]
    texts = [[(v % R).to_bytes(32, "little").hex() for v in values] for values in (first, second)]
    (tmp_path / "in.json").write_text(json.dumps({"input_data": texts}))
    srs, witness = tmp_path / "k.srs", tmp_path / "w.json"
    call_ezkl(
        "gen_witness",
        timeout=60,
        data=tmp_path / "in.json",
        model=tmp_path / "c",
        output=witness,
        vk_path=tmp_path / "vk",
        srs_path=srs,
    )
    call_ezkl(
        "prove",
        timeout=60,
        witness=witness,
        model=tmp_path / "c",
        pk_path=tmp_path / "pk",
        proof_path=tmp_path / "p.json",
        srs_path=srs,
    )
    proof = bytes(json.loads((tmp_path / "p.json").read_text())["proof"])
    for j, values in enumerate((first, second)):
        assert proof[64 * j : 64 * j + 64] == kzg.commit(srs, values)
        (point,) = ezkl.kzg_commit(
            texts[j], str(tmp_path / "vk"), str(tmp_path / "s.json"), str(srs)
        )
        assert bytes.fromhex(point.x)[::-1] + bytes.fromhex(point.y)[::-1] == kzg.commit(
            srs, values
        )
