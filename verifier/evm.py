"""A second opinion on halo2 proofs: the generated Solidity verifier, run in plain Python.

ezkl's ``create_evm_verifier`` writes a contract whose verifier is one block of Yul with the
verifying key inlined. Running that block with py_ecc's curve arithmetic shares no code with
``ezkl.verify``: another transcript, another field and another pairing implementation. It checks
the verification, not the circuit, and its contract must be generated from a key that the
verifier built itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from py_ecc import optimized_bn128 as bn

from circuits.errors import ProofRejected
from circuits.halo2.kzg import UNUSABLE_ROWS, SrsFile, domain_root
from verifier._machine import BUILTINS, Evm, Halt
from verifier._yul_compiler import Program
from verifier.yul import Block, Call, Literal, Name, UnsupportedVerifier, calls, parse

SELECTOR = bytes.fromhex("1e8e1e13")
"""Of ``verifyProof(bytes,uint256[])``."""

_INPUTS = ("proof.offset", "proof.length", "instances.offset", "instances.length")

_CONTRACT = re.compile(
    r"\s*(?://[^\n]*\s+)?pragma solidity \^0\.8\.0;\s*contract Halo2Verifier \{"
    r"(?P<constants>(?:\s*uint256 internal constant\s+\w+\s*=\s*\w+\s*;)*)\s*"
    r"function verifyProof\(\s*bytes calldata proof,\s*uint256\[\] calldata instances\s*\)"
    r" public returns \(bool\) \{\s*assembly \{(?P<yul>.*)\}\s*\}\s*\}\s*",
    re.DOTALL | re.ASCII,
)
_CONSTANT = re.compile(
    r"uint256 internal constant\s+(\w+)\s*=\s*(0x[0-9a-fA-F]{1,64}|[0-9]+)\s*;", re.ASCII
)


class SolidityVerifier:
    """A generated verifier contract, compiled once for any number of proofs.

    Parameters
    ----------
    source : str
        The Solidity file as ezkl wrote it.

    Attributes
    ----------
    source : str
        The same.
    instances : int
        How many public inputs it takes.
    proof_bytes : int
        How long its proofs are.

    Raises
    ------
    UnsupportedVerifier
        If the file is not exactly of the known form, whatever the difference.
    """

    def __init__(self, source: str) -> None:
        match = _CONTRACT.fullmatch(source)
        if match is None:
            raise UnsupportedVerifier("the Solidity file is not a generated Halo2Verifier")
        pairs = _CONSTANT.findall(match["constants"])
        self._constants = {name: int(value, 0) for name, value in pairs}
        if not len(self._constants) == len(pairs) == match["constants"].count(";"):
            raise UnsupportedVerifier("the contract's constants cannot be read")
        block = parse(match["yul"])
        self._program = Program(block, BUILTINS, self._constants, _INPUTS)
        self._key = _inlined_words(block)
        self.source = source
        self.instances = self._key_word("NUM_INSTANCES_MPTR")
        self.proof_bytes = _checked_length(block)

    def verify(self, instances: Sequence[int], proof: bytes) -> bool:
        """Tell whether the contract accepts; False for any input it cannot accept."""
        try:
            self.check_inputs(instances, proof)
        except ProofRejected:
            return False
        return self._run(instances, proof)

    def check_inputs(self, instances: Sequence[int], proof: bytes) -> None:
        """Check counts, lengths and canonical form, before any arithmetic.

        Raises
        ------
        ProofRejected
            Naming what is wrong. The contract would refuse these too; here it gets a name.
        """
        if len(instances) != self.instances:
            raise ProofRejected(
                "evm-instances", f"expected {self.instances} public inputs, found {len(instances)}"
            )
        for i, value in enumerate(instances):
            if type(value) is not int or not 0 <= value < bn.curve_order:
                raise ProofRejected(
                    "evm-instances", f"public input {i} is not a canonical field element"
                )
        if len(proof) != self.proof_bytes:
            raise ProofRejected(
                "evm-proof-length",
                f"expected {self.proof_bytes} bytes of proof, found {len(proof)}",
            )

    def matches_srs(self, srs: SrsFile) -> bool:
        """Tell whether the contract's inlined SRS elements and domain are those of `srs`.

        Compares k, both generators and -s G2, and that the domain ends in `UNUSABLE_ROWS` rows,
        on which the commitments of `circuits.halo2.kzg` rely.
        """
        root = domain_root(srs.k)
        g2, s_g2 = srs.g2()
        expected = {
            "K_MPTR": srs.k,
            "OMEGA_MPTR": root,
            "OMEGA_INV_TO_L_MPTR": pow(root, -UNUSABLE_ROWS, bn.curve_order),
            "G1_X_MPTR": 1,
            "G1_Y_MPTR": 2,
        }
        for prefix, (x, y, _) in (("G2", g2), ("NEG_S_G2", bn.neg(s_g2))):
            for axis, value in (("X", x), ("Y", y)):
                real, imaginary = (int(c) for c in value.coeffs)
                expected[f"{prefix}_{axis}_1_MPTR"] = imaginary
                expected[f"{prefix}_{axis}_2_MPTR"] = real
        return all(self._key_word(name) == value for name, value in expected.items())

    def _key_word(self, name: str) -> int:
        values = self._key.get(self._constants.get(name, -1), set())
        if len(values) != 1:
            raise UnsupportedVerifier(f"the contract does not inline {name} once")
        return next(iter(values))

    def _run(self, instances: Sequence[int], proof: bytes) -> bool:
        calldata = encode_call(instances, proof)
        proof_at = 4 + 2 * 32 + 32
        inputs = (proof_at, len(proof), len(calldata) - 32 * len(instances), len(instances))
        try:
            self._program.run(Evm(calldata), dict(zip(_INPUTS, inputs, strict=True)))
        except Halt as halt:
            return halt.data == (1).to_bytes(32, "big")
        # The contract's result variable was never set: false.
        return False


def encode_call(instances: Sequence[int], proof: bytes) -> bytes:
    """Return the call data of ``verifyProof(proof, instances)`` in the ABI's canonical layout."""
    padded = proof.ljust(-(-len(proof) // 32) * 32, b"\0")
    words = (0x40, 0x60 + len(padded), len(proof))
    head = SELECTOR + b"".join(word.to_bytes(32, "big") for word in words)
    tail = (len(instances), *instances)
    return head + padded + b"".join(word.to_bytes(32, "big") for word in tail)


def verify_solidity(source: str, instances: Sequence[int], proof: bytes) -> bool:
    """Run a generated Solidity verifier on one proof.

    Parameters
    ----------
    source : str
        The Solidity file.
    instances : sequence of int
        The public inputs, canonical scalar field elements.
    proof : bytes
        The proof, of exactly the length the contract expects.

    Returns
    -------
    bool
        Whether it accepts. About 1 s.

    Raises
    ------
    UnsupportedVerifier
        If the contract is not of the known form.
    """
    return SolidityVerifier(source).verify(instances, proof)


def _inlined_words(block: Block) -> dict[int, set[int]]:
    """Collect the ``mstore(address, word)`` with two literals, by which a key is inlined."""
    found: dict[int, set[int]] = {}
    for call in calls(block):
        match call:
            case Call("mstore", (Literal(address), Literal(word))):
                found.setdefault(address, set()).add(word)
    return found


def _checked_length(block: Block) -> int:
    """Find the proof length that the block itself insists on."""
    found = []
    for call in calls(block):
        match call:
            case Call("eq", (Literal(length), Name("proof.length"))):
                found.append(length)
    if len(found) != 1:
        raise UnsupportedVerifier("the contract does not check the length of the proof")
    return found[0]
