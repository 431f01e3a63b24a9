"""The strategies of the decision table, one file each, behind one signature: Task -> Trained."""

from transfer.strategies import finetune_few, finetune_many, linear_stages, linear_top
from transfer.strategies.base import Strategy, Task, Trained

__all__ = ["REGISTRY", "Strategy", "Task", "Trained"]

REGISTRY: dict[str, Strategy] = {
    "linear_top": linear_top.train,
    "linear_stages": linear_stages.train,
    "finetune_few": finetune_few.train,
    "finetune_many": finetune_many.train,
}
