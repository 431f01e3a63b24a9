"""Where in a network fine-tuning begins, and which layers learn at which rate."""

import re
from dataclasses import dataclass

import keras

from transfer import backbones, stages
from transfer.backbones import Backbone
from transfer.stages import Stage

_TOP_RATE = 1 / 10  # of the head's rate, as in the lectures
_MIDDLE_RATE = 1 / 100
_NARROW = 2  # times the fewest channels of a resolution: what is kept of each picture stays small


@dataclass(frozen=True)
class Plan:
    """Below `cut` nothing is trained; places in graph order after which layers learn.

    Layers after `top_from` learn at a tenth of the head's rate, those between `trained_from` and it
    at a hundredth.
    """

    cut: Stage
    trained_from: int
    top_from: int


def plan(network: keras.Model, frozen_level: int) -> Plan:
    """Choose where training begins: the last narrow place of the frozen level.

    Args:
        network: a backbone.
        frozen_level: the last level that stays as it is: how often the side has been halved. If
            not positive, counted from the last level that has kernels.
    """
    found, cuts = stages.find(network), stages.cuts(network)
    deepest = _last_level_with_kernels(network, found)
    level = frozen_level if frozen_level > 0 else deepest + frozen_level
    # At least the first stage stays, and at least the last learns.
    level = min(max(level, found[0].level), deepest - 1)
    start = _end_of(level, found, cuts)
    # Where connections pass by (NASNet) the cut lies before the start; what is between is frozen.
    cut = max((one for one in cuts if one.place <= start), key=lambda one: one.place)
    return Plan(cut, start, max(start, _end_of(deepest - 1, found, cuts)))


def freeze(backbone: Backbone, chosen: Plan) -> None:
    """Freeze what comes before the plan's start, and every BatchNormalization."""
    backbones.freeze_batch_norm(backbone.network)
    for layer in _layers(backbone, 0, chosen.trained_from + 1):
        layer.trainable = False


def rates(backbone: Backbone, chosen: Plan, rate: float) -> tuple[dict[str, float], float]:
    """Return (rates by pattern of variable paths, the rate of all others) for a head's rate."""
    head = {f"{backbones.HEAD}/.*": rate}
    if chosen.top_from == chosen.trained_from:
        return head, rate * _TOP_RATE
    top = _layers(backbone, chosen.top_from + 1, len(backbone.network.operations))
    paths = [re.escape(variable.path) for layer in top for variable in layer.trainable_variables]
    return {**head, "|".join(paths): rate * _TOP_RATE}, rate * _MIDDLE_RATE


def _layers(backbone: Backbone, start: int, stop: int) -> list[keras.layers.Layer]:
    some = backbone.network.operations[start:stop]
    return [operation for operation in some if isinstance(operation, keras.layers.Layer)]


def _last_level_with_kernels(network: keras.Model, found: tuple[Stage, ...]) -> int:
    """Return the last level in which kernels are (VGG ends in a pooling layer)."""
    for earlier, stage in zip(reversed(found[:-1]), reversed(found[1:]), strict=True):
        some = network.operations[earlier.place + 1 : stage.place + 1]
        if any(len(value.shape) >= 4 for one in some for value in getattr(one, "weights", ())):
            return stage.level
    return found[-1].level


def _end_of(level: int, found: tuple[Stage, ...], cuts: tuple[Stage, ...]) -> int:
    """Return the place after which the next level begins: a narrow one where all paths meet."""
    same = [one for one in cuts if one.level == level]
    if same:
        least = min(one.channels for one in same)
        return max(one.place for one in same if one.channels <= _NARROW * least)
    return max((one.place for one in found if one.level <= level), default=found[0].place)
