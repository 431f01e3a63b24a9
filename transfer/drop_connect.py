"""A dense layer that forgets single connections while it learns (DropConnect)."""

from typing import Any

import keras

ops: Any = keras.ops  # the types in Keras allow for None


@keras.saving.register_keras_serializable("transfer")
class DropConnect(keras.layers.Dense):
    """A dense layer whose weights are left out at random in training (Wan et al., ICML 2013).

    Each picture has a mask of its own for the kernel and for the bias (section 3); what stays is
    scaled up by 1 / (1 - rate), so that the answer is right on average and nothing is left to do
    at inference: there it is the dense layer with the same weights. Training takes the memory of
    one kernel for each picture of a batch.

    Args:
        units: number of outputs.
        rate: share of the weights that are left out, from 0 to below 1.
        options: those of `keras.layers.Dense`.
    """

    def __init__(self, units: int, rate: float, **options: Any) -> None:
        super().__init__(units, **options)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Map [n, features] to [n, units]."""
        if not training or not self.rate:
            return super().call(inputs)
        pictures = ops.shape(inputs)[0]
        kernel = self._masked(self.kernel, pictures)
        outputs = ops.einsum("nd,ndc->nc", inputs, kernel)
        if self.use_bias:
            outputs = outputs + self._masked(self.bias, pictures)
        return outputs if self.activation is None else self.activation(outputs)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same again."""
        return {**super().get_config(), "rate": self.rate}

    def _masked(self, weight: Any, pictures: Any) -> Any:
        """Return the weight once for each picture, [pictures, *shape], with its own gaps."""
        drawn = keras.random.uniform((pictures, *weight.shape), seed=self.seed_generator)
        return ops.where(drawn < self.rate, 0.0, weight / (1.0 - self.rate))
