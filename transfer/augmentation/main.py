"""Change a batch of pictures: where pixels come from, their values, what is erased."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import tensorflow as tf

from transfer.augmentation import colours, draws, erasing, places
from transfer.changes import Amounts, Changes
from transfer.changes import amounts as amounts_of

Level = Literal["none", "light", "strong"]


@dataclass(frozen=True)
class Augmentation:
    """What may be changed, and how far.

    "light" crops, mirrors, turns and recolours; "strong" does that, then two operations of
    RandAugment, then random erasing; "none" does what `changes` says.

    Attributes:
        level: what is done where `changes` leaves it open.
        mirror: half of the pictures are mirrored left to right.
        turn: each picture is turned by none, one, two or three quarter turns.
        changes: what is said of each change; goes before the level.
    """

    level: Level = "light"
    mirror: bool = True
    turn: bool = False
    changes: Changes = field(default_factory=Changes)

    @cached_property
    def amounts(self) -> Amounts:
        """How far each change goes."""
        return amounts_of(self.level, self.changes)

    @property
    def nothing(self) -> bool:
        """Whether pictures stay as they are."""
        return not (self.mirror or self.turn) and self.amounts == Amounts()

    def held_size(self, image_size: int) -> int:
        """Return the side at which pictures are held, so that enlarged parts of them are sharp."""
        return round(image_size * self.amounts.scale)


def chosen(policy: Level, changes: Changes, mirror: bool, turn: bool) -> Augmentation | None:
    """Return what a strategy's policy and the user's wishes give together; None: nothing.

    Args:
        policy: the level, where the user says none.
        changes: what the user says.
        mirror: whether pictures may be mirrored.
        turn: whether they may be turned by quarter turns.
    """
    made = Augmentation(policy, mirror, turn, changes)
    return None if made.nothing else made


def augment(
    batch: tf.Tensor,
    settings: Augmentation,
    seed: tf.Tensor,
    components: np.ndarray | None = None,
    size: int | None = None,
) -> tf.Tensor:
    """Change each picture of a batch by itself.

    What rotating, shearing and shifting leave open is filled by reflection at the edge. Grey
    pictures stay grey, but for PCA colour where others are not grey.

    Args:
        batch: float32 [n, side, side, 3] in 0-255.
        settings: what may be changed, and how far. Mixing is not done here: see `mixing`.
        seed: int64 [2]; the same seed gives the same changes.
        components: of `colours.components`, for PCA colour.
        size: side of the result, where `batch` is held at a larger one (`held_size`).

    Returns:
        float32 [n, size, size, 3], clipped to 0-255.
    """
    far, n = settings.amounts, tf.shape(batch)[0]
    drawn = draws.operations(n, far.randaugment, far.magnitude, seed)
    # One resampling and one pass over the colours, whatever was drawn: they cost the most.
    batch = _placed(batch, settings, drawn, seed, size)
    if far.randaugment:
        # Before the colours: rounding may not send equal channels to different steps.
        batch = colours.change_some(batch, drawn["posterize"], colours.posterize)
        batch = colours.change_some(batch, drawn["sharpness"], colours.sharpen)
    if far.colour or far.randaugment:
        factors = 1 + far.colour * (2 * draws.uniform(n, 3, seed, draws.COLOUR) - 1)
        batch = colours.recolour(
            batch,
            factors[:, 0] * (1 + drawn["brightness"]),
            factors[:, 1] * (1 + drawn["contrast"]),
            factors[:, 2] * (1 + drawn["saturation"]),
        )
    if far.pca_colour and components is not None:
        batch += colours.shifts(n, far.pca_colour, components, seed)[:, None, None]
    batch = tf.clip_by_value(batch, 0.0, 255.0)
    return erasing.erase(batch, far.erasing, seed) if far.erasing else batch


def _placed(
    batch: tf.Tensor,
    settings: Augmentation,
    drawn: draws.Operations,
    seed: tf.Tensor,
    size: int | None,
) -> tf.Tensor:
    """Return the pictures with each pixel taken from its new place, [n, size, size, 3]."""
    far, n = settings.amounts, tf.shape(batch)[0]
    side = size or batch.shape[1] or tf.shape(batch)[1]
    flips = (settings.mirror, settings.turn)
    transforms, larger = places.maps(side, drawn, far, flips, seed)
    bent = places.lenses(n, far.lens, seed)

    def moved(pictures: tf.Tensor, affine: tf.Tensor) -> tf.Tensor:
        if places.straight(far, settings.turn):
            return places.crop(pictures, affine, side)
        return places.project(pictures, affine, bent, side)

    if size and batch.shape[1] != size:
        result = places.sharply(batch, transforms, larger, size, moved)
    else:
        result = moved(batch, transforms)
    return tf.ensure_shape(
        result, [batch.shape[0], size or batch.shape[1], size or batch.shape[2], 3]
    )
