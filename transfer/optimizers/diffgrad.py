"""diffGrad: Adam that slows down where the gradient no longer changes."""

from collections.abc import Sequence
from typing import Any

import keras

from transfer.optimizers.moments import TwoMoments

ops: Any = keras.ops  # the types in Keras allow for None


@keras.saving.register_keras_serializable("transfer")
class DiffGrad(TwoMoments):
    """diffGrad (Dubey et al. 2019, arXiv 1909.11015, section III).

    Adam's step times the friction 1 / (1 + exp(-|g_{t-1} - g_t|)), between a half and one.
    """

    def build(self, variables: Sequence[Any]) -> None:
        """Make room for the moments and the last gradient of each variable."""
        if self.built:
            return
        super().build(variables)
        self._last = self.add_optimizer_variables(variables, "last_gradient")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step; t counts from 1."""
        gradient, rate, step = self._cast(gradient, variable, learning_rate)
        first, second = self._moments_of(variable)
        last = self._last[self._get_variable_index(variable)]
        self._decay_towards(first, gradient, self.beta_1)
        self._decay_towards(second, ops.square(gradient), self.beta_2)
        friction = ops.sigmoid(ops.abs(last - gradient))
        mean = first / self._weighed(self.beta_1, step)
        spread = ops.sqrt(second / self._weighed(self.beta_2, step))
        self.assign_sub(variable, rate * friction * mean / (spread + self.epsilon))
        self.assign(last, gradient)
