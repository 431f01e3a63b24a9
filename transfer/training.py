"""Fine-tune a model epoch by epoch: schedules, early stopping, a checkpoint after each epoch."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from transfer import backbones, devices, linear, pacing, store
from transfer.pacing import Paced

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
    deadline: float = math.inf  # in `time.monotonic()` seconds
    averaging: bool = False  # judge the mean of the epochs' weights too
    label_smoothing: float = 0.0


class TimeUpError(Exception):
    """Raised while an epoch's batches are prepared, where there is no time for it any more."""


class Batches(Protocol):
    """What the model learns from, epoch by epoch."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, number: int) -> tf.data.Dataset:
        """Return one epoch of (inputs, one-hot labels), the same for the same number."""
        ...


@dataclass(frozen=True)
class Validation:
    """What judges each epoch: the model's inputs for the validation pictures, class numbers [n]."""

    inputs: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Progress:
    """Where training stands. `seconds_left` is an upper bound: it may stop early."""

    epoch: int
    epochs: int
    step: int
    steps: int
    seconds_left: float


@dataclass
class _State:
    """What a killed training needs to go on, besides the variables' values."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    epochs: int = 0  # as planned: fewer where the time allows no more
    stopped: str | None = None


def fit(
    model: keras.Model,
    training: Batches,
    validation: Validation,
    settings: FitSettings,
    checkpoint: Path,
    on_progress: Callable[[Progress], None] | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[list[dict[str, Any]], str]:
    """Train `model` in place and leave it with its best weights.

    Those are of the epoch with the lowest validation loss, the start being epoch 0, drawn back
    towards the start as far as that lowers the loss further (WiSE-FT, arXiv 2109.01903).
    After each epoch everything needed to go on is in `checkpoint`, so that the same call in a new
    process gives what an undisturbed one would have given.

    Returns:
        (one row an epoch, why it ended: 'epochs', 'patience', 'budget', 'stopped' or 'diverged').
    """
    paced = _compile(model, settings)
    predict = backbones.compiled(model, _EVALUATION_BATCH)
    variables, start = _variables(model, paced.optimizer), _values(model.trainable_variables)
    state, best, mean = _restore(checkpoint, variables, model)
    if not state.history:
        _judge(state, {"epoch": 0}, predict, validation)
        state.best_loss, best = state.history[0]["val_loss"], _values(model.trainable_variables)
        state.epochs, mean = settings.epochs, best
        _save(checkpoint, variables, state, best, mean)
    while state.stopped is None:
        watch = _Watch(settings, state, training.steps, paced, on_progress, should_stop)
        try:
            row = _one_epoch(model, training, watch)
        except TimeUpError:
            state.stopped = "stopped" if should_stop() else "budget"
            break
        _judge(state, row, predict, validation)
        seconds, left = time.monotonic() - watch.started, settings.deadline - time.monotonic()
        state.epochs = pacing.affordable(settings.epochs, row["epoch"], seconds, left)
        if row["val_loss"] < state.best_loss:
            state.best_loss, state.best_epoch = row["val_loss"], row["epoch"]
            best = _values(model.trainable_variables)
        if settings.averaging:
            mean = _averaged(mean, _values(model.trainable_variables))
            row["mean_val_loss"] = _loss_of(mean, model, predict, validation)
            if row["mean_val_loss"] < state.best_loss:
                state.best_loss, state.best_epoch = row["mean_val_loss"], row["epoch"]
                best = mean
        state.stopped = _reason_to_stop(state, row, settings, watch.out_of_time)
        if should_stop():
            state.stopped = "stopped"
        _save(checkpoint, variables, state, best, mean)
        if on_epoch:
            on_epoch(row)
    drawn = [[(1 - s) * a + s * b for a, b in zip(start, best, strict=True)] for s in _SHARES]
    losses = [_loss_of(values, model, predict, validation) for values in drawn]
    _assign(model.trainable_variables, drawn[int(np.argmin(losses))])
    return state.history, state.stopped


class _Watch(keras.callbacks.Callback):
    """Sets the rates, reports each step, ends the epoch when time is up or the user says so."""

    def __init__(
        self,
        settings: FitSettings,
        state: _State,
        steps: int,
        paced: Paced,
        on_progress: Callable[[Progress], None] | None,
        should_stop: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._deadline, self._epochs = settings.deadline, state.epochs
        self.epoch, self._steps, self.paced = len(state.history), steps, paced
        self._on_progress, self._should_stop = on_progress, should_stop
        self.started = time.monotonic()
        self.out_of_time = False

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Set the rates of this step."""
        step = (self.epoch - 1) * self._steps + batch
        self.paced.slow_to(pacing.share(step, self._epochs * self._steps))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Tell how far it is; end the epoch when the time is up."""
        now = time.monotonic()
        self.out_of_time = now >= self._deadline
        if self.out_of_time or self._should_stop():
            # Keras ends the epoch after this batch.
            self.model.stop_training = True  # pyright: ignore[reportOptionalMemberAccess]
        if self._on_progress:
            done = batch + 1
            a_step = (now - self.started) / done
            left = (self._epochs - self.epoch) * self._steps + self._steps - done
            seconds = min(left * a_step, max(0.0, self._deadline - now))
            self._on_progress(Progress(self.epoch, self._epochs, done, self._steps, seconds))


def _compile(model: keras.Model, settings: FitSettings) -> Paced:
    paced = pacing.adamw(settings.rates, settings.default_rate, settings.weight_decay)
    # XLA is about eight times slower on a CPU (measured with MobileNetV2).
    jit_compile = "auto" if devices.has_accelerator() else False
    model.compile(
        optimizer=paced.optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.CategoricalCrossentropy(name="nll"),  # without the smoothing
        ],
        jit_compile=jit_compile,  # pyright: ignore[reportArgumentType]
    )
    paced.optimizer.build(model.trainable_variables)
    return paced


def _one_epoch(model: keras.Model, training: Batches, watch: "_Watch") -> dict[str, Any]:
    """Train for one epoch and return its row, without the validation."""
    silent: Any = 0
    data = training.epoch(watch.epoch)
    result = model.fit(data, shuffle=False, verbose=silent, callbacks=[watch]).history
    return {
        "epoch": watch.epoch,
        "loss": result["nll"][-1],
        "accuracy": result["accuracy"][-1],
        "learning_rate": watch.paced.fastest,
        "seconds": time.monotonic() - watch.started,
    }


def _judge(
    state: _State,
    row: dict[str, Any],
    predict: Callable[[np.ndarray], np.ndarray],
    validation: Validation,
) -> None:
    """Add the validation loss and accuracy to the row, and the row to the history."""
    accuracy, loss = _validated(predict, validation)
    row.update(phase="fine_tuning", val_loss=loss, val_accuracy=accuracy)
    state.history.append(row)


def _validated(
    predict: Callable[[np.ndarray], np.ndarray], validation: Validation
) -> tuple[float, float]:
    """Return (accuracy, negative log-likelihood in nats at the best temperature)."""
    answers = backbones.answers(predict, validation.inputs, _EVALUATION_BATCH)
    # Smoothed labels leave a network too modest and overfitting too bold: that is put right at the
    # end by one number, so it should not decide which epoch is best.
    accuracy = float((answers.argmax(axis=1) == validation.labels).mean())
    return accuracy, linear.calibrated(answers, validation.labels)[0]


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
    own = _values(model.trainable_variables)
    _assign(model.trainable_variables, values)
    loss = _validated(predict, validation)[1]
    _assign(model.trainable_variables, own)
    return loss


def _reason_to_stop(
    state: _State, row: dict[str, Any], settings: FitSettings, out_of_time: bool
) -> str | None:
    if not math.isfinite(row["loss"]) or not math.isfinite(row["val_loss"]):
        return "diverged"
    if out_of_time or time.monotonic() >= settings.deadline:
        return "budget"
    if row["epoch"] >= state.epochs:
        return "epochs" if state.epochs == settings.epochs else "budget"
    # Small data sets have many short epochs: the first ones hardly learn.
    since = max(state.best_epoch, round(pacing.WARM_UP * settings.epochs))
    return "patience" if row["epoch"] - since >= settings.patience else None


def _variables(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Return all that changes during training: frozen weights do not, dropout's seeds do."""
    seeds = [variable for variable in model.variables if "seed" in variable.name]
    return [*model.trainable_variables, *seeds, *optimizer.variables]


