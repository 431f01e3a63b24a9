"""Retrain most of the network: the deeper a layer, the more slowly it learns."""

from transfer.changes import POLICIES
from transfer.strategies import fine_tuning
from transfer.strategies.base import Task, Trained
from transfer.strategies.fine_tuning import Policy

POLICY = Policy(
    strategy="finetune_many",
    frozen_level=2,  # edges and simple textures, down to a quarter of the picture's side
    epochs=40,
    least_steps=1_000,
    most_steps=10_000,
    patience=8,
    augmentation=POLICIES["finetune_many"],
    averaging=True,
)


def train(task: Task) -> Trained:
    """Fine-tune all but the first stages: the last at a tenth of the rate, others a hundredth."""
    return fine_tuning.train(task, POLICY)
