"""Fine-tune a model epoch by epoch: schedules, early stopping, a checkpoint every few seconds."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from transfer import backbones, checkpoints, devices, diagnosis, linear, pacing, replicas, schedules
from transfer.checkpoints import Checkpoint, State, Within
from transfer.errors import PausedError
from transfer.pacing import Paced
from transfer.recipe import Recipe

_EVALUATION_BATCH = 32
_SHARES = (1.0, 0.75, 0.5)  # of the way from the start to the best epoch
_MEMORY = 0.7  # of the mean of the epochs' weights: how much of it is older than the last epoch


@dataclass(frozen=True)
class FitSettings:
    """How long and how fast to train.

    `patience` is in epochs since the best one, counted from the end of the warm-up on. `rates` maps
    a pattern of variable paths (a regular expression that must match the whole path) to a learning
    rate; variables that no pattern matches learn at `default_rate`.
    """

    epochs: int
    patience: int
    rates: dict[str, float]
    default_rate: float
    weight_decay: float
    deadline: Callable[[], float] = lambda: math.inf  # `time.monotonic()` seconds; may move
    averaging: bool = False  # judge the mean of the epochs' weights too
    snapshots: bool = False  # keep the weights at the end of each cycle of the schedule
    recipe: Recipe = field(default_factory=Recipe)


class TimeUpError(Exception):
    """Raised while an epoch's batches are prepared, where there is no time for it any more."""


class Batches(Protocol):
    """What the model learns from, epoch by epoch."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, number: int, start: int = 0) -> tf.data.Dataset:
        """Return one epoch of (inputs, one-hot labels), the same for the same number.

        `start` batches are left out in front: they have been learned from.
        """
        ...


@dataclass(frozen=True)
class Validation:
    """What judges each epoch: the model's inputs for the validation pictures, class numbers [n]."""

    inputs: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Progress:
    """Where training stands."""

    epoch: int
    epochs: int
    step: int
    steps: int


def fit(
    model: keras.Model,
    training: Batches,
    validation: Validation,
    settings: FitSettings,
    checkpoint: Path,
    on_progress: Callable[[Progress], None] | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_history: Callable[[list[dict[str, Any]]], None] = lambda _: None,
) -> tuple[list[dict[str, Any]], str]:
    """Train `model` in place and leave it with its best weights.

    Those are of the epoch with the lowest validation loss, the start being epoch 0, drawn back
    towards the start as far as that lowers the loss further (WiSE-FT, arXiv 2109.01903).
    `on_history` is told of all rows: at the start, and after each epoch.
    Every few seconds everything needed to go on is in `checkpoint`, so that the same call in a new
    process gives what an undisturbed one would have given. What `on_progress` raises ends it; where
    that is a `PausedError`, the very step is kept.

    Returns:
        (one row an epoch, why it ended: 'epochs', 'patience', 'budget', 'stopped' or 'diverged').
    """
    paced = compiled(model, settings)
    predict = backbones.compiled(model, _EVALUATION_BATCH)
    variables, start = (
        _variables(model, _optimizer(model)),
        checkpoints.values(model.trainable_variables),
    )
    kept = Checkpoint(checkpoint, variables, len(start))
    state, best, mean = kept.restore()
    if not state.history:
        _judge(state, {"epoch": 0}, predict, validation)
        state.best_loss, best = state.history[0]["val_loss"], start
        state.epochs, mean = settings.epochs, best
        kept.save(state, best, mean)
    on_history(state.history)
    while state.stopped is None:
        watch = _Watch(settings, state, training.steps, paced, kept, on_progress, should_stop)
        try:
            row = _one_epoch(model, training, watch)
        except TimeUpError:
            state.stopped = "stopped" if should_stop() else "budget"
            break
        _judge(state, row, predict, validation)
        seconds, left = row["seconds"], settings.deadline() - time.monotonic()
        state.epochs = pacing.affordable(settings.epochs, row["epoch"], seconds, left)
        if row["val_loss"] < state.best_loss:
            state.best_loss, state.best_epoch = row["val_loss"], row["epoch"]
            best = checkpoints.values(model.trainable_variables)
        if settings.averaging:
            mean = _averaged(mean, checkpoints.values(model.trainable_variables))
            row["mean_val_loss"] = _loss_of(mean, model, predict, validation)
            if row["mean_val_loss"] < state.best_loss:
                state.best_loss, state.best_epoch = row["mean_val_loss"], row["epoch"]
                best = mean
        state.stopped = _reason_to_stop(state, row, settings, watch)
        if should_stop():
            state.stopped = "stopped"
        kept.save(state, best, mean)
        if on_epoch:
            on_epoch(row)
        on_history(state.history)
    drawn = [[(1 - s) * a + s * b for a, b in zip(start, best, strict=True)] for s in _SHARES]
    losses = [_loss_of(values, model, predict, validation) for values in drawn]
    _assign(model.trainable_variables, drawn[int(np.argmin(losses))])
    return state.history, state.stopped


