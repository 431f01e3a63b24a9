"""Random changes of training pictures, drawn for each picture by itself, a batch at a time."""

from transfer.augmentation.colours import components
from transfer.augmentation.main import Augmentation, augment, chosen
from transfer.augmentation.places import mirrored, turned

__all__ = ["Augmentation", "augment", "chosen", "components", "mirrored", "turned"]
