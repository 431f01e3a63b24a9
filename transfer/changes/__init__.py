"""What may be done to training pictures: settings, a menu of them, and what each does to labels.

Nothing here imports TensorFlow; `transfer.augmentation` does what these settings say.
"""

from transfer.changes.choices import CHOICES, Choice
from transfer.changes.keeping import statements
from transfer.changes.settings import LEVELS, POLICIES, RANGES, Amounts, Changes, amounts, parsed

__all__ = [
    "CHOICES",
    "LEVELS",
    "POLICIES",
    "RANGES",
    "Amounts",
    "Changes",
    "Choice",
    "amounts",
    "parsed",
    "statements",
]