def compiled(model: keras.Model, settings: FitSettings) -> Paced:
    """Give the model its loss and its optimizer, and return that with the rates of its parts."""
    recipe = settings.recipe
    paced = pacing.paced(
        recipe.optimizer, settings.rates, settings.default_rate, settings.weight_decay
    )
    _price(model, recipe)
    jit_compile = "auto" if devices.acceleration().xla else False
    model.compile(
        optimizer=replicas.scaled(paced.optimizer, model),
        loss=replicas.crossentropy(recipe.label_smoothing),
        weighted_metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.CategoricalCrossentropy(name="nll"),  # without the smoothing
        ],
        jit_compile=jit_compile,  # pyright: ignore[reportArgumentType]
    )
    _optimizer(model).build(model.trainable_variables)
    return paced


class _Watch(keras.callbacks.Callback):
    """Sets the rates, reports each step, keeps one now and then.

    It ends the epoch when time is up or the user says so.
    """

    def __init__(
        self,
        settings: FitSettings,
        state: State,
        steps: int,
        paced: Paced,
        kept: Checkpoint,
        on_progress: Callable[[Progress], None] | None,
        should_stop: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._deadline, self._recipe = settings.deadline, settings.recipe
        self._epochs, self._snapshots = state.epochs, settings.snapshots
        # Epochs of the warm-up hardly learn: they are no plateau.
        slow = schedules.warm_up_steps(settings.epochs, settings.recipe)
        self._losses = [row["val_loss"] for row in state.history[slow:]]
        self.epoch, self.steps, self.paced = len(state.history), steps, paced
        self._on_progress, self._should_stop = on_progress, should_stop
        self.kept = kept
        self.begun = kept.restore_step(self.epoch) or Within(self.epoch, 0, 0.0)
        self._began = time.monotonic() - self.begun.seconds
        self.out_of_time = False

    @property
    def seconds(self) -> float:
        """What the epoch has taken so far, in all processes that worked on it."""
        return time.monotonic() - self._began

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Take up the means over the steps that are done."""
        if not self.begun.metrics:
            return
        model: Any = self.model
        if len(self._metrics()) < len(self.begun.metrics):  # Keras makes them at the first step
            answer = np.eye(1, int(model.output.shape[-1]), dtype=np.float32)
            model.compute_metrics(None, answer, answer)
        for variable, value in zip(self._metrics(), self.begun.metrics, strict=True):
            variable.assign(value)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Set the rates of this step."""
        step = (self.epoch - 1) * self.steps + self.begun.step + batch
        steps = self._epochs * self.steps
        self.paced.slow_to(schedules.share(step, steps, self._recipe, self._losses))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Tell how far it is; end the epoch when the time is up."""
        done = self.begun.step + batch + 1
        self.out_of_time = time.monotonic() >= self._deadline()
        if self.out_of_time or self._should_stop():
            # Keras ends the epoch after this batch.
            self.model.stop_training = True  # pyright: ignore[reportOptionalMemberAccess]
        if self._snapshots:
            self._snapshot((self.epoch - 1) * self.steps + done)
        if self.kept.due and done < self.steps:
            self._keep(done)
        if self._on_progress:
            try:
                self._on_progress(Progress(self.epoch, self._epochs, done, self.steps))
            except PausedError:
                if done < self.steps:  # else it is raised again, when the epoch is whole
                    self._keep(done)
                    raise

    def _snapshot(self, done: int) -> None:
        steps = self._epochs * self.steps
        number = schedules.cycles_done(done, steps, self._recipe)
        if number > schedules.cycles_done(done - 1, steps, self._recipe):
            self.kept.save_snapshot(number)

    def _keep(self, done: int) -> None:
        metrics = tuple(checkpoints.values(self._metrics()))
        self.kept.save_step(Within(self.epoch, done, self.seconds, metrics))

    def _metrics(self) -> list[keras.Variable]:
        return self.model.metrics_variables  # pyright: ignore[reportOptionalMemberAccess]


def _price(model: keras.Model, recipe: Recipe) -> None:
    """Put a price on the trained kernels: L1, L2, or both (elastic net). It is not in the rows."""
    if recipe.l1 or recipe.l2:
        price = keras.regularizers.L1L2(recipe.l1, recipe.l2)
        for variable in model.trainable_variables:
            if "kernel" in variable.name:
                variable.regularizer = price


def _optimizer(model: keras.Model) -> keras.optimizers.Optimizer:
    """Return what the model was compiled with: the parts' optimizer, or what scales their loss."""
    return model.optimizer  # pyright: ignore[reportReturnType]


def _one_epoch(model: keras.Model, training: Batches, watch: "_Watch") -> dict[str, Any]:
    """Train for one epoch, or for the rest of it; return its row, without the validation."""
    if watch.begun.row:
        return watch.begun.row
    silent: Any = 0
    data = replicas.shared(training.epoch(watch.epoch, watch.begun.step))
    result = model.fit(data, shuffle=False, verbose=silent, callbacks=[watch]).history
    row = {
        "epoch": watch.epoch,
        "loss": result["nll"][-1],
        "accuracy": result["accuracy"][-1],
        "learning_rate": watch.paced.fastest,
        "seconds": watch.seconds,
    }
    if watch.kept.due:  # the validation may take long, too
        watch.kept.save_step(Within(watch.epoch, watch.steps, watch.seconds, row=row))
    return row


def _judge(
    state: State,
    row: dict[str, Any],
    predict: Callable[[np.ndarray], np.ndarray],
    validation: Validation,
) -> None:
    """Add the validation losses and accuracy to the row, and the row to the history."""
    accuracy, loss, plain = _validated(predict, validation)
    row.update(phase="fine_tuning", val_loss=loss, val_accuracy=accuracy, plain_val_loss=plain)
    state.history.append(row)


def _validated(
    predict: Callable[[np.ndarray], np.ndarray], validation: Validation
) -> tuple[float, float, float]:
    """Return (accuracy, negative log-likelihood in nats at the best temperature, and as it is)."""
    answers = backbones.answers(predict, validation.inputs, _EVALUATION_BATCH)
    # Smoothed labels leave a network too modest and overfitting too bold: that is put right at the
    # end by one number, so it should not decide which epoch is best.
    accuracy = float((answers.argmax(axis=1) == validation.labels).mean())
    plain = linear.loss(linear.logit(answers), validation.labels)
    return accuracy, linear.calibrated(answers, validation.labels)[0], plain


def _averaged(mean: list[np.ndarray], now: list[np.ndarray]) -> list[np.ndarray]:
    """Return the running mean of the epochs' weights, the last ones counting most."""
    return [_MEMORY * old + (1 - _MEMORY) * new for old, new in zip(mean, now, strict=True)]


def _loss_of(
    values: list[np.ndarray],
    model: keras.Model,
    predict: Callable[[np.ndarray], np.ndarray],
    validation: Validation,
) -> float:
    """Return the validation loss of the model with other weights, and give it back its own."""
    own = checkpoints.values(model.trainable_variables)
    _assign(model.trainable_variables, values)
    loss = _validated(predict, validation)[1]
    _assign(model.trainable_variables, own)
    return loss


def _reason_to_stop(
    state: State, row: dict[str, Any], settings: FitSettings, watch: _Watch
) -> str | None:
    classes = int(watch.model.output_shape[-1])  # pyright: ignore[reportOptionalMemberAccess]
    if diagnosis.stop_reason(state.history, classes):
        return "diverged"
    if watch.out_of_time or time.monotonic() >= settings.deadline():
        return "budget"
    if row["epoch"] >= state.epochs:
        return "epochs" if state.epochs == settings.epochs else "budget"
    # Small data sets have many short epochs: the first ones hardly learn.
    since = max(state.best_epoch, round(settings.recipe.warm_up * settings.epochs))
    impatient = settings.recipe.early_stopping and row["epoch"] - since >= settings.patience
    return "patience" if impatient else None


def _variables(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Return all that changes during training: frozen weights do not, dropout's seeds do."""
    seeds = [variable for variable in model.variables if "seed" in variable.name]
    return [*model.trainable_variables, *seeds, *optimizer.variables]


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
