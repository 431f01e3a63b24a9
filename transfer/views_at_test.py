"""Several views of each picture, whose logits are averaged: inside the model, as layers.

    none         the picture as it is
    flip         it and its mirror image
    ten-crops    the four corners and the middle, 7/8 of each side, and their mirror images
                 (Krizhevsky et al. 2012: 224 of 256 pixels)
    multi-scale  the same at five scales, as the lectures do: sides of 224, 256, 384, 480 and 640
                 pixels for an input of 224 (He et al. 2016). At the first all crops are the whole
                 picture, which is looked at once.

A mirror image is taken only where that keeps the label; else half of the views are left out. The
picture is brought to the largest of these sides first, and that is the size which such a model
reads. Logits and not probabilities are averaged, so that one temperature scales the answers exactly
as it scales the head. All of it is Keras's own, so that the views travel with the model.
"""

from typing import Any

import keras

from transfer import backbones, catalog, imaging, outputs
from transfer.errors import SettingsError

_SCALES = {
    "none": (224,),
    "flip": (224,),
    "ten-crops": (256,),
    "multi-scale": (224, 256, 384, 480, 640),
}  # of a side, for an input of 224
_INPUT = 224
_FIVE = ((0.5, 0.5), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))  # down, right

ops: Any = keras.ops  # the types in Keras allow for None


def views(kind: str, mirror: bool) -> int:
    """Return how many views of a picture the network looks at.

    Raises:
        SettingsError: there is no such kind.
    """
    catalog.check_test_time(kind)
    crops = sum(1 if scale == _INPUT else len(_FIVE) for scale in _SCALES[kind])
    return crops * (2 if mirror and kind != "none" else 1)


def with_views(model: keras.Model, kind: str, mirror: bool) -> keras.Model:
    """Return a `backbones.classifier` that looks at several views; it shares the weights.

    Args:
        model: pixels [n, height, width, 3] of any size to probabilities.
        kind: one of `catalog.TEST_TIME`.
        mirror: whether a mirror image keeps its label.

    Raises:
        SettingsError: there is no such kind, or the model is not one network with a head, or it
            looks at several views already.
    """
    if views(kind, mirror) == 1:
        return model
    network = backbones.after_resizing(model)
    if not any(layer.name == backbones.HEAD for layer in network.layers):
        raise SettingsError(
            "Views at test time are for a model of one network that looks at the picture alone."
            " Choose such a run: one of the members of an ensemble, or the run without views."
        )
    size = backbones.side(network)
    sides = [round(size * scale / _INPUT) for scale in _SCALES[kind]]
    largest = max(sides)
    pictures = keras.Input((largest, largest, 3), dtype="float32", name="large_pictures")
    cut = [view for side in sides for view in _crops(pictures, largest, side, size)]
    if mirror:
        cut += [ops.flip(view, axis=2) for view in cut]
    together = keras.layers.Concatenate(axis=0, name=backbones.VIEWS)(cut)
    answers = outputs.joined(network(together), len(cut))
    return backbones.classifier(keras.Model(pictures, answers, name=network.name))


def _crops(pictures: Any, largest: int, side: int, size: int) -> list[Any]:
    """Return the crops [n, size, size, 3] of pictures at one scale, in whole numbers."""
    if side != largest:
        pictures = ops.round(imaging.resizer(side, f"resize_{side}")(pictures))
    if side == size:
        return [pictures]
    room = side - size
    found = []
    for down, right in _FIVE:
        top, left = round(down * room), round(right * room)
        found.append(keras.layers.Cropping2D(((top, room - top), (left, room - left)))(pictures))
    return found
