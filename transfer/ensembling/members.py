"""What a member of an ensemble is: what it said of pictures it had not learned, and its network."""

from dataclasses import dataclass

import keras
import numpy as np

from transfer.backbones import Backbone
from transfer.evaluation import Accuracy
from transfer.pooling import Block


@dataclass(frozen=True)
class Reading:
    """A head on some blocks of a backbone that stays as it was pretrained.

    `head` maps the blocks side by side [n, d] to probabilities [n, classes]. Members that read the
    same backbone share one forward pass through it.
    """

    backbone: Backbone
    blocks: tuple[Block, ...]
    head: keras.Model


@dataclass(frozen=True)
class Whole:
    """A network of its own: RGB pictures [n, size, size, 3] in 0-255 to probabilities."""

    network: keras.Model
    size: int


@dataclass(frozen=True)
class Tuned:
    """Networks that are alike up to one place and were trained from there on.

    `lower` maps RGB pictures [n, size, size, 3] in 0-255 to that place's tensor; each of `uppers`
    maps that to probabilities, of which the mean answers. Members of one `lower` share one pass
    through it.
    """

    lower: keras.Model
    uppers: tuple[keras.Model, ...]
    size: int


@dataclass(frozen=True)
class Member:
    """One classifier that may answer with others.

    `name` is for people, `run` names where it comes from, `kind` is one of `planning.KINDS`,
    "linear" or "run". `held_out` are probabilities float32 [n, classes] for pictures that it had
    not learned from when it said them: of training and validation, or of validation alone;
    `validation` is its accuracy on the validation pictures, `test` that of its own test where it
    had one before. `refitted` says whether what answers has learned from the validation pictures in
    the end.
    """

    name: str
    run: str
    held_out: np.ndarray
    validation: Accuracy
    solution: Reading | Whole | Tuned
    test: Accuracy | None = None
    refitted: bool = True
    kind: str = "linear"

    @property
    def size(self) -> int:
        """Side of its input in pixels."""
        one = self.solution
        return one.backbone.image_size if isinstance(one, Reading) else one.size

    @property
    def passes(self) -> int:
        """Stands for the network that its pictures pass through; members of one share the pass."""
        one = self.solution
        if isinstance(one, Reading):
            return id(one.backbone)
        return id(one.lower if isinstance(one, Tuned) else one.network)
