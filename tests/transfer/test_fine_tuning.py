"""Retraining a part of the network: the rest stays as it is by the bit, and nothing leaks out."""

import dataclasses
import math
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import boundary, evaluation, linear, prediction, stages
from transfer.augmentation import Augmentation
from transfer.backbones import Backbone
from transfer.changes import Changes
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.prediction import Classifier
from transfer.recipe import Recipe
from transfer.strategies import Task, Trained, fine_tuning, finetune_few, finetune_many
from transfer.strategies import plan as planning

SIZE = 48
POLICIES = [finetune_few.POLICY, finetune_many.POLICY]
BOTH = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.strategy)
_OTHER = pytest.param(finetune_many.POLICY, marks=pytest.mark.slow)  # as long again, much the same
ONE = pytest.mark.parametrize("policy", [POLICIES[0], _OTHER], ids=lambda policy: policy.strategy)


@pytest.fixture(autouse=True)
def _runtime(monkeypatch) -> None:
    problems.compute_with_keras(monkeypatch)


@pytest.fixture(scope="module", autouse=True)
def _one_store(tmp_path_factory) -> Iterator[None]:
    with problems.one_store(tmp_path_factory):
        yield


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    return problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=18, classes=2)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return problems.builtin(SIZE)


def _task(folder: Path, index: ImageIndex, backbone: Backbone, **settings: Any) -> Task:
    given = {"epochs": 2, "batch_size": 8, "learning_rate": 3e-3, **settings}
    return problems.task(folder / "run", index, backbone, **given)


@pytest.fixture
def by_heart(index, backbone, tmp_path) -> Task:
    """A task in which every step helps: labels without a sense, judged by what was learned from."""
    senseless = problems.confused(index, 1.0)
    everything = tuple(range(len(index.pictures)))
    parts = Split(everything, everything, ())
    keras.utils.set_random_seed(0)
    settings = {"epochs": 8, "learning_rate": 1e-2, "dropout": 0.0}
    return _task(tmp_path, senseless, backbone, parts=parts, **settings)


def _of(model: keras.Model, layer: str) -> list[np.ndarray]:
    """Return the weights of a layer of the network, which lies within the model."""
    waiting = list(model.layers)
    while waiting:
        one = waiting.pop()
        if one.name == layer:
            return one.get_weights()
        waiting += getattr(one, "layers", [])
    raise AssertionError(f"no layer {layer}")


def _answers(task: Task, trained: Trained, positions: tuple[int, ...]) -> np.ndarray:
    classifier = Classifier(trained.model, task.index.classes, SIZE)
    return prediction.probabilities(classifier, task.paths(positions))


@ONE
def test_what_is_frozen_does_not_change_by_a_bit(backbone, by_heart, policy):
    pretrained = {layer.name: layer.get_weights() for layer in backbone.network.layers}
    trained = fine_tuning.train(by_heart, policy)
    chosen = planning.plan(backbone.network, policy.frozen_level)
    changed: set[str] = set()
    for place, operation in enumerate(backbone.network.operations):
        # The linear strategies go on using the network that the task came with.
        now = operation.get_weights() if isinstance(operation, keras.layers.Layer) else []
        before = pretrained.get(operation.name, [])
        assert [one.tobytes() for one in now] == [one.tobytes() for one in before]
        if not before or place <= chosen.cut.place:
            continue
        after = _of(trained.model, operation.name)
        if any(a.tobytes() != b.tobytes() for a, b in zip(before, after, strict=True)):
            changed.add(operation.name)
            assert place > chosen.trained_from
            assert not isinstance(operation, keras.layers.BatchNormalization)
    assert changed, "nothing was trained"
    below = [one.name for one in backbone.network.operations[: chosen.cut.place + 1]]
    for name in (name for name in below if pretrained.get(name)):
        now, before = _of(trained.model, name), pretrained[name]
        assert [one.tobytes() for one in now] == [one.tobytes() for one in before]


