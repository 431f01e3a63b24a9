"""The checks before a training: green for a healthy problem, red for provoked ill ones."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tests.transfer import problems
from transfer import (
    backbones,
    checks,
    costs,
    looking,
    overfitting,
    range_test,
    start_loss,
    store,
    trial,
)
from transfer.backbones import Backbone
from transfer.config import RunConfig
from transfer.dataset import library, relations
from transfer.dataset.index import ImageIndex
from transfer.errors import SettingsError
from transfer.reporter import Reporter
from transfer.runs import Run
from transfer.trial import Trial

SIZE = 48
CLASSES = 3
Make = Callable[[ImageIndex], Trial]


@pytest.fixture(scope="module", autouse=True)
def _once(tmp_path_factory) -> Iterator[None]:
    """Keep features between the tests of this file, and compute with Keras, without compiling."""
    home = tmp_path_factory.mktemp("features")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "home", lambda: home)
        problems.compute_with_keras(patch)
        yield


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    return problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=20, classes=CLASSES)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return problems.builtin(SIZE)


@pytest.fixture(scope="module")
def make(backbone, tmp_path_factory) -> Make:
    def made(index: ImageIndex, **settings: Any) -> Trial:
        run = Run(tmp_path_factory.mktemp("run") / "run")
        run.start(
            RunConfig(
                index.digest,
                backbone.spec.name,
                SIZE,
                strategy="finetune_few",
                horizontal_flip=True,
                **settings,
            )
        )
        split = problems.parted(index)
        return trial.prepare(run, index, split, backbone, mirror=True, turn=False)

    return made


@pytest.fixture(scope="module")
def healthy(make, index) -> Trial:
    return make(index)


@pytest.fixture(scope="module")
def equal(make, tmp_path_factory) -> Trial:
    """One picture in all classes: nothing tells them apart."""
    folder = tmp_path_factory.mktemp("equal")
    pixels = problems.stripes(0, 0)
    pictures = [
        problems.keep(folder, f"class-{label}", f"{label}-{number:02d}", pixels)
        for label in range(CLASSES)
        for number in range(16)
    ]
    return make(ImageIndex(folder, "e" * 64, tuple(pictures)))


@pytest.fixture(scope="module")
def dead(healthy) -> Trial:
    """A network whose frozen part says nothing of any picture."""
    return dataclasses.replace(healthy, plain=0 * healthy.plain, views=0 * healthy.views)


@pytest.fixture(scope="module")
def answer(healthy, index, backbone) -> dict[str, Any]:
    """All checks of the healthy problem, as they are kept."""
    run = healthy.task.run
    split = problems.parted(index)
    return checks.check(run, index, split, backbone, Reporter(run))


class TestHealthy:
    def test_every_light_is_green_and_has_a_sentence(self, answer):
        assert {name: answer[name]["light"] for name in checks.LIT} == dict.fromkeys(
            checks.LIT, "green"
        )
        assert answer["light"] == "green"
        assert all(answer[name]["words"].endswith(".") for name in checks.LIT)

    def test_it_is_json_as_it_stands(self, answer):
        assert json.loads(json.dumps(answer, allow_nan=False)) == json.loads(json.dumps(answer))

    def test_a_random_head_guesses_and_ours_does_better(self, answer):
        start = answer["start_loss"]
        assert start["expected"] == pytest.approx(math.log(CLASSES), abs=1e-4)
        assert start["loss"] == pytest.approx(start["expected"], rel=0.25)
        assert start["closed_form"] < 0.8 * start["expected"]

    def test_twenty_pictures_are_known_by_heart(self, answer):
        overfit = answer["overfit"]
        assert (overfit["images"], overfit["accuracy"]) == (20, 1.0)
        assert overfit["losses"][-1] <= 0.05 < overfit["losses"][0]
        assert len(overfit["losses"]) == overfit["steps"] + 1

    def test_the_rates_rise_until_the_loss_does(self, answer):
        curve = answer["rate_range"]
        rates, losses = curve["rates"], curve["losses"]
        assert rates[0] == 1e-7
        assert np.allclose(np.diff(np.log10(rates)), 8 / 99, atol=1e-3)
        assert len(rates) == len(losses)
        assert len(rates) == 100 or losses[-1] > 4 * min(losses[:-1])
        assert curve["chosen"] == pytest.approx(0.1 * rates[int(np.argmin(losses))], rel=0.06)

    def test_the_cost_follows_from_the_steps(self, answer, index):
        cost = answer["cost"]
        train = len(problems.parted(index).train)
        assert cost["steps"] == cost["epochs"] * math.ceil(train / 32)
        assert cost["minutes"] * 60 >= cost["steps"] * cost["seconds_a_step"] - 3
        assert (cost["batch_size"], cost["halved_from"], cost["device"]) == (32, None, "CPU")
        assert cost["memory_mb"] > 0

    def test_the_pictures_are_those_of_the_network(self, answer, healthy):
        shown = answer["pictures"]
        folder = healthy.task.run.folder
        assert len(shown["plain"]) == len(shown["augmented"]) == len(shown["labels"]) == 12
        assert set(shown["labels"][:CLASSES]) == {f"class-{i}" for i in range(CLASSES)}
        assert shown["shape"] == (1, SIZE, SIZE, 3)
        for kind in ("plain", "augmented"):
            files = [np.asarray(Image.open(folder / name)) for name in shown[kind]]
            assert all(pixels.shape == (SIZE, SIZE, 3) for pixels in files)
        view = next(healthy.source.in_order(0).as_numpy_iterator())
        assert (np.stack(files) == view[:12]).all()
        assert -1.01 <= shown["low"] < shown["high"] <= 255


class TestEqualPictures:
    """All pictures are the same, with different labels."""

    def test_they_cannot_be_learned_by_heart(self, equal):
        found = overfitting.run(equal)
        assert (found.light, found.steps) == ("red", 40)
        assert found.accuracy <= 0.5
        assert "could not learn" in found.words

    def test_no_rate_helps(self, equal):
        found = range_test.run(equal, 8)
        assert (found.light, found.chosen) == ("red", None)
        assert "No learning rate" in found.words

    def test_the_first_head_knows_nothing(self, equal):
        found = start_loss.run(equal)
        assert found.light == "amber"
        assert found.closed_form is not None
        assert found.closed_form >= 0.95 * math.log(CLASSES)

    def test_a_look_tells(self, equal, tmp_path):
        assert looking.run(equal, tmp_path / "checks").light == "red"


class TestDeadNetwork:
    def test_it_learns_nothing(self, dead):
        assert overfitting.run(dead).light == "red"
        assert range_test.run(dead, 8).light == "red"

    def test_weights_that_are_no_numbers_are_red_and_json(self, healthy):
        broken = tuple(np.full_like(value, np.nan) for value in healthy.start)
        ill = dataclasses.replace(healthy, start=broken)
        found = [start_loss.run(ill), overfitting.run(ill), range_test.run(ill, 8)]
        assert [one.light for one in found] == ["red"] * 3
        json.dumps([one.to_json() for one in found], allow_nan=False)

    def test_numbers_far_too_large_are_seen_at_the_start(self, healthy):
        loud = dataclasses.replace(healthy, plain=healthy.plain * 1e4)
        assert start_loss.run(loud).light == "red"


def test_labels_by_chance_are_no_better_than_guessing(make, index):
    """Twenty pictures are learned by heart whatever their labels; the first head tells."""
    found = make(problems.confused(index, 1.0))
    assert start_loss.run(found).light == "amber"
    assert overfitting.run(found).light in ("green", "amber")


class TestChoice:
    """The rule on curves of known shape."""

    RATES = np.geomspace(1e-7, 10, 100).tolist()

    def test_a_tenth_of_the_rate_at_the_lowest_loss(self):
        curve = [2.0 - 1.5 * math.exp(-(((i - 70) / 15) ** 2)) for i in range(100)]
        assert range_test.choose(self.RATES, curve) == pytest.approx(self.RATES[70] / 10, rel=0.05)

    def test_none_where_it_only_wavers(self):
        rng = np.random.default_rng(0)
        curve = (1.1 + 0.03 * rng.normal(size=100)).tolist()
        assert range_test.choose(self.RATES, curve) is None

    def test_a_first_batch_that_is_easy_by_chance_is_not_chosen(self):
        curve = [2.0 - 1.0 * math.exp(-(((i - 70) / 15) ** 2)) for i in range(100)]
        curve[0] = 0.5
        assert range_test.choose(self.RATES, curve) == pytest.approx(self.RATES[70] / 10, rel=0.05)

    def test_none_where_it_ends_at_once(self):
        assert range_test.choose(self.RATES[:5], [1.0, 2.0, 3.0, 4.0, 5.0]) is None

    @pytest.mark.parametrize(
        ("loss", "accuracy", "light"),
        [(0.01, 1.0, "green"), (0.01, 0.95, "amber"), (0.3, 1.0, "amber"), (1.0, 0.4, "red"),
         (math.nan, 1.0, "red")],
    )  # fmt: skip
    def test_lights_of_learning_by_heart(self, loss, accuracy, light):
        assert overfitting.judged(loss, accuracy, CLASSES) == light

    @pytest.mark.parametrize(
        ("chosen", "light"), [(1e-4, "green"), (5e-5, "amber"), (0.02, "green"), (0.05, "amber")]
    )
    def test_lights_of_the_rate(self, chosen, light):
        curve = [2.0] * 60 + [1.0] * 20 + [3.0]
        assert range_test._judged(chosen, curve, planned=1e-3) == light

    @pytest.mark.parametrize(
        ("loss", "light"), [(1.1, "green"), (1.6, "amber"), (3.0, "red"), (math.inf, "red")]
    )
    def test_lights_of_the_start(self, loss, light):
        assert start_loss.judged(loss, math.log(CLASSES)) == light


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in ("ants-bees", "steel-defects")]
)
def test_training_with_the_chosen_rate_works_on_real_pictures(shared, tmp_path, name):
    """From a fresh head the loss falls far with it, and less far with a hundred times as much."""
    network = problems.pretrained(shared, "MobileNetV2:0.35", 96)
    index = library.import_dataset(shared / "datasets" / name)
    run = Run(tmp_path / "run")
    run.start(RunConfig(index.digest, network.spec.name, 96, strategy="finetune_few"))
    parts = relations.shared_out(index, 0)
    made = trial.prepare(run, index, parts, network, mirror=True, turn=False)
    found = range_test.run(made, 16)
    assert found.light == "green"
    assert found.chosen is not None
    expected = math.log(len(index.classes))
    loss = _loss_after(made, found.chosen)
    assert loss < 0.75 * expected
    assert loss < _loss_after(made, 100 * found.chosen)


def _loss_after(made: Trial, rate: float, steps: int = 60) -> float:
    """Return the loss on the pictures as they are, after steps from a fresh head."""
    paced = made.compiled()
    made.reset(np.random.default_rng(7))
    paced.slow_to(rate / made.task.config.learning_rate)
    rng = np.random.default_rng(8)
    for _ in range(steps):
        rows = rng.choice(len(made.views), 16, replace=False)
        made.model.train_on_batch(made.views[rows], made.one_hot(rows))
    answers = backbones.answers(backbones.compiled(made.model, 32), made.held_out, 32)
    own = answers[np.arange(len(answers)), made.held_out_labels]
    return float(-np.log(np.maximum(own, 1e-7)).mean())


def test_a_sample_has_all_classes_in_turns():
    labels = np.array([0] * 500 + [1] * 20 + [2] * 4)
    chosen = trial.in_turns(labels, tuple(range(524)), 60, np.random.default_rng(0))
    assert len(set(chosen)) == 60
    assert np.bincount(labels[list(chosen)]).tolist() == [36, 20, 4]
    assert sorted(labels[list(chosen[:3])]) == [0, 1, 2]


def test_a_strategy_that_does_not_train_the_network_is_refused(tmp_path, index):
    run = Run(tmp_path / "run")
    run.start(RunConfig(index.digest, "builtin", SIZE, strategy="linear_top"))
    with pytest.raises(SettingsError, match="finetune_few or finetune_many"):
        checks.run(run)


def test_the_weights_are_as_before_when_all_is_over(answer, healthy):
    healthy.reset()
    now = problems.values(healthy.model.trainable_variables)
    for value, start in zip(now, healthy.start, strict=True):
        assert np.array_equal(value, start)


def test_a_batch_that_does_not_fit_is_halved_in_the_checks(make, index, monkeypatch, tmp_path):
    made = make(index)
    monkeypatch.setattr(costs.memory, "free", lambda: _needed(made, 12))
    cost = costs.run(made, problems.parted(index))
    assert (cost.batch_size, cost.halved_from, cost.light) == (8, 32, "amber")
    assert "does not fit" in cost.words
    assert made.task.run.read("batch") == {"batch_size": 8, "planned": 32}
    (event,) = [one for one in made.task.run.events_since()[0] if "with 8 at a time" in str(one)]
    assert event["event"] == "note"


def _needed(made: Trial, batch_size: int) -> float:
    """Return the megabytes of which `memory.require` finds that so many pictures need them."""
    kept = sum(
        math.prod(tensor.shape[1:])
        for layer in made.model.layers
        for tensor in keras.tree.flatten(layer.output)
    )
    return kept * 4 * batch_size / 1024**2


@pytest.mark.slow
def test_the_command_and_the_job_answer_alike(command, tmp_path):
    folder: Path = problems.folders(tmp_path / "stripes", per_class=14, classes=(0, 1))
    arguments = ("checks", folder, "--backbone", "builtin", "--image-size", SIZE)
    status, found, words = command(*arguments, "--run", tmp_path / "run")
    assert status == 0
    assert found["light"] in words.lower()
    assert all((tmp_path / "run" / name).is_file() for name in found["pictures"]["augmented"])
    status, again, _ = command("rehearse", tmp_path / "run")
    assert (status, again) == (0, found)
