"""One Keras model of several members: pixels in, the weighted mean of their probabilities out."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import keras

from transfer import backbones, imaging, outputs, pooling
from transfer.ensembling.members import Member, Reading, Tuned
from transfer.pooling import Block


def classifier(
    members: Sequence[Member], weights: Sequence[float], size: int, factor: float = 1.0
) -> keras.Model:
    """Return the ensemble: RGB pictures of any size (0-255) in, probabilities [n, classes] out.

    It looks as every classifier does (`backbones.classifier`): a picture is resized to `size` once;
    members with another input size resize that. The name of the network with the most weight ends
    in `outputs.TOLD`: by its stages the model tells what is strange to it.

    Args:
        members: those that answer.
        weights: of each in the mean; they add up to 1.
        size: side in pixels, that of the largest member.
        factor: of all logits of the mean: 1 / temperature.
    """
    apart = _Apart(members, size, _told(members, weights))
    mean = apart.answers[0] * float(weights[0])
    for answer, weight in zip(apart.answers[1:], weights[1:], strict=True):
        mean = mean + answer * float(weight)
    if factor != 1:
        mean = outputs.sharpened(mean, factor)
    whole = keras.Model(apart.inputs, mean, name=backbones.NETWORK_WITH_HEAD)
    return backbones.classifier(whole)


def separate(members: Sequence[Member], size: int) -> keras.Model:
    """Return the model: RGB pictures [n, size, size, 3] in, what each member says out.

    Members that read the same network share one pass through it, those of one input size the
    resizing to it.
    """
    apart = _Apart(members, size)
    return keras.Model(apart.inputs, apart.answers, name="members")


def blocks_read(members: Sequence[Member], like: Reading) -> tuple[Block, ...]:
    """Return the blocks of a network that any member reads, each once, in their order."""
    solutions = [one.solution for one in members]
    same = [s for s in solutions if isinstance(s, Reading) and s.backbone is like.backbone]
    found = {block.name: block for one in same for block in one.blocks}
    return tuple(sorted(found.values(), key=lambda block: block.start))


def _told(members: Sequence[Member], weights: Sequence[float]) -> int:
    """Return the number of the weightiest member on the network with the most weight in all."""
    total: dict[int, float] = defaultdict(float)
    for one, weight in zip(members, weights, strict=True):
        total[one.passes] += weight
    return max(range(len(members)), key=lambda i: (total[members[i].passes], weights[i]))


class _Apart:
    """The graph of the members, before anything is made of their answers.

    `told` is the number of the member whose network gets a name that ends in `outputs.TOLD`.
    """

    def __init__(self, members: Sequence[Member], size: int, told: int | None = None) -> None:
        self._members, self._told = members, told
        self.inputs: Any = keras.Input((size, size, 3), dtype="float32", name="pictures")
        self._resized: dict[int, Any] = {size: self.inputs}
        for own in sorted({one.size for one in members} - {size}):
            layer = imaging.resizer(own)
            layer.name = f"resize_{own}"
            # Not rounded: halves would fall otherwise in other formats.
            self._resized[own] = layer(self.inputs)
        self._passed: dict[int, Any] = {}
        self.answers = [self._answer(number) for number in range(len(members))]

    def _answer(self, number: int) -> Any:
        one = self._members[number].solution
        if isinstance(one, Reading):
            return _named(one.head, f"head_{number}")(self._stages(number, one))
        if isinstance(one, Tuned):
            return self._tuned(number, one)
        name = f"member_{number}{outputs.TOLD if number == self._told else ''}"
        return _named(one.network, name)(self._given(number))

    def _given(self, number: int) -> Any:
        return self._resized[self._members[number].size]

    def _stages(self, number: int, one: Reading) -> Any:
        """Return the blocks that a head reads, side by side."""
        key = self._members[number].passes
        if key not in self._passed:
            blocks = blocks_read(self._members, one)
            reading = backbones.reading(one.backbone, [pooling.pooled(block) for block in blocks])
            told = self._told is not None and self._members[self._told].passes == key
            network = _named(reading, f"network_{number}{outputs.TOLD if told else ''}")
            found = network(self._given(number))
            listed = found if isinstance(found, list | tuple) else [found]
            self._passed[key] = {b.name: some for b, some in zip(blocks, listed, strict=True)}
        parts = [self._passed[key][block.name] for block in one.blocks]
        return keras.layers.Concatenate(name=f"stages_{number}")(parts) if parts[1:] else parts[0]

    def _tuned(self, number: int, one: Tuned) -> Any:
        """Return the mean of what the upper parts say of what the lower one gives."""
        key = self._members[number].passes
        if key not in self._passed:
            self._passed[key] = _named(one.lower, f"network_{number}")(self._given(number))
        first = f"{number}{outputs.TOLD if number == self._told else ''}"
        names = [first, *(f"{number}_{i}" for i in range(1, len(one.uppers)))]
        said = [
            _named(upper, f"member_{name}")(self._passed[key])
            for upper, name in zip(one.uppers, names, strict=True)
        ]
        return keras.layers.Average(name=f"mean_{number}")(said) if said[1:] else said[0]


def _named(model: keras.Model, name: str) -> keras.Model:
    """Return the same layers under a name that is used once only."""
    said = model.outputs if len(model.outputs) > 1 else model.outputs[0]
    return keras.Model(model.inputs[0], said, name=name)