def _values(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _save(
    checkpoint: Path,
    variables: list[keras.Variable],
    state: _State,
    best: list[np.ndarray],
    mean: list[np.ndarray],
) -> None:
    """Write one file, whole or not at all."""
    arrays = {f"now{i}": value for i, value in enumerate(_values(variables))}
    arrays |= {f"best{i}": value for i, value in enumerate(best)}
    arrays |= {f"mean{i}": value for i, value in enumerate(mean)}
    arrays["state"] = np.frombuffer(json.dumps(vars(state)).encode(), np.uint8)
    with store.replacing(_file(checkpoint)) as partial:
        np.savez(partial, allow_pickle=False, **arrays)


def _restore(
    checkpoint: Path, variables: list[keras.Variable], model: keras.Model
) -> tuple[_State, list[np.ndarray], list[np.ndarray]]:
    """Return the kept state, best and mean weights; a new state where there is no checkpoint."""
    try:
        with np.load(_file(checkpoint), allow_pickle=False) as kept:
            state = _State(**json.loads(kept["state"].tobytes()))
            for i, variable in enumerate(variables):
                variable.assign(kept[f"now{i}"])
            trained = range(len(model.trainable_variables))
            best, mean = ([kept[f"{name}{i}"] for i in trained] for name in ("best", "mean"))
            return state, best, mean
    except FileNotFoundError:
        return _State(), [], []


def _file(checkpoint: Path) -> Path:
    return checkpoint / "fine_tuning.npz"
