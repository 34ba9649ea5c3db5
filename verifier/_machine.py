"""The part of the EVM that generated verifiers use: memory, call data, arithmetic, halting.

Numbers are words, 0 <= v < 2^256. Gas is not counted; memory and steps have limits instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from Crypto.Hash import keccak

from verifier import _precompiles
from verifier._yul_compiler import Builtin
from verifier.yul import WORD, UnsupportedVerifier

MEMORY_LIMIT = 1 << 20
STEP_LIMIT = 10_000_000

_MASK = WORD - 1


class Halt(Exception):
    """The call has ended: with the `data` it returned, or with None where it reverted."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data


class Evm:
    """Memory, call data and halting of one call.

    Parameters
    ----------
    calldata : bytes
        Selector and arguments; reads beyond the end give zeros.
    """

    def __init__(self, calldata: bytes) -> None:
        self._calldata = calldata
        self._memory = bytearray()
        self._steps = 0
        # What a Solidity function does first: the free memory pointer.
        self.store(0x40, 0x80)

    def tick(self) -> None:
        """Count one loop turn or function call.

        Raises
        ------
        UnsupportedVerifier
            After `STEP_LIMIT` of them.
        """
        self._steps += 1
        if self._steps > STEP_LIMIT:
            raise UnsupportedVerifier(f"the verifier did not finish in {STEP_LIMIT} steps")

    def memory(self, start: int, size: int) -> bytes:
        """Return `size` bytes of memory, which grows with zeros, up to `MEMORY_LIMIT`."""
        self._grow(start, size)
        return bytes(self._memory[start : start + size])

    def write(self, start: int, data: bytes) -> None:
        """Write bytes to memory."""
        self._grow(start, len(data))
        self._memory[start : start + len(data)] = data

    def load(self, start: int) -> int:
        """Read one big-endian word of memory."""
        return int.from_bytes(self.memory(start, 32), "big")

    def store(self, start: int, value: int) -> None:
        """Write one big-endian word to memory."""
        self.write(start, value.to_bytes(32, "big"))

    def calldataload(self, start: int) -> int:
        """Read one big-endian word of the call data, padded with zeros."""
        return int.from_bytes(self._calldata[start : start + 32].ljust(32, b"\0"), "big")

    def keccak256(self, start: int, size: int) -> int:
        """Hash a part of memory."""
        digest = keccak.new(digest_bits=256, data=self.memory(start, size)).digest()
        return int.from_bytes(digest, "big")

    def staticcall(
        self, _gas: int, address: int, start: int, size: int, out: int, out_size: int
    ) -> int:
        """Call a precompiled contract; 1 where it succeeds, else 0 and memory stays as it is."""
        data = self.memory(start, size)
        self._grow(out, out_size)
        result = _precompiles.call(address, data)
        if result is None:
            return 0
        self.write(out, result[:out_size])
        return 1

    def halt(self, start: int, size: int) -> None:
        """Return a part of memory from the call."""
        raise Halt(self.memory(start, size))

    def revert(self, _start: int, _size: int) -> None:
        """End the call without effect."""
        raise Halt(None)

    def _grow(self, start: int, size: int) -> None:
        if size == 0:
            return
        if start + size > MEMORY_LIMIT:
            raise UnsupportedVerifier(f"the verifier uses more than {MEMORY_LIMIT} bytes of memory")
        missing = -(-(start + size) // 32) * 32 - len(self._memory)
        if missing > 0:
            self._memory += bytes(missing)


def _pure(arity: int, run: Callable[..., int]) -> Builtin:
    return Builtin(arity, returns=True, run=lambda _evm, *arguments: run(*arguments))


def _word(arity: int, run: Callable[..., Any], *, returns: bool = True) -> Builtin:
    return Builtin(arity, returns, run)


# Arguments and results are words, 0 <= v < 2^256; names as in the Yul dialect of the EVM.
BUILTINS = {
    "add": _pure(2, lambda a, b: (a + b) & _MASK),
    "sub": _pure(2, lambda a, b: (a - b) & _MASK),
    "mul": _pure(2, lambda a, b: (a * b) & _MASK),
    "div": _pure(2, lambda a, b: a // b if b else 0),
    "mod": _pure(2, lambda a, b: a % b if b else 0),
    "addmod": _pure(3, lambda a, b, m: (a + b) % m if m else 0),
    "mulmod": _pure(3, lambda a, b, m: a * b % m if m else 0),
    "and": _pure(2, lambda a, b: a & b),
    "or": _pure(2, lambda a, b: a | b),
    "xor": _pure(2, lambda a, b: a ^ b),
    "not": _pure(1, lambda a: a ^ _MASK),
    "eq": _pure(2, lambda a, b: int(a == b)),
    "lt": _pure(2, lambda a, b: int(a < b)),
    "gt": _pure(2, lambda a, b: int(a > b)),
    "iszero": _pure(1, lambda a: int(a == 0)),
    "shl": _pure(2, lambda shift, a: (a << shift) & _MASK if shift < 256 else 0),
    "shr": _pure(2, lambda shift, a: a >> shift if shift < 256 else 0),
    # Gas is not counted; the contracts that get it here do not look at it.
    "gas": _pure(0, lambda: _MASK),
    "pop": _word(1, lambda _evm, _value: None, returns=False),
    "mload": _word(1, Evm.load),
    "mstore": _word(2, Evm.store, returns=False),
    "mstore8": _word(2, lambda evm, p, v: evm.write(p, bytes([v & 255])), returns=False),
    "calldataload": _word(1, Evm.calldataload),
    "keccak256": _word(2, Evm.keccak256),
    "staticcall": _word(6, Evm.staticcall),
    "revert": _word(2, Evm.revert, returns=False),
    "return": _word(2, Evm.halt, returns=False),
}
