"""What a verifier would hold in memory is told from a description; real networks fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from circuits.errors import OutOfMemory
from circuits.network import Architecture, Conv2d, Dense, Flatten, NumberFormat, Requantise
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.testset import SumcheckPart, SumcheckShard
from circuits.testset import Manifest
from verifier.sumcheck.limits import require_circuit, require_testset

U8 = NumberFormat(8, False)
GB = 1 << 30


def residual(blocks: int) -> Architecture:
    """A network with the sizes of a ResNet on images of 32 x 32: half a billion products."""
    layers: list[Conv2d | Requantise | Flatten | Dense] = []
    name = "input"
    for i in range(blocks):
        shape = (3 if i == 0 else 64, 32, 32)
        layers.append(
            Conv2d(f"c{i}", (name,), shape, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 64, 1, True)
        )
        name = f"r{i}"
        layers.append(Requantise(name, (f"c{i}",), (64, 32, 32), 12, U8))
    layers.append(Flatten("f", (name,), (65536,)))
    layers.append(Dense("d", ("f",), 65536, 10, True))
    return Architecture((3, 32, 32), U8, 0, 8, 10, tuple(layers), "d")


def needed(circuit: Circuit) -> int:
    with pytest.raises(OutOfMemory) as caught:
        require_circuit(circuit, 1)
    found = caught.value.details["needed"]
    assert isinstance(found, int)
    return found


def circuit(architecture: Architecture, kappa: int = 15) -> Circuit:
    return Circuit(architecture, 512, kappa, False, False, False, 0)


def test_a_deep_network_is_not_refused() -> None:
    require_circuit(circuit(residual(16)), 8 * GB)


def test_more_of_anything_takes_more() -> None:
    small = needed(circuit(residual(1)))
    assert needed(circuit(residual(2))) > small
    assert needed(circuit(residual(1), kappa=18)) > small
    assert needed(replace(circuit(residual(1)), shard_size=1)) > small


def test_a_set_of_images_is_not_refused_and_one_of_anything_is() -> None:
    shard = SumcheckShard(0, 1, "ab" * 32)
    part = SumcheckPart(512, 2, (shard,), 14)
    images = Manifest(1, (3, 224, 224), 1000, 0, U8, 0, (part,))
    require_testset(images, 8 * GB)
    enormous = replace(images, shape=(1 << 25,))
    with pytest.raises(OutOfMemory, match=r"\d+\.\d GB to verify, and the limit is 8.0 GB"):
        require_testset(enormous, 8 * GB)
