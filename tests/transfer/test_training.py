"""Fine-tuning epoch by epoch: what may move, at which rate, when it ends, and going on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.transfer import problems
from transfer import (
    backbones,
    batches,
    checkpoints,
    devices,
    linear,
    pooling,
    schedules,
    stages,
    training,
)
from transfer.augmentation import Augmentation
from transfer.backbones import Backbone, Halves
from transfer.batches import TrainingBatches
from transfer.errors import PausedError
from transfer.linear import LinearHead
from transfer.recipe import Recipe
from transfer.training import FitSettings, Progress, Validation

SIZE = 32


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[list[Path], np.ndarray]:
    """Sixteen pictures to learn from, then eight to judge by."""
    index = problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=12, size=40)
    order = [i + 12 * label for i in range(12) for label in (0, 1)]
    paths = [index.path(index.pictures[i]) for i in order]
    return paths, np.tile([0, 1], 12)


def _settings(**changes: Any) -> FitSettings:
    given: dict[str, Any] = {
        "epochs": 3,
        "patience": 5,
        "rates": {"head/.*": 1e-3},
        "default_rate": 1e-4,
        "weight_decay": 1e-3,
        "recipe": Recipe(label_smoothing=0.0),
    }
    return FitSettings(**{**given, **changes})


def _halves(backbone: Backbone, dropout: float = 0.2) -> Halves:
    """Cut before the last level, head random."""
    cuts = stages.cuts(backbone.network)
    cut = [one for one in cuts if one.level == cuts[-1].level - 1][-1]
    kernel = np.random.default_rng(1).normal(0, 0.05, (pooling.top(backbone.blocks).width, 2))
    head = LinearHead(kernel.astype(np.float32), np.zeros(2, np.float32), 1.0, 1.0, 0.0)
    parts = backbones.halves(backbone, cut, head, dropout)
    backbones.freeze_batch_norm(backbone.network)
    for layer in parts.lower.layers:
        layer.trainable = False
    return parts


def _model(dropout: float = 0.2) -> keras.Model:
    return _halves(problems.builtin(SIZE), dropout).whole


def _small() -> keras.Model:
    """Return a network that is compiled at once, with dropout: all that is drawn is in it."""
    pictures = keras.Input((SIZE, SIZE, 3))
    values: Any = keras.layers.Rescaling(1 / 255)(pictures)
    values = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(values))
    values = keras.layers.Dropout(0.3, seed=1)(_dense(values, 8, "relu", "hidden"))
    return keras.Model(pictures, _dense(values, 2, "softmax", "head"))


def _dense(values: Any, units: int, activation: str, name: str) -> Any:
    kernel: Any = keras.initializers.HeNormal(units)
    return keras.layers.Dense(units, activation, kernel_initializer=kernel, name=name)(values)


def _batches(files, seed: int = 0, augmentation: Augmentation | None = None) -> TrainingBatches:
    paths, labels = files
    return TrainingBatches(paths[:16], labels[:16], 2, SIZE, 8, seed, augmentation)


def _validation(files) -> Validation:
    paths, labels = files
    pictures = np.concatenate(list(batches.pictures(paths[16:], SIZE, 8).as_numpy_iterator()))
    return Validation(pictures, labels[16:])


def _loss(model: keras.Model, validation: Validation) -> float:
    answers = np.asarray(model(validation.inputs.astype(np.float32), training=False))
    return linear.calibrated(answers, validation.labels)[0]


def _fit(model: keras.Model, files, folder: Path, settings: FitSettings, **more: Any):
    return training.fit(model, _batches(files), _validation(files), settings, folder, **more)


class KilledError(Exception):
    """The process is gone."""


def _die_after(epoch: int) -> Callable[[dict[str, Any]], None]:
    def die(row: dict[str, Any]) -> None:
        if row["epoch"] == epoch:
            raise KilledError

    return die


@pytest.mark.parametrize("half", [False, True], ids=["whole network", "upper half"])
@pytest.mark.parametrize("name", ["builtin", pytest.param("MobileNetV2", marks=pytest.mark.slow)])
def test_batch_norm_does_not_move_by_a_bit_and_the_last_level_does(files, tmp_path, name, half):
    # `training=False` at the call is not enough under fit() in Keras 3.15: it moves them.
    backbone = (
        problems.builtin(SIZE)
        if name == "builtin"
        else problems.random_backbone(name, tmp_path, SIZE)
    )
    parts = _halves(backbone)
    learned, judged = _batches(files), _validation(files)
    if half:
        learned, judged = _Through(learned, parts), _passed_through(judged, parts)
    network = backbone.network
    statistics = backbones.batch_norm_statistics(network)
    frozen = problems.values(network.non_trainable_variables)
    trained = problems.values(network.trainable_variables)
    moved: list[bool] = []

    def watch(_: Any) -> None:
        now = problems.values(network.trainable_variables)
        moved.append(any(not np.array_equal(a, b) for a, b in zip(trained, now, strict=True)))

    model = parts.upper if half else parts.whole
    training.fit(model, learned, judged, _settings(epochs=2), tmp_path, on_epoch=watch)
    assert moved == [True, True]
    assert len(statistics) > 0
    after = backbones.batch_norm_statistics(network)
    assert [one.tobytes() for one in statistics] == [one.tobytes() for one in after]
    after = problems.values(network.non_trainable_variables)
    assert [one.tobytes() for one in frozen] == [one.tobytes() for one in after]


class _Through:
    """Batches of which the pictures have passed through the lower part."""

    def __init__(self, source: TrainingBatches, parts: Halves) -> None:
        self._source, self._parts, self.steps = source, parts, source.steps

    def epoch(self, number: int, start: int = 0) -> tf.data.Dataset:
        return self._source.epoch(number, start).map(
            lambda pictures, targets: (self._parts.lower(pictures, training=False), targets)
        )


def _passed_through(validation: Validation, parts: Halves) -> Validation:
    lower = parts.lower(validation.inputs.astype(np.float32), training=False)
    return Validation(np.asarray(lower), validation.labels)


class TestGoingOn:
    @pytest.mark.parametrize("averaging", [pytest.param(False, marks=pytest.mark.slow), True])
    def test_an_interrupted_training_ends_as_an_undisturbed_one(self, files, tmp_path, averaging):
        settings = _settings(averaging=averaging, recipe=Recipe())
        keras.utils.set_random_seed(0)
        whole = _model()
        history, ended = _fit(whole, files, tmp_path / "one", settings)
        assert ended == "epochs"
        assert [row["epoch"] for row in history] == [0, 1, 2, 3]

        keras.utils.set_random_seed(0)
        first = _model()
        with pytest.raises(KilledError):
            _fit(first, files, tmp_path / "two", settings, on_epoch=_die_after(2))
        second = _model()  # whatever its random state is: it is in the checkpoint
        resumed, ended = _fit(second, files, tmp_path / "two", settings)
        assert ended == "epochs"
        for mine, theirs in zip(history, resumed, strict=True):
            assert set(mine) == set(theirs)
            for key in ("val_loss", "mean_val_loss", "loss"):
                if key in mine:
                    assert mine[key] == pytest.approx(theirs[key], rel=1e-3)
        for mine, theirs in zip(whole.trainable_variables, second.trainable_variables, strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-2, atol=1e-5)

    @pytest.mark.parametrize(
        "raised", [KilledError, pytest.param(PausedError, marks=pytest.mark.slow)]
    )
    def test_within_an_epoch_it_goes_on_at_the_very_step(
        self, files, tmp_path, monkeypatch, raised
    ):
        devices.deterministic()
        monkeypatch.setattr(checkpoints, "EVERY", 0.0)
        monkeypatch.setattr(checkpoints, "_MOST_COST", 1e9)
        paths, labels = files
        made: list[tuple[int, int]] = []

        def fit(folder: Path, deaths: set[tuple[int, int]]) -> tuple[keras.Model, list[Any]]:
            def progress(now: Progress) -> None:
                made.append((now.epoch, now.step))
                if made[-1] in deaths:
                    deaths.remove(made[-1])
                    raise raised

            while True:
                keras.utils.set_random_seed(len(made))  # it is in the checkpoint
                model = _small()
                learned = TrainingBatches(paths[:16], labels[:16], 2, SIZE, 4, 0, Augmentation())
                try:
                    history, _ = training.fit(
                        model, learned, _validation(files), _settings(averaging=True, epochs=2),
                        folder, progress,
                    )  # fmt: skip
                except raised:
                    continue
                return model, [{**row, "seconds": 0} for row in history]

        keras.utils.set_random_seed(0)
        whole, expected = fit(tmp_path / "one", set())
        steps = [(epoch, step) for epoch in (1, 2) for step in (1, 2, 3, 4)]
        assert made == steps
        made.clear()
        broken, history = fit(tmp_path / "two", {(1, 1), (1, 3), (2, 2)})
        assert made == steps
        assert history == expected
        for mine, theirs in zip(whole.trainable_variables, broken.trainable_variables, strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=0, atol=1e-6)

    @pytest.mark.parametrize("name", ["step", "fine_tuning"])
    def test_a_damaged_checkpoint_counts_as_not_there(self, files, tmp_path, monkeypatch, name):
        monkeypatch.setattr(checkpoints, "EVERY", 0.0)

        def die(now: Progress) -> None:
            if (now.epoch, now.step) == (2, 1):
                raise PausedError

        with pytest.raises(PausedError):
            _fit(_small(), files, tmp_path, _settings(), on_progress=die)
        file = tmp_path / f"{name}.npz"
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        (tmp_path / ".step.npz.1.partial.npz").write_bytes(b"broken off")
        first: list[Progress] = []
        history, ended = _fit(_small(), files, tmp_path, _settings(), on_progress=first.append)
        assert (first[0].epoch, first[0].step) == ((2, 1) if name == "step" else (1, 1))
        assert [row["epoch"] for row in history] == [0, 1, 2, 3]
        assert ended == "epochs"
        assert [path.name for path in tmp_path.iterdir()] == ["fine_tuning.npz"]

    def test_a_finished_training_is_not_trained_again(self, files, tmp_path):
        one, other = _model(), _model()
        history, ended = _fit(one, files, tmp_path, _settings(epochs=2))
        rows: list[dict[str, Any]] = []
        again, reason = _fit(other, files, tmp_path, _settings(epochs=2), on_epoch=rows.append)
        assert (again, reason) == (history, ended)
        assert rows == []
        for mine, theirs in zip(one.trainable_variables, other.trainable_variables, strict=True):
            assert mine.numpy().tobytes() == theirs.numpy().tobytes()


class TestBest:
    @pytest.mark.parametrize("averaging", [False, True])
    def test_it_ends_no_worse_than_its_best_epoch(self, files, tmp_path, averaging):
        model, validation = _model(), _validation(files)
        start = problems.values(model.trainable_variables)
        wild = _settings(
            epochs=5, patience=3, rates={"head/.*": 0.3}, default_rate=0.03, averaging=averaging
        )
        weights: list[list[np.ndarray]] = [start]

        def watch(_: Any) -> None:
            weights.append(problems.values(model.trainable_variables))

        history, ended = _fit(model, files, tmp_path, wild, on_epoch=watch)
        losses = [
            row[key] for row in history for key in ("val_loss", "mean_val_loss") if key in row
        ]
        assert _loss(model, validation) <= min(losses) + 1e-4
        assert ended in ("patience", "epochs", "diverged")
        if not averaging:  # it is on the way from the start to the best epoch, at least half of it
            best = int(np.argmin([row["val_loss"] for row in history]))
            way, gone = (
                np.concatenate([(b - a).ravel() for a, b in zip(start, end, strict=True)])
                for end in (weights[best], problems.values(model.trainable_variables))
            )
            share = (gone @ way) / max(way @ way, 1e-12)
            np.testing.assert_allclose(gone, share * way, atol=1e-5)
            assert best == 0 or 0.45 < share < 1.01

    def test_no_better_epoch_leaves_the_start_and_ends_it(self, files, tmp_path):
        model = _model(dropout=0.0)
        before = problems.values(model.trainable_variables)
        still = _settings(epochs=50, patience=2, rates={}, default_rate=0.0, weight_decay=0.0)
        history, ended = _fit(model, files, tmp_path, still)
        assert ended == "patience"
        assert [row["epoch"] for row in history] == [*range(1 + 5 + 2)]  # warm-up, then patience
        for one, other in zip(before, problems.values(model.trainable_variables), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_the_loss_of_a_row_is_without_smoothing(self, files, tmp_path):
        model = _model(dropout=0.0)
        smooth = Recipe(label_smoothing=0.3)
        still = _settings(epochs=1, rates={}, default_rate=0.0, weight_decay=0.0, recipe=smooth)
        history, _ = _fit(model, files, tmp_path, still)
        pictures, targets = (
            np.concatenate(part)
            for part in zip(*_batches(files).epoch(1).as_numpy_iterator(), strict=True)
        )
        answers = np.asarray(model(pictures, training=False))
        expected = -np.log((answers * targets).sum(axis=1)).mean()
        assert history[1]["loss"] == pytest.approx(expected, rel=1e-3)

    def test_averaging_judges_the_mean_of_the_weights(self, files, tmp_path):
        model = _model(dropout=0.0)
        plain, _ = _fit(model, files, tmp_path / "plain", _settings())
        averaged, _ = _fit(_model(dropout=0.0), files, tmp_path / "mean", _settings(averaging=True))
        assert all("mean_val_loss" not in row for row in plain)
        assert all("mean_val_loss" in row for row in averaged[1:])
        for mine, theirs in zip(plain, averaged, strict=True):  # it changes nothing in training
            assert mine["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-3)
        assert averaged[2]["mean_val_loss"] != averaged[2]["val_loss"]

    def test_numbers_that_are_none_end_it_with_the_best_so_far(self, files, tmp_path):
        model, validation = _model(), _validation(files)
        before = _loss(model, validation)
        wild = _settings(rates={}, default_rate=1e30)
        history, ended = _fit(model, files, tmp_path, wild)
        assert ended == "diverged"
        assert len(history) < 4
        assert all(np.isfinite(v.numpy()).all() for v in model.trainable_variables)
        assert _loss(model, validation) <= before + 1e-4


class TestEnd:
    def test_a_budget_ends_it_after_the_batch_at_hand(self, files, tmp_path):
        steps: list[Progress] = []
        late = _settings(epochs=50, patience=50, deadline=lambda: 0.0)
        history, ended = _fit(_model(), files, tmp_path, late, on_progress=steps.append)
        assert ended == "budget"
        assert len(history) == 2
        assert len(steps) == 1

    def test_a_schedule_ends_with_the_time_that_is_left(self, files, tmp_path, monkeypatch):
        clock = [0.0]
        monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])
        rates: list[float] = []
        model = _model()

        def tick(_: Progress) -> None:
            clock[0] += 5.0  # ten seconds an epoch
            rates.append(max(float(one.learning_rate) for one in model.optimizer.optimizers))

        settings = _settings(epochs=50, patience=50, deadline=lambda: 55.0)
        history, ended = _fit(model, files, tmp_path, settings, on_progress=tick)
        assert ended == "budget"
        assert len(history) == 6  # the start and five epochs
        assert rates[-1] < 0.2 * max(rates)  # it was not broken off in full swing

    @pytest.mark.parametrize(("stop", "reason"), [(False, "budget"), (True, "stopped")])
    def test_no_time_to_prepare_an_epoch_keeps_what_there_is(self, files, tmp_path, stop, reason):
        class Slow:
            """Batches whose second epoch would take too long to prepare."""

            steps = _batches(files).steps

            def epoch(self, number: int, start: int = 0) -> tf.data.Dataset:
                if number == 2:
                    raise training.TimeUpError
                return _batches(files).epoch(number, start)

        model, validation = _model(), _validation(files)
        history, ended = training.fit(
            model, Slow(), validation, _settings(epochs=50), tmp_path, should_stop=lambda: stop
        )
        assert ended == reason
        assert len(history) == 2
        best = min(row["val_loss"] for row in history)
        assert _loss(model, validation) <= best + 1e-4

    def test_a_wish_to_stop_ends_it_with_the_best_so_far(self, files, tmp_path):
        rows: list[dict[str, Any]] = []
        history, ended = _fit(
            _model(), files, tmp_path, _settings(epochs=50, patience=50),
            on_epoch=rows.append, should_stop=lambda: len(rows) >= 1,
        )  # fmt: skip
        assert ended == "stopped"
        assert len(history) <= 3

    def test_each_step_and_each_epoch_are_told(self, files, tmp_path):
        steps: list[Progress] = []
        rows: list[dict[str, Any]] = []
        history, _ = _fit(
            _model(), files, tmp_path, _settings(epochs=2),
            on_progress=steps.append, on_epoch=rows.append,
        )  # fmt: skip
        told = [(one.epoch, one.step, one.steps, one.epochs) for one in steps]
        assert told == [(1, 1, 2, 2), (1, 2, 2, 2), (2, 1, 2, 2), (2, 2, 2, 2)]
        assert rows == history[1:]


class TestRates:
    def test_they_keep_their_ratio_warm_up_and_fall(self, files, tmp_path):
        model = _model()
        seen: list[list[float]] = []

        def watch(_: Progress) -> None:
            inner = model.optimizer.optimizers
            seen.append([float(one.learning_rate) for one in inner])

        settings = _settings(
            epochs=10, patience=20, rates={"head/.*": 1e-3, "stage4_block1_conv2/.*": 1e-5}
        )
        history, _ = _fit(model, files, tmp_path, settings, on_progress=watch)
        assert len(seen) == 20
        for rates in seen:
            top = max(rates)
            assert sorted(rates) == pytest.approx([top / 100, top / 10, top], rel=1e-3)
        tops = [max(rates) for rates in seen]
        assert tops == pytest.approx(
            [1e-3 * schedules.share(step, 20, Recipe()) for step in range(20)]
        )
        assert [row["learning_rate"] for row in history[1:]] == pytest.approx(tops[1::2])

    def test_each_variable_learns_at_its_own(self, files, tmp_path):
        model = _model(dropout=0.0)
        before = {v.path: v.numpy() for v in model.trainable_variables}
        moved: set[str] = set()

        def watch(_: Any) -> None:
            now = {v.path: v.numpy() for v in model.trainable_variables}
            moved.update(path for path in now if (now[path] != before[path]).any())

        rates = {"head/.*": 0.0, "stage4_block1_conv2/.*": 1e-4}
        settings = _settings(epochs=1, rates=rates, default_rate=0.0, weight_decay=0.0)
        _fit(model, files, tmp_path, settings, on_epoch=watch)
        assert len(before) > 3
        assert moved == {"stage4_block1_conv2/kernel"}
