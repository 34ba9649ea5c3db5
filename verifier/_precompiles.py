"""The EVM's precompiled contracts 5 to 8, over py_ecc, with every check of their specification.

EIP-198 (modular exponentiation), EIP-196 (addition and multiplication on alt_bn128) and EIP-197
(pairing check). A call that the EVM lets fail returns None. Inputs of a length that only the
EVM's padding rules give a meaning are refused, since no generated verifier needs them.
"""

from __future__ import annotations

from typing import Any

from py_ecc import optimized_bn128 as bn

from verifier.yul import UnsupportedVerifier

_Q: int = bn.field_modulus


def call(address: int, data: bytes) -> bytes | None:
    """Run the contract at `address` on `data`; None where the call fails.

    Raises
    ------
    UnsupportedVerifier
        For another address, or an input of unusual length.
    """
    contract = {5: _power, 6: _add, 7: _multiply, 8: _pairing}.get(address)
    if contract is None:
        raise UnsupportedVerifier(f"the verifier calls contract {address:#x}, which is not known")
    words = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
    if len(data) % 32:
        raise UnsupportedVerifier(f"contract {address} is called with {len(data)} bytes")
    return contract(words)


def _expect(ok: bool, name: str) -> None:
    if not ok:
        raise UnsupportedVerifier(f"the {name} contract is called with an unusual length")


def _power(words: list[int]) -> bytes | None:
    _expect(len(words) == 6 and words[:3] == [32, 32, 32], "exponentiation")
    base, exponent, modulus = words[3:]
    return (pow(base, exponent, modulus) if modulus else 0).to_bytes(32, "big")


def _add(words: list[int]) -> bytes | None:
    _expect(len(words) == 4, "addition")
    left, right = _g1(words[0], words[1]), _g1(words[2], words[3])
    return None if left is None or right is None else _encode(bn.add(left, right))


def _multiply(words: list[int]) -> bytes | None:
    _expect(len(words) == 3, "multiplication")
    point = _g1(words[0], words[1])
    return None if point is None else _encode(bn.multiply(point, words[2]))


def _pairing(words: list[int]) -> bytes | None:
    _expect(len(words) % 6 == 0, "pairing")
    product = bn.FQ12.one()
    for i in range(0, len(words), 6):
        left, right = _g1(words[i], words[i + 1]), _g2(words[i + 2 : i + 6])
        if left is None or right is None:
            return None
        product = product * bn.pairing(right, left, final_exponentiate=False)
    return int(bn.final_exponentiate(product) == bn.FQ12.one()).to_bytes(32, "big")


def _g1(x: int, y: int) -> Any | None:
    if x >= _Q or y >= _Q:
        return None
    if x == y == 0:
        return bn.Z1
    # The curve has prime order, so a point on it is in the group.
    return None if (y * y - x * x * x - 3) % _Q else (bn.FQ(x), bn.FQ(y), bn.FQ.one())


def _g2(words: list[int]) -> Any | None:
    if any(word >= _Q for word in words):
        return None
    if not any(words):
        return bn.Z2
    # EIP-197 writes the imaginary part first.
    x1, x0, y1, y0 = words
    point = (bn.FQ2([x0, x1]), bn.FQ2([y0, y1]), bn.FQ2.one())
    if not bn.is_on_curve(point, bn.b2):
        return None
    return point if bn.is_inf(bn.multiply(point, bn.curve_order)) else None


def _encode(point: Any) -> bytes:
    if bn.is_inf(point):
        return bytes(64)
    return b"".join(int(c).to_bytes(32, "big") for c in bn.normalize(point))
