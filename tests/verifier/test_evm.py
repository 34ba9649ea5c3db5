from __future__ import annotations

import contextlib
import json

import onnx
import pytest
from onnx import TensorProto, helper
from py_ecc import optimized_bn128 as bn

from circuits.errors import ProofRejected, WorkerFailed
from circuits.halo2 import kzg
from circuits.halo2.process import call_ezkl
from verifier.evm import SELECTOR, SolidityVerifier, encode_call, verify_solidity
from verifier.yul import UnsupportedVerifier

R = bn.curve_order

# Of the generated form, with a trivial rule: the proof is one word, the sum of two inputs.
SMALL = """// SPDX-License-Identifier: MIT

pragma solidity ^0.8.0;

contract Halo2Verifier {
    uint256 internal constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint256 internal constant    NUM_INSTANCES_MPTR = 0x0840;

    function verifyProof(
        bytes calldata proof,
        uint256[] calldata instances
    ) public returns (bool) {
        assembly {
            mstore(0x0840, 0x02) // num_instances
            let success := eq(0x20, proof.length)
            success := and(success, eq(mload(NUM_INSTANCES_MPTR), instances.length))
            let sum := addmod(
                calldataload(instances.offset), calldataload(add(instances.offset, 0x20)), R
            )
            success := and(success, eq(sum, calldataload(proof.offset)))
            if iszero(success) {
                revert(0x00, 0x00)
            }
            mstore(0x00, 1)
            return(0x00, 0x20)
        }
    }
}
"""  # noqa: E501


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def test_a_small_contract_decides():
    assert verify_solidity(SMALL, [3, 4], word(7))
    assert not verify_solidity(SMALL, [3, 5], word(7))
    contract = SolidityVerifier(SMALL)
    assert (contract.instances, contract.proof_bytes) == (2, 32)


@pytest.mark.parametrize(
    ("instances", "proof", "check"),
    [
        ([3], word(7), "evm-instances"),
        ([3, 4, 0], word(7), "evm-instances"),
        ([3 + R, 4], word(7), "evm-instances"),
        ([3 - R, 4], word(7), "evm-instances"),
        ([R, 7], word(7), "evm-instances"),
        ([True, 6], word(7), "evm-instances"),
        ([3, 4], word(7) + b"\0", "evm-proof-length"),
        ([3, 4], word(7)[:-1], "evm-proof-length"),
        ([3, 4], b"", "evm-proof-length"),
    ],
)
def test_inputs_are_checked_by_name_before_running(instances, proof, check):
    contract = SolidityVerifier(SMALL)
    assert not contract.verify(instances, proof)
    with pytest.raises(ProofRejected) as caught:
        contract.check_inputs(instances, proof)
    assert caught.value.check == check


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return(0x00, 0x20)", ""),
        ("mstore(0x00, 1)", "mstore(0x00, 2)"),
        ("return(0x00, 0x20)", "return(0x00, 0x40)"),
        ("return(0x00, 0x20)", "return(0x20, 0x20)"),
    ],
)
def test_only_a_returned_one_counts(old, new):
    assert not verify_solidity(SMALL.replace(old, new), [3, 4], word(7))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("^0.8.0", "^0.7.0"),
        ("Halo2Verifier", "Halo2VerifierReusable"),
        ("public returns (bool)", "public view returns (bool)"),
        ("uint256[] calldata instances", "uint256[] calldata instances, address vk"),
        ("assembly {", "assembly { } assembly {"),
        ("assembly {", "return true; assembly {"),
        ("= 0x0840;", "= 0x0840 + 0;"),
        ("0x0840;", "0x0840;\n    uint256 internal constant R = 5;"),
        ("eq(0x20, proof.length)", "1"),
        ("eq(0x20, proof.length)", "and(eq(0x20, proof.length), eq(0x40, proof.length))"),
        ("mstore(0x0840, 0x02)", "mstore(0x0840, add(1, 1))"),
        ("mstore(0x0840, 0x02)", "mstore(0x0840, 0x02) mstore(0x0840, 0x03)"),
        ("NUM_INSTANCES_MPTR", "N_MPTR"),
        ("mload(NUM_INSTANCES_MPTR)", "sload(NUM_INSTANCES_MPTR)"),
        ("return(0x00, 0x20)", "selfdestruct(0)"),
    ],
)
def test_any_other_form_of_contract_is_refused(old, new):
    assert old in SMALL
    with pytest.raises(UnsupportedVerifier):
        SolidityVerifier(SMALL.replace(old, new))


