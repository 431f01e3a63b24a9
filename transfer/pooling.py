"""What is kept of each stage: its mean over the picture, and for the last ones over 2x2 parts too.

The 2x2 means keep some of the layout. Head2Toe (arXiv 2201.03529) reads
stages side by side too.
"""

from dataclasses import dataclass
from typing import Any, Literal

import keras

from transfer import stages
from transfer.stages import Stage

_POOLING = ("pool_", "repeat_", "halves_", "grid_")  # the layers of `pooled`
GRID_STAGES = 2  # so many of the last stages are kept as 2x2 means too


@dataclass(frozen=True)
class Block:
    """Neighbouring columns of a picture's vector: one stage, pooled in one way."""

    stage: Stage
    kind: Literal["mean", "grid"]
    start: int

    @property
    def width(self) -> int:
        """Columns: the stage's channels, four times for a grid."""
        return self.stage.channels * (4 if self.kind == "grid" else 1)

    @property
    def columns(self) -> slice:
        """Where in the vector they stand."""
        return slice(self.start, self.start + self.width)

    @property
    def name(self) -> str:
        """A short name, unique within a network: 'stage 4, 2x2'."""
        return f"stage {self.stage.number}" + (", 2x2" if self.kind == "grid" else "")


def blocks(network: keras.Model) -> tuple[Block, ...]:
    """Return the blocks of a network's vector: the means from generic to specific, then the grids.

    The last block of kind "mean" is the finished network's impression (`top`).
    """
    found = stages.find(network)
    wanted = [(stage, "mean") for stage in found]
    wanted += [(stage, "grid") for stage in found[-GRID_STAGES:]]
    made: list[Block] = []
    for stage, kind in wanted:
        start = made[-1].columns.stop if made else 0
        made.append(Block(stage, kind, start))  # pyright: ignore[reportArgumentType]
    return tuple(made)


def means(every: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return one block a stage, from generic to specific."""
    return tuple(block for block in every if block.kind == "mean")


def top(every: tuple[Block, ...]) -> Block:
    """Return the block of the finished network."""
    return means(every)[-1]


def last_means(every: tuple[Block, ...], used: tuple[Block, ...], count: int) -> tuple[Block, ...]:
    """Return the means of the last `count` stages that a head of these blocks has behind it."""
    deepest = max(block.stage.number for block in used)
    return tuple(block for block in means(every) if block.stage.number <= deepest)[-count:]


def last(within: keras.Model, count: int) -> tuple[Block, ...]:
    """Return the means of the last stages of a network that ends in pooled blocks."""
    place = {id(one): number for number, one in enumerate(within.operations)}
    ends = [_unpooled(tensor) for tensor in within.outputs]
    deepest = max(ends, key=lambda tensor: place[id(tensor._keras_history.operation)])
    return means(blocks(keras.Model(within.inputs[0], deepest)))[-count:]


def _unpooled(tensor: Any) -> Any:
    """Return the feature map [n, h, w, c] of whose means a tensor [n, d] is made by `pooled`."""
    while (operation := tensor._keras_history.operation).name.startswith(_POOLING):
        tensor = operation.input
    return tensor


def pooled(block: Block) -> Any:
    """Return the tensor [n, width] of a block, within the graph of its network."""
    tensor = block.stage.tensor
    if block.kind == "mean":
        return keras.layers.GlobalAveragePooling2D(name=f"pool_{block.stage.number}")(tensor)
    sides, number = [int(side) for side in tensor.shape[1:3]], block.stage.number
    if min(sides) < 2:  # nothing to halve
        repeats = [2 if side < 2 else 1 for side in sides]
        tensor = keras.layers.UpSampling2D(tuple(repeats), name=f"repeat_{number}")(tensor)
        sides = [max(2, side) for side in sides]
    # The middle of an odd side belongs to both halves.
    halves, steps = [side - side // 2 for side in sides], [side // 2 for side in sides]
    parts = keras.layers.AveragePooling2D(tuple(halves), tuple(steps), name=f"halves_{number}")
    return keras.layers.Flatten(name=f"grid_{number}")(parts(tensor))
