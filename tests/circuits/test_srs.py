from __future__ import annotations

import os
from pathlib import Path

import pytest
from py_ecc import optimized_bn128 as bn
from srs_files import SECRET, g2_bytes, point_bytes, write_srs

from circuits.encoding import file_digest
from circuits.errors import SrsError, SrsInsecure, SrsInvalid, SrsMissing
from circuits.halo2 import _srs_points, srs
from circuits.halo2.kzg import SrsFile

K = 3
POWERS = 4
LAGRANGE = POWERS + (64 << K)
G2 = LAGRANGE + (64 << K)
S_G2 = G2 + 128


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_srs(tmp_path_factory.mktemp("srs"), K)


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("ZKPOT_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "srs"


@pytest.fixture
def published(good, monkeypatch):
    """Pretend that the known file is the ceremony's."""
    monkeypatch.setitem(srs.CEREMONY_SHA256, K, file_digest(good))


def changed(good, tmp_path, *pieces):
    data = bytearray(good.read_bytes())
    for offset, piece in pieces:
        data[offset : offset + len(piece)] = piece
    path = tmp_path / "changed.srs"
    path.write_bytes(data)
    return path


def swapped(good, tmp_path, start, i, j):
    data = good.read_bytes()
    a, b = (start + 64 * row for row in (i, j))
    return changed(good, tmp_path, (a, data[b : b + 64]), (b, data[a : a + 64]))


def twist_point_outside_the_subgroup():
    q = bn.field_modulus
    for real in range(1, 100):
        x = bn.FQ2([real, 1])
        a0, a1 = (int(c) for c in (x * x * x + bn.b2).coeffs)
        # Square root in Fq2 by the norm; q = 3 mod 4.
        norm = pow(a0 * a0 + a1 * a1, (q + 1) // 4, q)
        for sign in (1, -1):
            half = (a0 + sign * norm) * pow(2, -1, q) % q
            root = pow(half, (q + 1) // 4, q)
            if root:
                point = (x, bn.FQ2([root, a1 * pow(2 * root, -1, q) % q]), bn.FQ2.one())
                if bn.is_on_curve(point, bn.b2):
                    assert not bn.is_inf(bn.multiply(point, bn.curve_order))
                    return point
    raise AssertionError


@pytest.mark.parametrize("full", [False, True])
def test_a_good_file_passes(good, full):
    info = srs.check(good, full=full)
    assert (info.k, info.origin, info.insecure) == (K, "unknown", True)
    assert info.digest == file_digest(good)


def test_sampled_rows_of_a_larger_file(tmp_path, monkeypatch):
    monkeypatch.setattr(_srs_points, "SAMPLE_ROWS", 4)
    path = write_srs(tmp_path, 5)
    for _ in range(3):
        srs.check(path)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("first power", (POWERS, point_bytes(2))),
        ("second power", (POWERS + 64, point_bytes(SECRET + 1))),
        ("last power", (LAGRANGE - 64, point_bytes(5))),
        ("power off the curve", (POWERS + 3 * 64, bytes(31) + b"\1")),
        ("power at infinity", (POWERS + 3 * 64, bytes(64))),
        ("Lagrange point", (LAGRANGE + 2 * 64, point_bytes(7))),
        ("Lagrange point off the curve", (LAGRANGE + 64, bytes(31) + b"\1")),
        ("coordinate above the modulus", (LAGRANGE, b"\xff" * 32)),
        ("other g2", (G2, g2_bytes(bn.multiply(bn.G2, 2)))),
        ("other s_g2", (S_G2, g2_bytes(bn.multiply(bn.G2, SECRET + 1)))),
        ("s_g2 is g2", (S_G2, g2_bytes(bn.G2))),
        ("s_g2 off the twist", (S_G2, bytes(31) + b"\1")),
        ("s_g2 outside the subgroup", (S_G2, g2_bytes(twist_point_outside_the_subgroup()))),
    ],
)
def test_a_changed_point_is_found(good, tmp_path, name, damage):
    with pytest.raises(SrsInvalid):
        srs.check(changed(good, tmp_path, damage))


@pytest.mark.parametrize("start", [POWERS, LAGRANGE])
def test_swapped_points_are_found(good, tmp_path, start):
    with pytest.raises(SrsInvalid):
        srs.check(swapped(good, tmp_path, start, 2, 5))


def test_a_scaled_lagrange_half_is_found(good, tmp_path):
    # Every local relation holds here; only the sum of the points tells.
    points = SrsFile.open(good).lagrange(range(1 << K))
    half = b""
    for point in points:
        x, y = bn.normalize(bn.multiply(point, 3))
        half += b"".join(
            (int(c) * (1 << 256) % bn.field_modulus).to_bytes(32, "little") for c in (x, y)
        )
    with pytest.raises(SrsInvalid, match="sum"):
        srs.check(changed(good, tmp_path, (LAGRANGE, half)))


def test_halves_of_two_secrets_do_not_match(good, tmp_path):
    other = write_srs(tmp_path, K, secret=99).read_bytes()
    with pytest.raises(SrsInvalid, match="Lagrange"):
        srs.check(changed(good, tmp_path, (LAGRANGE, other[LAGRANGE:G2])))


def test_full_finds_what_a_sample_can_miss(tmp_path, monkeypatch):
    monkeypatch.setattr(_srs_points, "SAMPLE_ROWS", 2)
    monkeypatch.setattr(_srs_points.secrets, "randbelow", lambda _: 0)
    bad = changed(write_srs(tmp_path, K), tmp_path, (LAGRANGE + 6 * 64, point_bytes(7)))
    srs.check(bad)
    with pytest.raises(SrsInvalid):
        srs.check(bad, full=True)


def test_only_a_known_hash_is_accepted(good, published):
    assert srs.require(good, k=K).origin == "ceremony"


def test_an_unknown_hash_is_refused(good):
    with pytest.raises(SrsInvalid, match="no ceremony"):
        srs.require(good)
    assert srs.require(good, allow_insecure=True).origin == "unknown"


def test_a_changed_ceremony_file_is_refused(good, tmp_path, published):
    bad = changed(good, tmp_path, (LAGRANGE, point_bytes(7)))
    with pytest.raises(SrsInvalid):
        srs.require(bad)
    # The insecure flag allows an unknown origin, never a file that is not an SRS.
    with pytest.raises(SrsInvalid):
        srs.require(bad, allow_insecure=True)


def test_a_hash_counts_for_its_own_k_only(good, monkeypatch):
    monkeypatch.setitem(srs.CEREMONY_SHA256, K + 1, file_digest(good))
    assert srs.identify(good).origin == "unknown"


def test_the_wrong_k_is_refused(good, published):
    with pytest.raises(SrsInvalid, match="k = 5 is needed"):
        srs.require(good, k=5)


def test_a_change_that_keeps_size_and_time_is_noticed(good, tmp_path, published):
    path = changed(good, tmp_path)
    before = path.stat()
    assert srs.require(path).origin == "ceremony"
    changed(good, tmp_path, (LAGRANGE, point_bytes(7)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(SrsInvalid):
        srs.require(path)


def test_missing_says_how_to_get_one(store):
    with pytest.raises(SrsMissing) as caught:
        srs.find(15)
    for command in ("zkpot srs fetch 15", "zkpot srs import", "zkpot srs develop 15"):
        assert command in caught.value.message
    assert str(store) in caught.value.message


def test_import_copies_and_find_returns_it(good, store, published):
    info = srs.import_file(good)
    assert info.path.parent == store
    assert srs.find(K) == info
    assert srs.list_store() == [info]
    assert sorted(p.name for p in store.iterdir()) == [info.path.name]


def test_import_of_anything_else_leaves_no_trace(good, store):
    with pytest.raises(SrsInvalid, match=good.name):
        srs.import_file(good)
    assert not store.exists()


def test_damage_in_the_store_is_found_and_listed(good, published):
    info = srs.import_file(good)
    info.path.write_bytes(b"short")
    with pytest.raises(SrsInvalid):
        srs.find(K)
    (entry,) = srs.list_store()
    assert isinstance(entry, SrsError)


def fake_backend(monkeypatch, data: bytes):
    seen = []

    def call(function, *, timeout, srs_path, **kwargs):
        seen.append((function, kwargs))
        Path(srs_path).write_bytes(data)

    monkeypatch.setattr(srs, "call_ezkl", call)
    return seen


def test_fetch_checks_what_arrived(good, monkeypatch, published):
    seen = fake_backend(monkeypatch, good.read_bytes())
    assert srs.fetch(K).origin == "ceremony"
    assert seen == [("get_srs", {"settings_path": None, "logrows": K})]
    assert srs.find(K).k == K


def test_fetch_refuses_another_file(good, store, monkeypatch):
    monkeypatch.setitem(srs.CEREMONY_SHA256, K, "00" * 32)
    fake_backend(monkeypatch, good.read_bytes())
    with pytest.raises(SrsInvalid):
        srs.fetch(K)
    assert list(store.iterdir()) == []


def test_fetch_of_an_unknown_size_does_not_ask_the_network(monkeypatch):
    seen = fake_backend(monkeypatch, b"")
    with pytest.raises(SrsMissing):
        srs.fetch(9)
    assert seen == []


def test_development_is_refused_by_default(good, store, monkeypatch):
    fake_backend(monkeypatch, good.read_bytes())
    info = srs.make_development(K)
    assert info.origin == "development"
    assert "development" in info.path.name
    with pytest.raises(SrsInsecure):
        srs.find(K)
    with pytest.raises(SrsInsecure):
        srs.require(info.path)
    with pytest.raises(SrsInsecure):
        srs.require(info.path, k=K)
    assert srs.find(K, allow_insecure=True) == info


def test_a_development_file_without_its_marker_is_unknown(good, monkeypatch):
    fake_backend(monkeypatch, good.read_bytes())
    info = srs.make_development(K)
    for marker in info.path.parent.glob("*.json"):
        marker.unlink()
    with pytest.raises(SrsInvalid):
        srs.require(info.path)


def test_the_ceremony_file_comes_first(good, tmp_path, monkeypatch, published):
    fake_backend(monkeypatch, write_srs(tmp_path, K, secret=7).read_bytes())
    srs.make_development(K)
    srs.import_file(good)
    assert srs.find(K, allow_insecure=True).origin == "ceremony"


def test_table():
    assert set(srs.CEREMONY_SHA256) == set(range(10, 23))
    digests = srs.CEREMONY_SHA256.values()
    assert len(set(digests)) == len(digests)
    assert all(len(d) == 64 and set(d) <= set("0123456789abcdef") for d in digests)


@pytest.mark.ezkl
def test_what_the_backend_makes_is_a_consistent_srs():
    made = srs.make_development(11)
    assert srs.check(made.path, full=True).origin == "development"
    assert srs.find(11, allow_insecure=True) == made