@pytest.mark.parametrize("cut", [1, 3, 20, 200])
def test_a_file_cut_short_is_refused(cut):
    with pytest.raises(UnsupportedVerifier):
        SolidityVerifier(SMALL.rstrip()[:-cut])


def test_call_layout():
    call = encode_call([5, 6], b"\xaa" * 33)
    assert call[:4] == SELECTOR
    body = [call[i : i + 32] for i in range(4, len(call), 32)]
    assert body == [
        word(0x40),
        word(0xA0),
        word(33),
        b"\xaa" * 32,
        b"\xaa" + bytes(31),
        word(2),
        word(5),
        word(6),
    ]


def _model(path):
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["a", "zero", "end", "zero"], ["x"]),
            helper.make_node("Slice", ["b", "zero", "end", "zero"], ["y"]),
            helper.make_node("Mul", ["x", "y"], ["m"]),
            helper.make_node("ReduceSum", ["m", "zero"], ["o"], keepdims=0),
        ],
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "ab"],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, [])],
        [
            helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
            helper.make_tensor("end", TensorProto.INT64, [1], [2]),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


class Made:
    """A tiny circuit over two committed inputs, its contract and one honest proof."""

    k = 8
    inputs = ([3, 4, R - 77], [5, -6, 1 << 250])

    def __init__(self, folder):
        names = ("model", "run.json", "c", "vk", "pk", "srs", "in", "w", "p", "sol", "abi", "cd")
        at = {name: folder / name for name in names}
        _model(at["model"])
        options = {
            "input_visibility": "polycommit",
            "param_visibility": "fixed",
            "output_visibility": "public",
            "disable_freivalds": True,
            "ignore_range_check_inputs_outputs": True,
            "input_scale": 0,
            "param_scale": 0,
            "logrows": self.k,
        }
        texts = [[(v % R).to_bytes(32, "little").hex() for v in t] for t in self.inputs]
        at["in"].write_text(json.dumps({"input_data": texts}))
        srs = {"srs_path": at["srs"], "timeout": 60}
        settings = at["run.json"]
        call_ezkl(
            "gen_settings", timeout=60, model=at["model"], output=settings, py_run_args=options
        )
        call_ezkl("gen_srs", logrows=self.k, **srs)
        call_ezkl(
            "compile_circuit",
            timeout=60,
            model=at["model"],
            compiled_circuit=at["c"],
            settings_path=settings,
        )
        call_ezkl("setup", model=at["c"], vk_path=at["vk"], pk_path=at["pk"], **srs)
        call_ezkl(
            "gen_witness", data=at["in"], model=at["c"], output=at["w"], vk_path=at["vk"], **srs
        )
        call_ezkl(
            "prove", witness=at["w"], model=at["c"], pk_path=at["pk"], proof_path=at["p"], **srs
        )
        # It writes the file, then fails because it may not download a compiler.
        with contextlib.suppress(WorkerFailed):
            call_ezkl(
                "create_evm_verifier",
                vk_path=at["vk"],
                settings_path=settings,
                sol_code_path=at["sol"],
                abi_path=at["abi"],
                reusable=False,
                **srs,
            )
        proof = json.loads(at["p"].read_text())
        self.at = at
        self.proof = bytes(proof["proof"])
        self.instances = [
            int.from_bytes(bytes.fromhex(text), "little") for text in proof["instances"][0]
        ]
        self.contract = SolidityVerifier(at["sol"].read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("evm"))


@pytest.mark.ezkl
def test_an_honest_proof_is_accepted(made):
    assert made.instances == [3 * 5 - 4 * 6 + R]
    assert made.contract.verify(made.instances, made.proof)
    assert verify_solidity(made.at["sol"].read_text(), made.instances, made.proof)
    assert (made.contract.instances, made.contract.proof_bytes) == (1, len(made.proof))


@pytest.mark.ezkl
def test_a_flip_in_any_word_of_the_proof_is_found(made):
    for at in range(0, len(made.proof), 32):
        changed = bytearray(made.proof)
        changed[at + 31 - at // 32 % 32] ^= 1 << (at // 32 % 8)
        assert not made.contract.verify(made.instances, bytes(changed)), at


@pytest.mark.ezkl
def test_an_exchanged_commitment_is_found(made):
    other = kzg.commit(made.at["srs"], [3, 4, R - 78])
    assert made.proof[:64] == kzg.commit(made.at["srs"], made.inputs[0])
    assert not made.contract.verify(made.instances, other + made.proof[64:])


@pytest.mark.ezkl
def test_other_instances_lengths_and_encodings_are_refused(made):
    (honest,) = made.instances
    for wrong in (0, honest - 1, honest + 1, R - honest):
        assert not made.contract.verify([wrong], made.proof)
    for instances in ([], [honest, 0], [honest + R]):
        assert not made.contract.verify(instances, made.proof)
    for proof in (made.proof + b"\0", made.proof + bytes(32), made.proof[:-1], made.proof[:-32]):
        assert not made.contract.verify(made.instances, proof)
    # The contract's own checks, without those in front of it.
    run = made.contract._run
    assert run([honest], made.proof)
    assert not run([honest + R], made.proof)
    assert not run([], made.proof)
    assert not run([honest, 0], made.proof)
    assert not run([honest], made.proof + bytes(32))
    assert not run([honest], made.proof[:-32])


@pytest.mark.ezkl
def test_a_point_at_infinity_is_refused(made):
    for at in (0, 64, len(made.proof) - 64):
        changed = made.proof[:at] + bytes(64) + made.proof[at + 64 :]
        assert not made.contract.verify(made.instances, changed)


@pytest.mark.ezkl
def test_the_call_is_the_one_ezkl_encodes(made):
    call_ezkl("encode_evm_calldata", timeout=60, proof=made.at["p"], calldata=made.at["cd"])
    theirs = made.at["cd"].read_bytes()
    ours = encode_call(made.instances, made.proof)
    # Theirs goes on with the empty key argument that only the reusable contract reads.
    assert theirs == ours + bytes(32)


@pytest.mark.ezkl
def test_the_contract_belongs_to_its_srs(made, tmp_path):
    assert made.contract.matches_srs(kzg.SrsFile.open(made.at["srs"]))
    for name, k in (("same-k", made.k), ("other-k", made.k + 1)):
        other = tmp_path / name
        call_ezkl("gen_srs", timeout=60, srs_path=other, logrows=k)
        assert not made.contract.matches_srs(kzg.SrsFile.open(other))


@pytest.mark.ezkl
def test_a_contract_with_other_srs_points_rejects(made):
    source = made.at["sol"].read_text()
    # -s G2 replaced by -G2: whoever accepted that could be shown any proof with s = 1.
    words = [int(c) for axis in bn.normalize(bn.neg(bn.G2)) for c in reversed(axis.coeffs)]
    lines = []
    for line in source.splitlines():
        for suffix, value in zip(("x_1", "x_2", "y_1", "y_2"), words, strict=True):
            if line.endswith(f"// neg_s_g2_{suffix}"):
                line = f"{line.split(',')[0]}, {value:#x})"
        lines.append(line)
    contract = SolidityVerifier("\n".join(lines))
    assert not contract.verify(made.instances, made.proof)
    assert not contract.matches_srs(kzg.SrsFile.open(made.at["srs"]))
