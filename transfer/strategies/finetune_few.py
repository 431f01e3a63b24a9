"""Retrain the network's last part: the head first, then the last stages at a tenth of its rate."""

from transfer.changes import POLICIES
from transfer.strategies import fine_tuning
from transfer.strategies.base import Task, Trained
from transfer.strategies.fine_tuning import Policy

POLICY = Policy(
    strategy="finetune_few",
    frozen_level=-1,  # all but the network's last resolution
    epochs=20,
    least_steps=500,
    most_steps=5_000,
    patience=5,
    augmentation=POLICIES["finetune_few"],
    averaging=False,
)


def train(task: Task) -> Trained:
    """Fine-tune what follows the last stage but one."""
    return fine_tuning.train(task, POLICY)
