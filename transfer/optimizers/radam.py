"""RAdam: Adam that takes no adaptive step before its step sizes can be trusted."""

import math
from typing import Any

import keras

from transfer.optimizers.moments import TwoMoments

ops: Any = keras.ops  # the types in Keras allow for None
_TRUSTED = 4.0  # length of the approximated average from which on its variance is finite


@keras.saving.register_keras_serializable("transfer")
class RAdam(TwoMoments):
    """Rectified Adam (Liu et al. 2020, arXiv 1908.03265, algorithm 2).

    With rho_inf = 2 / (1 - beta_2) - 1 and rho_t = rho_inf - 2 t beta_2^t / (1 - beta_2^t), a step
    is r_t m_hat / sqrt(v_hat) where rho_t > 4, else m_hat alone.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step; t counts from 1."""
        gradient, rate, step = self._cast(gradient, variable, learning_rate)
        first, second = self._moments_of(variable)
        self._decay_towards(first, gradient, self.beta_1)
        self._decay_towards(second, ops.square(gradient), self.beta_2)
        longest = 2.0 / (1.0 - self.beta_2) - 1.0
        # beta_2^t / (1 - beta_2^t), in a form that loses no digits: the fourth is 3.997.
        length = longest - 2.0 * step / ops.expm1(-step * math.log(self.beta_2))
        trusted = length > _TRUSTED
        safe = ops.where(trusted, length, longest)  # no square root of what is negative
        rectified = ops.sqrt(
            (safe - 4.0) * (safe - 2.0) * longest
            / ((longest - 4.0) * (longest - 2.0) * safe)
        )  # fmt: skip
        weight = self._weighed(self.beta_2, step)
        adapted = rectified * ops.sqrt(weight) / (ops.sqrt(second) + self.epsilon)
        mean = first / self._weighed(self.beta_1, step)
        self.assign_sub(variable, rate * mean * ops.where(trusted, adapted, 1.0))
