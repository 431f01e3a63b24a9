"""Find the stages of a network in its graph: its narrow places, from generic to specific."""

import math
from dataclasses import dataclass
from typing import Any

import keras

# They pass on what another operation made, at another size or not at all changed.
_NOT_A_STAGE = (
    keras.layers.InputLayer,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.Dropout,
)


@dataclass(frozen=True)
class Stage:
    """One narrow place of a network.

    `number` counts from 1, from the picture on; `layer` is the operation's name in the graph (some
    networks number theirs by a global counter: a name, not a key); `level` says how often the
    picture's side has been halved; `place` is the operation's position in topological order and
    `tensor` what it gives: [n, h, w, channels].
    """

    number: int
    layer: str
    level: int
    channels: int
    place: int
    tensor: Any


@dataclass(frozen=True)
class _Node:
    """One operation: `skips` connections pass by it, so that it does not see all of the picture."""

    operation: Any
    level: int
    skips: int
    place: int


def find(network: keras.Model) -> tuple[Stage, ...]:
    """Return for each resolution of the network its last place through which all paths pass.

    Where paths pass by every place of a resolution (NASNet hands on two at a time), it is the last
    of those with the fewest. The last stage is always the network's output. Resolutions that are
    not smaller than the picture are none.

    Args:
        network: from preprocessed pictures [n, s, s, 3] to a feature map [n, h, w, channels].

    Returns:
        The stages from the picture on, a handful.
    """
    nodes = _nodes(network)
    last = next(node for node in reversed(nodes) if node.operation.output is network.output)
    chosen: dict[int, _Node] = {}
    for node in nodes[: nodes.index(last)]:
        best = chosen.get(node.level)
        if 0 < node.level < last.level and (best is None or node.skips <= best.skips):
            chosen[node.level] = node
    ordered = [*sorted(chosen.values(), key=lambda node: node.place), last]
    return tuple(_stage(number, node) for number, node in enumerate(ordered, start=1))


def cuts(network: keras.Model) -> tuple[Stage, ...]:
    """Return every place through which all paths pass, in order, numbered from 1.

    What comes after such a place depends on the picture only through its tensor, so all that comes
    before need not be computed again while it stays as it is.
    """
    whole = [node for node in _nodes(network) if node.skips == 0]
    return tuple(_stage(number, node) for number, node in enumerate(whole, start=1))


def _nodes(network: keras.Model) -> list[_Node]:
    """Return the operations that give one feature map, in topological order."""
    operations = network.operations  # Keras sorts them by depth
    place = {id(operation): i for i, operation in enumerate(operations)}
    # passing[i]: connections that begin before operation i and end after it.
    begins = [0] * (len(operations) + 1)
    for i, operation in enumerate(operations):
        for parent in {id(one): one for one in parents(operation)}.values():
            begin = place.get(id(parent))
            if begin is not None and begin + 1 < i:
                begins[begin + 1] += 1
                begins[i] -= 1
    side = int(network.input.shape[1])
    nodes, passing = [], 0
    for i, operation in enumerate(operations):
        passing += begins[i]
        shape = getattr(operation.output, "shape", ())
        if len(shape) == 4 and not isinstance(operation, _NOT_A_STAGE):
            nodes.append(_Node(operation, round(math.log2(side / int(shape[1]))), passing, i))
    return nodes


def _stage(number: int, node: _Node) -> Stage:
    output = node.operation.output
    channels = int(output.shape[-1])
    return Stage(number, node.operation.name, node.level, channels, node.place, output)


def parents(operation: Any) -> list[Any]:
    """Return the operations whose tensors one reads, in the graph that it was built in."""
    if isinstance(operation, keras.layers.InputLayer):
        return []
    given = keras.tree.flatten(operation.input)
    tensors = [one for one in given if isinstance(one, keras.KerasTensor)]
    return [one._keras_history.operation for one in tensors]  # pyright: ignore[reportAttributeAccessIssue]
