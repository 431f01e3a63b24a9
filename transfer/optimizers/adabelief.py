"""AdaBelief: Adam whose steps are large where the gradient comes as expected."""

from typing import Any

import keras

from transfer.optimizers.moments import TwoMoments

ops: Any = keras.ops  # the types in Keras allow for None


@keras.saving.register_keras_serializable("transfer")
class AdaBelief(TwoMoments):
    """AdaBelief (Zhuang et al. 2020, arXiv 2010.07468, algorithm 2).

    The second moment is that of the surprise: s_t = beta_2 s_{t-1} + (1 - beta_2) (g_t - m_t)^2 +
    epsilon.
    """

    # Added to the second moment at each step: Adam's would be 3e-3 in each denominator.
    EPSILON = 1e-14

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step; t counts from 1."""
        gradient, rate, step = self._cast(gradient, variable, learning_rate)
        first, second = self._moments_of(variable)
        self._decay_towards(first, gradient, self.beta_1)
        self._decay_towards(second, ops.square(gradient - first), self.beta_2)
        self.assign_add(second, ops.full_like(second, self.epsilon))
        mean = first / self._weighed(self.beta_1, step)
        surprise = second / self._weighed(self.beta_2, step)
        self.assign_sub(variable, rate * mean / (ops.sqrt(surprise) + self.epsilon))
