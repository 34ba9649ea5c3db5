"""Looking at, and rewriting, a float network before it is quantised."""

from __future__ import annotations

from dataclasses import replace

from circuits.float_network import FloatNetwork
from circuits.layers import INPUT, Add, Conv2d, Dense, Layer, MaxPool, Relu


def pinned(network: FloatNetwork) -> set[str]:
    """Return the layers from which a residual sum is reached before another linear layer."""
    found: set[str] = set()
    for layer in reversed(network.layers):
        if isinstance(layer, Add) or (
            layer.name in found and not isinstance(layer, Dense | Conv2d)
        ):
            found.update(layer.inputs)
    return found


def readers(network: FloatNetwork) -> dict[str, list[Layer]]:
    """Return the layers that read the input and each layer."""
    found: dict[str, list[Layer]] = {layer.name: [] for layer in network.layers}
    found[INPUT] = []
    for layer in network.layers:
        for name in layer.inputs:
            found[name].append(layer)
    return found


def relu_before_pooling(network: FloatNetwork) -> FloatNetwork:
    """Swap a max pool and the ReLU after it, which commute.

    The ReLU then follows the linear layer and becomes part of its `Requantise`.
    """
    read_by = readers(network)
    renamed: dict[str, str] = {}
    moved: dict[str, Layer] = {}
    for pool in network.layers:
        after = read_by[pool.name]
        if isinstance(pool, MaxPool) and len(after) == 1 and isinstance(after[0], Relu):
            relu = after[0]
            moved[pool.name] = Relu(relu.name, pool.inputs, pool.input_shape)
            moved[relu.name] = replace(pool, inputs=(relu.name,))
            renamed[relu.name] = pool.name
    layers = []
    for layer in network.layers:
        inputs = tuple(renamed.get(name, name) for name in layer.inputs)
        if layer.name not in renamed:
            layer = replace(moved.get(layer.name, layer), inputs=inputs)
        else:
            layer = moved[layer.name]
        layers.append(layer)
    return replace(network, layers=tuple(layers))