def test_layers_of_the_middle_move_less_than_the_top_ones(backbone, by_heart):
    trained = finetune_many.train(by_heart)
    chosen = planning.plan(backbone.network, finetune_many.POLICY.frozen_level)

    def moved(start: int, stop: int) -> float:
        some = backbone.network.operations[start:stop]
        kernels = [one for one in some if isinstance(one, keras.layers.Conv2D)]
        steps = [np.abs(_of(trained.model, one.name)[0] - one.get_weights()[0]) for one in kernels]
        return float(np.mean([step.mean() for step in steps]))

    middle = moved(chosen.trained_from + 1, chosen.top_from + 1)
    top = moved(chosen.top_from + 1, len(backbone.network.operations))
    assert 0 < middle < 0.5 * top


@ONE
def test_the_history_begins_with_the_head_and_its_numbers_are_the_models(
    index, backbone, tmp_path, policy
):
    rows: list[dict[str, Any]] = []
    task = dataclasses.replace(_task(tmp_path, index, backbone), on_epoch=rows.append)
    trained = fine_tuning.train(task, policy)
    assert trained.strategy == policy.strategy
    assert [row["phase"] for row in trained.history] == ["head"] + ["fine_tuning"] * 3
    assert [row["epoch"] for row in trained.history] == [0, 0, 1, 2]
    assert trained.ended == "epochs"
    assert rows == list(trained.history[2:])
    # It starts where the linear classifier ends, half precision apart.
    head, start = trained.history[0], trained.history[1]
    assert start["val_accuracy"] == pytest.approx(head["val_accuracy"], abs=0.13)
    # What the whole model says of pictures is what the upper part was judged by.
    labels = task.labels[list(task.split.val)]
    answers = _answers(task, trained, task.split.val)
    loss = evaluation.evaluate(answers, labels, index.classes).loss
    best = min(
        row[key]
        for row in trained.history[1:]
        for key in ("val_loss", "mean_val_loss")
        if key in row
    )
    assert loss <= best + 0.02
    assert loss == pytest.approx(linear.calibrated(answers, labels)[0], abs=1e-3)  # calibrated


@ONE
def test_it_learns(by_heart, policy):
    trained = fine_tuning.train(by_heart, policy)
    losses = [row["val_loss"] for row in trained.history[1:]]
    assert min(losses[1:]) < losses[0]
    labels = by_heart.labels[list(by_heart.split.val)]
    answers = _answers(by_heart, trained, by_heart.split.val)
    assert evaluation.evaluate(answers, labels, ("a", "b")).loss < losses[0]


def test_the_experts_choices_are_followed_and_nothing_of_them_is_in_the_model(by_heart, tmp_path):
    recipe = Recipe(optimizer="diffgrad", schedule="constant", drop_connect=0.05, frozen_level=2)
    config = dataclasses.replace(by_heart.config, recipe=recipe)
    trained = finetune_few.train(dataclasses.replace(by_heart, config=config))
    rates = [row["learning_rate"] for row in trained.history[2:]]
    assert rates == pytest.approx([config.learning_rate] * len(rates))
    # The level said goes before that of the policy: layers of the middle have learned too.
    network = by_heart.backbone.network
    many = planning.plan(network, 2)
    few = planning.plan(network, finetune_few.POLICY.frozen_level)
    between = network.operations[many.trained_from + 1 : few.trained_from + 1]
    kernels = [one for one in between if isinstance(one, keras.layers.Conv2D)]
    assert kernels
    for one in kernels:
        assert (_of(trained.model, one.name)[0] != one.get_weights()[0]).any()
    trained.model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as inside:
        graph = inside.read("config.json").decode().casefold()
    assert not [
        word for word in ("transfer>", "dropconnect", "dropout", "diffgrad") if word in graph
    ]
    again: Any = keras.saving.load_model(tmp_path / "model.keras")
    pictures = np.random.default_rng(0).integers(0, 255, (3, 60, 60, 3)).astype(np.float32)
    np.testing.assert_allclose(
        again.predict(pictures, verbose=0), trained.model.predict(pictures, verbose=0), atol=1e-6
    )


