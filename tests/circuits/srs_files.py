"""SRS files of a known secret, written byte by byte, so that tests need no backend."""

from __future__ import annotations

from pathlib import Path

from py_ecc import optimized_bn128 as bn

SECRET = 0x1D3C0FFEE


def domain(k: int) -> list[int]:
    root = pow(7, (bn.curve_order - 1) >> k, bn.curve_order)
    return [pow(root, i, bn.curve_order) for i in range(1 << k)]


def lagrange_at_secret(k: int, secret: int = SECRET) -> list[int]:
    r, n = bn.curve_order, 1 << k
    top = (pow(secret, n, r) - 1) * pow(n, -1, r)
    return [w * top * pow(secret - w, -1, r) % r for w in domain(k)]


def field_bytes(value: int) -> bytes:
    return (value * (1 << 256) % bn.field_modulus).to_bytes(32, "little")


def point_bytes(scalar: int) -> bytes:
    x, y = bn.normalize(bn.multiply(bn.G1, scalar))
    return field_bytes(int(x)) + field_bytes(int(y))


def g2_bytes(point) -> bytes:
    return b"".join(field_bytes(int(c)) for axis in bn.normalize(point) for c in axis.coeffs)


def srs_bytes(k: int, secret: int = SECRET) -> bytes:
    powers = [pow(secret, i, bn.curve_order) for i in range(1 << k)]
    scalars = powers + lagrange_at_secret(k, secret)
    return (
        k.to_bytes(4, "little")
        + b"".join(point_bytes(scalar) for scalar in scalars)
        + g2_bytes(bn.G2)
        + g2_bytes(bn.multiply(bn.G2, secret))
    )


def write_srs(folder: Path, k: int, secret: int = SECRET) -> Path:
    path = folder / f"known-{k}.srs"
    path.write_bytes(srs_bytes(k, secret))
    return path
