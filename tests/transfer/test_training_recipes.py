"""What the expert's choices do to a training, and that it goes on exactly where it was killed."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from transfer import backbones, training
from transfer.drop_connect import DropConnect
from transfer.recipe import Recipe
from transfer.training import FitSettings, Validation

RATE, DECAY, EPOCHS = 1e-2, 1e-2, 4


class Points:
    """Eighteen tiny pictures of two classes, in batches of six."""

    steps = 3

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.labels = np.tile([0, 1], 9)
        self.inputs = rng.normal(self.labels[:, None, None, None], 1.0, (18, 2, 2, 3))
        self.inputs = self.inputs.astype(np.float32)

    def epoch(self, number: int, start: int = 0) -> tf.data.Dataset:
        order = np.random.default_rng(number).permutation(18)
        targets = np.eye(2, dtype=np.float32)[self.labels[order]]
        return (
            tf.data.Dataset.from_tensor_slices((self.inputs[order], targets)).batch(6).skip(start)
        )

    def validation(self, senseless: bool = False) -> Validation:
        labels = self.labels[::-1] if senseless else self.labels
        return Validation(self.inputs, labels.copy())


class KilledError(Exception):
    """The process is gone."""


def _model(drop_connect: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((2, 2, 3))
    values = keras.layers.Flatten()(inputs)
    values = keras.layers.Dense(6, activation="tanh", name="body")(values)
    values = keras.layers.Dropout(0.2)(values)
    given: dict[str, Any] = {"activation": "softmax", "name": backbones.HEAD}
    if drop_connect:
        return keras.Model(inputs, DropConnect(2, drop_connect, **given)(values))
    return keras.Model(inputs, keras.layers.Dense(2, **given)(values))


def _settings(recipe: Recipe, **changes: Any) -> FitSettings:
    given: dict[str, Any] = {
        "epochs": EPOCHS, "patience": 50, "rates": {"head/.*": RATE},
        "default_rate": RATE / 10, "weight_decay": DECAY, "recipe": recipe,
    }  # fmt: skip
    return FitSettings(**{**given, **changes})


def _values(model: keras.Model) -> list[np.ndarray]:
    return [variable.numpy().copy() for variable in model.trainable_variables]


def _fit(
    folder: Path,
    recipe: Recipe,
    die_after: int | None = None,
    senseless: bool = False,
    drop_connect: float = 0.0,
    **changes: Any,
) -> tuple[list[dict[str, Any]], list[list[np.ndarray]], str]:
    """Return (rows, the weights after each epoch and at the end, why it ended)."""
    model, points = _model(drop_connect), Points()
    weights: list[list[np.ndarray]] = []

    def watch(row: dict[str, Any]) -> None:
        weights.append(_values(model))
        if row["epoch"] == die_after:
            raise KilledError

    history, ended = training.fit(
        model, points, points.validation(senseless), _settings(recipe, **changes), folder,
        on_epoch=watch,
    )  # fmt: skip
    return history, [*weights, _values(model)], ended


def _told(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: row[key] for key in row if key != "seconds"} for row in history]


def test_the_usual_recipe_computes_what_was_computed_before_there_was_a_choice(tmp_path):
    """AdamW for each part, smoothed labels, warm-up for a tenth, half a cosine: by hand."""
    history, weights, _ = _fit(tmp_path, Recipe())
    model, points = _model(), Points()
    parts = [keras.optimizers.AdamW(rate, weight_decay=DECAY) for rate in (RATE / 10, RATE)]
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(parts[0], {"head/.*": parts[1]})
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)  # pyright: ignore[reportArgumentType]
    step, steps, share = 0, EPOCHS * points.steps, 0.0
    for epoch in range(1, EPOCHS + 1):
        for inputs, targets in points.epoch(epoch).as_numpy_iterator():
            warm = max(1, round(0.1 * steps))
            cosine = 0.5 * (1 + np.cos(np.pi * (step - warm) / (steps - warm)))
            share = (step + 1) / warm if step < warm else cosine
            for part, rate in zip(parts, (RATE / 10, RATE), strict=True):
                part.learning_rate = rate * share
            model.train_on_batch(inputs, targets)
            step += 1
        for mine, by_hand in zip(weights[epoch - 1], _values(model), strict=True):
            np.testing.assert_allclose(mine, by_hand, rtol=1e-6, atol=1e-7)
        assert history[epoch]["learning_rate"] == pytest.approx(RATE * share)


RESUMED = {
    "momentum": (Recipe(optimizer="momentum"), {}),
    "radam": (Recipe(optimizer="radam", l2=1e-3), {}),
    "diffgrad": (Recipe(optimizer="diffgrad", schedule="cyclic"), {"drop_connect": 0.3}),
    "plateau": (
        Recipe(optimizer="nesterov", schedule="plateau", plateau_patience=1, drop=0.5),
        {"senseless": True},
    ),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_killed_training_ends_as_an_undisturbed_one(tmp_path, name):
    recipe, given = RESUMED[name]
    history, weights, ended = _fit(tmp_path / "whole", recipe, **given)
    with pytest.raises(KilledError):
        _fit(tmp_path / "killed", recipe, die_after=2, **given)
    again, resumed, reason = _fit(tmp_path / "killed", recipe, **given)
    assert (ended, reason) == ("epochs", "epochs")
    assert _told(again) == _told(history)
    assert len(resumed) == 3  # two epochs were left, and the end
    for mine, theirs in zip(weights[-3:], resumed, strict=True):
        assert [one.tobytes() for one in mine] == [one.tobytes() for one in theirs]
    if recipe.schedule == "plateau":  # without drops before and after the kill it would say nothing
        rates = [row["learning_rate"] for row in history[1:]]
        assert rates[1] > rates[2] > rates[3]


def test_a_plateau_lowers_the_rate_of_the_epochs_after_it(tmp_path):
    recipe = Recipe(schedule="plateau", plateau_patience=1, drop=0.5)
    history, _, _ = _fit(tmp_path, recipe, senseless=True)
    # Nothing can be learned for such labels: each epoch after the warm-up, which is one, waits.
    rates = [row["learning_rate"] for row in history[1:]]
    losses = [row["val_loss"] for row in history]
    assert min(losses[1:]) > losses[0] - 0.05
    assert rates == pytest.approx([RATE, RATE, RATE / 2, RATE / 4])


@pytest.mark.parametrize("price", [{"l1": 0.3}, {"l2": 0.3}], ids=["L1", "L2"])
def test_a_price_shrinks_the_kernels_and_stays_out_of_the_rows(tmp_path, price):
    usual, free, _ = _fit(tmp_path / "free", Recipe(), weight_decay=0.0)
    rows, priced, _ = _fit(tmp_path / "priced", Recipe(**price), weight_decay=0.0)
    for kernel in (0, 2):  # of the body and of the head
        assert np.abs(priced[-2][kernel]).sum() < 0.99 * np.abs(free[-2][kernel]).sum()
    assert rows[0] == usual[0]
    assert rows[1]["loss"] == pytest.approx(
        usual[1]["loss"], abs=0.2
    )  # a price of over 1 is not in


def test_without_early_stopping_it_goes_on_to_the_end(tmp_path):
    given: dict[str, Any] = {"senseless": True, "patience": 1}
    rows, _, ended = _fit(tmp_path / "on", Recipe(), **given)
    assert ended == "patience"
    assert len(rows) < EPOCHS + 1
    rows, weights, ended = _fit(tmp_path / "off", Recipe(early_stopping=False), **given)
    assert ended == "epochs"
    assert len(rows) == EPOCHS + 1
    assert any((a != b).any() for a, b in zip(weights[-2], weights[-1], strict=True))  # the best


def test_all_else_learns_too(tmp_path):
    """DropConnect, no smoothing, another schedule and optimizer at once: the loss falls."""
    recipe = Recipe(
        optimizer="adabelief", schedule="one_cycle", drop_connect=0.3, label_smoothing=0.0,
        l1=1e-4, l2=1e-4,
    )  # fmt: skip
    rows, _, ended = _fit(tmp_path, recipe, drop_connect=0.3, epochs=8)
    assert ended == "epochs"
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]
