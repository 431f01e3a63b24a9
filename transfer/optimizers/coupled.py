"""Adam and AMSGrad as they were before AdamW: weight decay is part of the gradient."""

from typing import Any

import keras

ops: Any = keras.ops  # the types in Keras allow for None


@keras.saving.register_keras_serializable("transfer")
class CoupledAdam(keras.optimizers.Adam):
    """Adam (arXiv 1412.6980), or AMSGrad (Reddi et al. 2018), with an L2 price on the weights.

    Its gradient, l2 times the weight, goes through both moments (arXiv 1711.05101, algorithm 2), so
    that weights with large gradients decay less. Keras's own `weight_decay` is AdamW's.
    """

    def __init__(self, learning_rate: float = 1e-3, l2: float = 0.0, **options: Any) -> None:
        super().__init__(learning_rate=learning_rate, **options)
        self.l2 = l2

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step of Adam with the price's gradient added."""
        price = ops.cast(self.l2, variable.dtype) * variable
        super().update_step(ops.cast(gradient, variable.dtype) + price, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same again."""
        return {**super().get_config(), "l2": self.l2}
