"""One function for every optimizer of the toolbox; those that Keras lacks are in this folder."""

from collections.abc import Callable

import keras

from transfer import toolbox
from transfer.optimizers.adabelief import AdaBelief
from transfer.optimizers.coupled import CoupledAdam
from transfer.optimizers.diffgrad import DiffGrad
from transfer.optimizers.radam import RAdam

__all__ = ["REGISTRY", "AdaBelief", "CoupledAdam", "DiffGrad", "RAdam", "make"]

_MOMENTUM = 0.9

Maker = Callable[[float, float], keras.optimizers.Optimizer]

REGISTRY: dict[str, Maker] = {
    "adamw": lambda rate, decay: keras.optimizers.AdamW(rate, weight_decay=decay),
    "sgd": lambda rate, decay: keras.optimizers.SGD(rate, weight_decay=decay),
    "momentum": lambda rate, decay: keras.optimizers.SGD(rate, _MOMENTUM, weight_decay=decay),
    "nesterov": lambda rate, decay: keras.optimizers.SGD(
        rate, _MOMENTUM, nesterov=True, weight_decay=decay
    ),
    "adagrad": lambda rate, decay: keras.optimizers.Adagrad(rate, weight_decay=decay),
    "rmsprop": lambda rate, decay: keras.optimizers.RMSprop(rate, weight_decay=decay),
    "adam": lambda rate, decay: CoupledAdam(rate, l2=decay),
    "amsgrad": lambda rate, decay: CoupledAdam(rate, l2=decay, amsgrad=True),
    "radam": lambda rate, decay: RAdam(rate, weight_decay=decay),
    "adabelief": lambda rate, decay: AdaBelief(rate, weight_decay=decay),
    "diffgrad": lambda rate, decay: DiffGrad(rate, weight_decay=decay),
}


def make(name: str, rate: float, weight_decay: float) -> keras.optimizers.Optimizer:
    """Return an optimizer that steps about as far as AdamW does at this rate.

    Its own rate is `rate` times `toolbox.OptimizerSpec.rate_scale`. Weight decay takes away
    `rate * weight_decay` of each weight at a step whatever the optimizer, save Adam and AMSGrad:
    there it is added to the gradient, as it was before AdamW (arXiv 1711.05101).

    Raises:
        SettingsError: there is none of that name.
    """
    scale = toolbox.optimizer(name).rate_scale
    return REGISTRY[name](rate * scale, weight_decay / scale)
