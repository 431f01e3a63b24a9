"""The strategies of the decision table, one file each, behind one signature: Task -> Trained."""

from transfer.strategies import finetune_few, finetune_many, linear_stages, linear_top
from transfer.strategies.base import Strategy, Task, Trained
from transfer.strategies.fine_tuning import Policy

__all__ = ["POLICIES", "REGISTRY", "Strategy", "Task", "Trained"]

REGISTRY: dict[str, Strategy] = {
    "linear_top": linear_top.train,
    "linear_stages": linear_stages.train,
    "finetune_few": finetune_few.train,
    "finetune_many": finetune_many.train,
}
POLICIES: dict[str, Policy] = {
    one.POLICY.strategy: one.POLICY for one in (finetune_few, finetune_many)
}
