"""Read the network's last impression: a linear classifier on its pooled last feature map."""

from transfer import pooling
from transfer.strategies import heads
from transfer.strategies.base import Task, Trained


def train(task: Task) -> Trained:
    """Fit a ridge classifier on the last stage alone, its strength by leave-one-out.

    The refitted model learns from training and validation pictures at the same strength.
    """
    block = pooling.top(task.features.blocks)
    probe = heads.probe(task, block, tell=True)
    head = probe.head
    model = heads.model(task, head, (block,))
    return Trained(
        strategy="linear_top",
        model=model,
        history=(heads.history_row(task, head, (block,)),),
        ended="closed form",
        refit=lambda: heads.refit(model, heads.refitted(task, block, head)),
        held_out=probe.held_out,
        factor=head.temperature,
        vectors=heads.impressions(task, (block,)),
    )
