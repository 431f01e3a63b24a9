"""One Keras model of several members: pixels in, the weighted mean of their probabilities out."""

from collections.abc import Sequence
from typing import Any

import keras

from transfer import backbones, imaging, pooling
from transfer.ensembling.members import Member, Reading, Whole
from transfer.pooling import Block


def classifier(members: Sequence[Member], weights: Sequence[float], size: int) -> keras.Model:
    """Return the ensemble: RGB pictures of any size (0-255) in, probabilities [n, classes] out.

    It looks as every classifier does (`backbones.classifier`): a picture is resized to `size` once;
    members with another input size resize that.

    Args:
        members: those that answer.
        weights: of each in the mean; they add up to 1.
        size: side in pixels, that of the largest member.
    """
    apart = separate(members, size)
    answers: list[Any] = list(apart.outputs)
    mean = answers[0] * float(weights[0])
    for answer, weight in zip(answers[1:], weights[1:], strict=True):
        mean = mean + answer * float(weight)
    whole = keras.Model(apart.input, mean, name=backbones.NETWORK_WITH_HEAD)
    return backbones.classifier(whole)


def separate(members: Sequence[Member], size: int) -> keras.Model:
    """Return the model: RGB pictures [n, size, size, 3] in, what each member says out.

    Members that read the same network share one pass through it, those of one input size the
    resizing to it.
    """
    inputs = keras.Input((size, size, 3), dtype="float32", name="pictures")
    resized: dict[int, Any] = {size: inputs}
    for own in sorted({one.size for one in members} - {size}):
        layer = imaging.resizer(own)
        layer.name = f"resize_{own}"
        resized[own] = layer(inputs)  # not rounded: halves would fall otherwise in other formats
    read: dict[int, dict[str, Any]] = {}
    answers = []
    for number, one in enumerate(members):
        pictures, solution = resized[one.size], one.solution
        if isinstance(solution, Whole):
            answers.append(_named(solution.network, f"member_{number}")(pictures))
            continue
        key = id(solution.backbone)
        if key not in read:
            read[key] = _stages(members, solution, f"network_{number}", pictures)
        parts = [read[key][block.name] for block in solution.blocks]
        joined = keras.layers.Concatenate(name=f"stages_{number}")(parts) if parts[1:] else parts[0]
        answers.append(_named(solution.head, f"head_{number}")(joined))
    return keras.Model(inputs, answers, name="members")


def blocks_read(members: Sequence[Member], like: Reading) -> tuple[Block, ...]:
    """Return the blocks of a network that any member reads, each once, in their order."""
    solutions = [one.solution for one in members]
    same = [s for s in solutions if isinstance(s, Reading) and s.backbone is like.backbone]
    found = {block.name: block for one in same for block in one.blocks}
    return tuple(sorted(found.values(), key=lambda block: block.start))


def _stages(members: Sequence[Member], like: Reading, name: str, pictures: Any) -> dict[str, Any]:
    """Return the tensors of the blocks of one network that the members read, by name."""
    blocks = blocks_read(members, like)
    reading = backbones.reading(like.backbone, [pooling.pooled(block) for block in blocks])
    outputs = _named(reading, name)(pictures)
    listed = outputs if isinstance(outputs, list | tuple) else [outputs]
    return {block.name: tensor for block, tensor in zip(blocks, listed, strict=True)}


def _named(model: keras.Model, name: str) -> keras.Model:
    """Return the same layers under a name that is used once only."""
    outputs = model.outputs if len(model.outputs) > 1 else model.outputs[0]
    return keras.Model(model.inputs[0], outputs, name=name)