@ONE
def test_where_the_disk_allows_nothing_whole_pictures_are_used(
    index, backbone, tmp_path, monkeypatch, policy
):
    monkeypatch.setattr(boundary, "MOST_BYTES", 0)
    task = _task(tmp_path, index, backbone, epochs=1)
    trained = fine_tuning.train(task, policy)
    assert trained.ended == "epochs"
    assert not list(task.run.folder.rglob("*.npy"))
    labels = task.labels[list(task.split.val)]
    loss = evaluation.evaluate(_answers(task, trained, task.split.val), labels, index.classes).loss
    assert loss <= min(row["val_loss"] for row in trained.history[1:]) + 0.02


def test_the_views_are_gone_when_it_is_done(index, backbone, tmp_path):
    seen: list[tuple[int, int]] = []
    task = _task(tmp_path, index, backbone, epochs=1)
    task = dataclasses.replace(task, on_view=lambda done, total: seen.append((done, total)))
    finetune_few.train(task)
    assert not list(task.run.folder.rglob("*.npy"))
    assert seen
    assert max(done for done, _ in seen) == len(task.split.train)
    assert {total for _, total in seen} == {len(task.split.train)}


class KilledError(Exception):
    """The process is gone."""


@ONE
def test_a_killed_one_goes_on_as_if_undisturbed(index, backbone, tmp_path, policy):
    def die(row: dict[str, Any]) -> None:
        if row["epoch"] == 1:
            raise KilledError

    keras.utils.set_random_seed(0)
    whole = fine_tuning.train(_task(tmp_path / "one", index, backbone), policy)
    task = _task(tmp_path / "two", index, backbone)
    keras.utils.set_random_seed(0)
    with pytest.raises(KilledError):
        fine_tuning.train(dataclasses.replace(task, on_epoch=die), policy)
    views = sorted(task.run.folder.rglob("view-*.npy"))
    assert views, "the views are kept for whoever goes on"
    views[0].unlink()
    keras.utils.set_random_seed(0)
    resumed = fine_tuning.train(task, policy)
    assert [row["epoch"] for row in whole.history] == [row["epoch"] for row in resumed.history]
    for mine, theirs in zip(whole.history, resumed.history, strict=True):
        for key in ("loss", "val_loss", "mean_val_loss"):
            if key in mine:
                assert mine[key] == pytest.approx(theirs[key], rel=1e-2)
    np.testing.assert_allclose(
        _answers(task, whole, task.split.val), _answers(task, resumed, task.split.val), atol=0.01
    )


@pytest.mark.parametrize("strategy", ["finetune_few", "finetune_many"])
def test_a_budget_that_is_over_ends_it_with_what_there_is(index, backbone, tmp_path, strategy):
    task = dataclasses.replace(_task(tmp_path, index, backbone, epochs=50), deadline=lambda: 0.0)
    trained = {"finetune_few": finetune_few, "finetune_many": finetune_many}[strategy].train(task)
    assert trained.ended == "budget"
    answers = _answers(task, trained, task.split.val)
    assert np.isfinite(answers).all()
    assert answers.sum(axis=1) == pytest.approx(1.0, abs=1e-4)


def test_a_wish_to_stop_ends_it_with_what_there_is(index, backbone, tmp_path):
    task = dataclasses.replace(
        _task(tmp_path, index, backbone, epochs=50), should_stop=lambda: True
    )
    assert finetune_few.train(task).ended == "stopped"


