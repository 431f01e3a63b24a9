"""What the optimizers of Adam's family share: two moving averages for each variable."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import keras

ops: Any = keras.ops  # the types in Keras allow for None


class TwoMoments(keras.optimizers.Optimizer):
    """Keeps a first and a second moment of each variable; weight decay is Keras's, decoupled.

    Args:
        learning_rate: of each step.
        beta_1: how much of the first moment stays at a step.
        beta_2: the same of the second.
        epsilon: keeps denominators from zero.
        options: those of every Keras optimizer, such as `weight_decay`.
    """

    EPSILON: ClassVar[float] = 1e-8

    def __init__(
        self,
        learning_rate: float = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **options)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = self.EPSILON if epsilon is None else epsilon

    def build(self, variables: Sequence[Any]) -> None:
        """Make room for the moments of each variable."""
        if self.built:
            return
        super().build(variables)
        self._first, self._second = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same again."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}

    def _cast(self, gradient: Any, variable: Any, learning_rate: Any) -> tuple[Any, Any, Any]:
        """Return (gradient, rate, number of the step from 1) in the variable's precision."""
        step = ops.cast(self.iterations, variable.dtype) + 1
        rate = ops.cast(learning_rate, variable.dtype)
        return ops.cast(gradient, variable.dtype), rate, step

    def _moments_of(self, variable: Any) -> tuple[Any, Any]:
        index = self._get_variable_index(variable)
        return self._first[index], self._second[index]

    def _decay_towards(self, average: Any, value: Any, kept: float) -> None:
        """Replace the average by kept * average + (1 - kept) * value."""
        self.assign_add(average, (value - average) * (1.0 - kept))

    @staticmethod
    def _weighed(kept: float, step: Any) -> Any:
        """Return 1 - kept^step, the weight of all values so far, exact in single precision too."""
        return -ops.expm1(step * math.log(kept))
