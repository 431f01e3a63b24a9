"""Facts about the expert's choices: optimizers, schedules, regularisation, a line on each.

Menus, the command line and the checks of the settings read them here. Nothing imports Keras.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from transfer.errors import SettingsError


@dataclass(frozen=True)
class Choice:
    """One entry of a menu: what it does and when to take it, in a line for its user."""

    name: str
    title: str
    summary: str


@dataclass(frozen=True)
class OptimizerSpec(Choice):
    """A rule by which gradients become steps.

    It learns at `rate_scale` times the learning rate that is set, so that one setting means about
    the same with all of them: that of AdamW. Of the powers of ten, ten did best for SGD and AdaGrad
    where the last stages of MobileNetV2 learned from two small sets.
    """

    rate_scale: float = 1.0


@dataclass(frozen=True)
class Setting:
    """One number, switch or menu of the toolbox.

    `name` is the field of `Recipe`, or of `RunConfig` where not `in_recipe`. Numbers lie between
    `low` and `high`, whole ones where `kind` is int.
    """

    name: str
    title: str
    summary: str
    kind: type
    low: float = 0.0
    high: float = 0.0
    in_recipe: bool = True
    choices: tuple[Choice, ...] = ()

    @property
    def option(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")


_Chosen = TypeVar("_Chosen", bound=Choice)

OPTIMIZERS = (
    OptimizerSpec(
        "adamw",
        "AdamW",
        "A step of its own size for each weight, and weight decay apart from the gradient. The"
        " default: right nearly always.",
    ),
    OptimizerSpec(
        "sgd",
        "SGD",
        "Plain steps down the slope. Slow, but the simplest to understand and to reason about.",
        rate_scale=10.0,
    ),
    OptimizerSpec(
        "momentum",
        "SGD with momentum",
        "Steps that keep nine tenths of their speed. The classic: often the best in the end, if"
        " you have time to try learning rates.",
        rate_scale=10.0,
    ),
    OptimizerSpec(
        "nesterov",
        "Nesterov momentum",
        "Momentum that looks ahead before it steps. Take it where plain momentum overshoots.",
        rate_scale=10.0,
    ),
    OptimizerSpec(
        "adagrad",
        "AdaGrad",
        "Weights that moved much move ever less. For rare features; in long trainings it comes to a"
        " halt.",
        rate_scale=10.0,
    ),
    OptimizerSpec(
        "rmsprop",
        "RMSProp",
        "AdaGrad that forgets, so it never comes to a halt. Take it where Adam's momentum"
        " overshoots.",
    ),
    OptimizerSpec(
        "adam",
        "Adam",
        "RMSProp with momentum. As AdamW, but weight decay goes through the gradient: take it to"
        " compare with older results.",
    ),
    OptimizerSpec(
        "amsgrad",
        "AMSGrad",
        "Adam whose steps can only get smaller. Take it where Adam's loss jumps late in training.",
    ),
    OptimizerSpec(
        "radam",
        "RAdam",
        "Adam that waits until it has seen enough to trust its step sizes. Take it with very few"
        " pictures, or without a warm-up.",
    ),
    OptimizerSpec(
        "adabelief",
        "AdaBelief",
        "Adam with large steps where gradients come as expected, and small ones where they"
        " surprise. Take it for Adam's speed and momentum's good end.",
    ),
    OptimizerSpec(
        "diffgrad",
        "diffGrad",
        "Adam that slows down where the gradient no longer changes. Take it where Adam jumps over"
        " the best point.",
    ),
)

SCHEDULES = (
    Choice(
        "cosine",
        "Cosine",
        "Full at first, then gently down to nothing. The default: nothing to set.",
    ),
    Choice(
        "step",
        "Steps",
        "Full, then a tenth, then a hundredth, at equal distances. Classic for long trainings with"
        " momentum.",
    ),
    Choice(
        "exponential",
        "Exponential",
        "Down by the same share at every step, to a hundredth. Take it where late steps do harm.",
    ),
    Choice(
        "inverse",
        "1/t",
        "Fast down at first, then ever more slowly, to a hundredth. What the theory of SGD asks"
        " for; often too careful.",
    ),
    Choice(
        "cyclic",
        "Cyclic",
        "Up and down between a quarter and full, several times. Take it where you do not know the"
        " right rate.",
    ),
    Choice(
        "restarts",
        "Cosine, again and again",
        "Full, gently down to nothing, and full again, several times. Each end is a solution of its"
        " own: an ensemble can take them all (snapshots).",
    ),
    Choice(
        "one_cycle",
        "One cycle",
        "Up from a tenth to full, down again, and almost nothing at the end. Bears a higher rate:"
        " take it for short trainings.",
    ),
    Choice(
        "plateau",
        "On plateau",
        "Full until the validation loss stops falling, then a tenth. Take it where you do not know"
        " how long to train; needs enough validation pictures.",
    ),
    Choice(
        "constant",
        "Constant",
        "The same rate throughout. For comparisons: the end is rougher than with all others.",
    ),
)

SETTINGS = (
    Setting(
        "optimizer", "Optimizer", "How gradients become steps.", str, choices=OPTIMIZERS
    ),
    Setting(
        "schedule",
        "Schedule of the rate",
        "How the learning rate changes in the course of the training.",
        str,
        choices=SCHEDULES,
    ),
    Setting(
        "warm_up",
        "Warm-up",
        "Share of the steps in which the rate rises from zero. Keeps the first, rough steps from"
        " spoiling what the network knows.",
        float, 0.0, 0.9,
    ),
    Setting(
        "learning_rate",
        "Learning rate",
        "The size of the steps of the classifier; the network's own layers take a tenth and a"
        " hundredth of it. Lower it if the loss jumps, raise it if nothing moves.",
        float, 1e-8, 100.0, in_recipe=False,
    ),
    Setting(
        "drop",
        "Drop",
        "What is left of the rate at each drop of the schedules ‘steps’ and ‘on plateau’.",
        float, 1e-3, 0.99,
    ),
    Setting(
        "drops",
        "Number of drops",
        "How often the schedule ‘steps’ lowers the rate.",
        int, 1, 20,
    ),
    Setting(
        "cycles",
        "Cycles",
        "How often ‘cyclic’ goes up and down, and ‘cosine, again and again’ begins.",
        int, 1, 100,
    ),
    Setting(
        "plateau_patience",
        "Patience of the plateau",
        "Epochs without a lower validation loss before the schedule ‘on plateau’ lowers the rate.",
        int, 1, 100,
    ),
    Setting(
        "batch_size",
        "Pictures a step",
        "More make smoother steps and need more memory; fewer find good ends more often.",
        int, 1, 4096, in_recipe=False,
    ),
    Setting(
        "weight_decay",
        "Weight decay",
        "Shrinks every weight a little at each step. The first thing to raise against overfitting.",
        float, 0.0, 10.0, in_recipe=False,
    ),
    Setting(
        "l1",
        "L1",
        "A price on the size of each weight, which pushes many to exactly zero. For few features"
        " that count among many; with L2 as well it is the elastic net.",
        float, 0.0, 10.0,
    ),
    Setting(
        "l2",
        "L2",
        "A price on the squared weights: as weight decay, but through the gradient. With L1 as well"
        " it is the elastic net.",
        float, 0.0, 10.0,
    ),
    Setting(
        "dropout",
        "Dropout",
        "Share of the classifier's inputs that each step leaves out, so that it relies on no single"
        " one. Raise it against overfitting.",
        float, 0.0, 0.95, in_recipe=False,
    ),
    Setting(
        "drop_connect",
        "DropConnect",
        "Share of the classifier's single connections that each step leaves out: finer than"
        " dropout. Take one of the two.",
        float, 0.0, 0.95,
    ),
    Setting(
        "label_smoothing",
        "Label smoothing",
        "Share of each label that is spread over all classes, so that a wrong label does less harm."
        " Raise it where labels are doubtful.",
        float, 0.0, 0.9,
    ),
    Setting(
        "frozen_level",
        "Frozen levels",
        "How often the picture has been halved where learning begins: lower numbers train more"
        " layers; 0 and below count from the end.",
        int, -10, 10,
    ),
    Setting(
        "early_stopping",
        "Early stopping",
        "Ends where the validation loss no longer falls. The best epoch is kept either way.",
        bool,
    ),
    Setting(
        "patience",
        "Patience",
        "Epochs without a lower validation loss before early stopping ends the training.",
        int, 1, 1000, in_recipe=False,
    ),
)  # fmt: skip
"""In the order of a page: how it steps, then what holds it back."""


def optimizer(name: str) -> OptimizerSpec:
    """Return the facts of one optimizer.

    Raises:
        SettingsError: there is none of that name; the message suggests the nearest.
    """
    return _named(name, OPTIMIZERS, "optimizer")


def schedule(name: str) -> Choice:
    """Return the facts of one schedule.

    Raises:
        SettingsError: there is none of that name; the message suggests the nearest.
    """
    return _named(name, SCHEDULES, "schedule")


def setting(name: str) -> Setting:
    """Return the facts of one setting of the toolbox."""
    return next(one for one in SETTINGS if one.name == name)


def _named(name: str, known: Sequence[_Chosen], what: str) -> _Chosen:
    names = [one.name for one in known]
    if name in names:
        return known[names.index(name)]
    nearest = difflib.get_close_matches(str(name).casefold(), names, n=1, cutoff=0.6)
    told = f" Did you mean '{nearest[0]}'?" if nearest else f" Choose one of: {', '.join(names)}."
    raise SettingsError(f"There is no {what} '{name}'.{told}")