@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV2:0.35"])
def test_real_statistics_do_not_move_by_a_bit(shared, index, tmp_path, name):
    backbone = problems.pretrained(shared, name, 64)
    task = problems.task(tmp_path / "run", index, backbone, epochs=1, batch_size=8)
    trained = finetune_many.train(task)
    norms = [
        layer
        for layer in backbone.network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(norms) > 50
    for layer in norms:
        before, after = layer.get_weights(), _of(trained.model, layer.name)
        assert [one.tobytes() for one in before] == [one.tobytes() for one in after], layer.name


class TestPolicy:
    @BOTH
    @pytest.mark.parametrize("steps", [1, 3, 30, 100, 700, 20_000])
    def test_epochs_or_steps_whichever_ends_first(self, policy, steps):
        epochs = policy.epochs_of(steps)
        assert epochs >= 1
        assert epochs * steps <= max(policy.most_steps, steps)
        if policy.epochs * steps >= policy.least_steps:
            assert epochs <= policy.epochs
        else:  # few pictures are gone through more often
            assert policy.least_steps <= epochs * steps < policy.least_steps + steps

    def test_many_trains_longer_and_deeper_than_few(self):
        few, many = POLICIES
        assert (few.epochs, few.least_steps, few.patience) < (
            many.epochs, many.least_steps, many.patience
        )  # fmt: skip
        network = problems.build("builtin", SIZE)
        found = stages.find(network)
        places = [planning.plan(network, one.frozen_level).trained_from for one in POLICIES]
        assert found[0].place <= places[1] < places[0]
        assert math.isfinite(places[0])

    def test_what_the_user_says_goes_before_the_policy(self, index, backbone, tmp_path):
        task = _task(tmp_path, index, backbone, epochs=3)
        assert finetune_few.train(task).history[-1]["epoch"] == 3


def test_the_boundary_is_half_precision_of_the_lower_part(index, backbone, tmp_path, monkeypatch):
    kept: dict[str, np.ndarray] = {}
    plain = boundary.plain

    def spied(lower, paths, image_size, file, told):
        kept["answers"] = plain(lower, paths, image_size, file, told)
        return kept["answers"]

    monkeypatch.setattr(boundary, "plain", spied)
    task = _task(tmp_path, index, backbone, epochs=1)
    finetune_few.train(task)
    chosen = planning.plan(backbone.network, finetune_few.POLICY.frozen_level)
    assert kept["answers"].shape[1:] == tuple(chosen.cut.tensor.shape[1:])
    assert kept["answers"].dtype == np.float16
    assert len(kept["answers"]) == len(task.split.val)


class TestChanges:
    @BOTH
    def test_what_the_user_says_goes_before_the_policys_level(
        self, index, backbone, tmp_path, policy
    ):
        def settings(**given: Any) -> Augmentation | None:
            return fine_tuning.augmentation_of(
                _task(tmp_path / "t", index, backbone, **given), policy
            )

        usual = settings()
        assert usual == Augmentation(policy.augmentation, mirror=True, turn=False)
        shutil.rmtree(tmp_path / "t")
        said = Changes(rotation=10, erasing=0.5)
        found = settings(changes=said)
        assert found == Augmentation(policy.augmentation, mirror=True, turn=False, changes=said)
        assert found is not None
        assert (found.amounts.rotation, found.amounts.erasing) == (10, 0.5)

    def test_none_is_none_but_for_flips_that_the_user_wants(self, index, backbone, tmp_path):
        still = _task(tmp_path / "1", index, backbone, changes=Changes("none"))
        assert still.mirror
        assert fine_tuning.augmentation_of(still, POLICIES[0]) is None
        flipped = _task(
            tmp_path / "2", index, backbone, changes=Changes("none"), horizontal_flip=True
        )
        assert fine_tuning.augmentation_of(flipped, POLICIES[0]) == Augmentation(
            "light", changes=Changes("none")
        )

    def test_mixed_pictures_are_learned_with_mixed_labels(self, index, backbone, tmp_path):
        """So that the loss cannot fall below what the mixing leaves open."""
        said = Changes("none", mixup=2.0)
        trained = finetune_few.train(_task(tmp_path, index, backbone, epochs=1, changes=said))
        row = trained.history[-1]
        assert math.isfinite(row["loss"])
        assert row["loss"] > 0.2  # the labels' entropy: half of Beta(2, 2)'s mean of 0.5 nats
