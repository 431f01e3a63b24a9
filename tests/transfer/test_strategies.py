"""The linear strategies: what they read, how their members answer together, what refitting adds."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import catalog, evaluation, linear, pooling, prediction, selection
from transfer.backbones import Backbone
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.linear import LinearHead
from transfer.prediction import Classifier
from transfer.strategies import REGISTRY, Task, Trained, heads, linear_stages, linear_top

SIZE = 48


@pytest.fixture(autouse=True)
def _runtime(monkeypatch) -> None:
    problems.compute_with_keras(monkeypatch)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    whole = problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=14, classes=3)
    return problems.confused(whole, 0.3)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return problems.builtin(SIZE)


@pytest.fixture
def task(tmp_path, index, backbone) -> Task:
    return problems.task(tmp_path / "run", index, backbone, "linear_stages")


def _answers(task: Task, model: keras.Model, positions: tuple[int, ...]) -> np.ndarray:
    return prediction.probabilities(
        Classifier(model, task.index.classes, SIZE), task.paths(positions)
    )


def _events(folder: Path, kind: str) -> list[dict]:
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [one for one in map(json.loads, lines) if one["event"] == kind]


def _read(model: keras.Model) -> int:
    """Return how many features the head reads."""
    waiting = list(model.layers)
    while waiting:
        one = waiting.pop()
        if one.name == "head":
            return int(one.kernel.shape[0])
        waiting += getattr(one, "layers", [])
    raise AssertionError("no head")


def test_there_is_one_file_for_each_cell_of_the_table():
    assert list(REGISTRY) == [one.name for one in catalog.STRATEGIES]


@pytest.mark.parametrize("name", ["linear_top", "linear_stages"])
def test_the_model_says_what_the_features_say_and_never_saw_the_validation(task, name):
    trained = REGISTRY[name](task)
    assert trained.strategy == name
    assert trained.ended == "closed form"
    (row,) = trained.history
    for prefix, positions in (("", task.split.train), ("val_", task.split.val)):
        answers = _answers(task, trained.model, positions)
        report = evaluation.evaluate(answers, task.labels[list(positions)], task.index.classes)
        assert report.overall.accuracy == pytest.approx(row[f"{prefix}accuracy"], abs=0.1)
        assert report.loss == pytest.approx(row[f"{prefix}loss"], abs=0.05)
    # Other labels of the validation pictures change nothing but the refitted model.
    labels = task.labels.copy()
    labels[list(task.split.val)] = (labels[list(task.split.val)] + 1) % 3
    other = REGISTRY[name](_with_labels(task, labels))
    some = task.split.train[:6]
    np.testing.assert_allclose(
        _answers(task, other.model, some), _answers(task, trained.model, some), atol=1e-5
    )
    assert trained.refit is not None
    assert other.refit is not None
    again, wrong = (_answers(task, one(), task.split.val) for one in (trained.refit, other.refit))
    assert np.abs(again - wrong).max() > 1e-3


@pytest.mark.parametrize("name", ["linear_top", "linear_stages"])
def test_what_answered_before_the_refitting_answers_with_the_new_head(task, name):
    trained = REGISTRY[name](task)
    paths = task.paths(task.split.val)
    judge = Classifier(trained.model, task.index.classes, SIZE)
    before = prediction.probabilities(judge, paths)
    assert trained.refit is not None
    assert trained.refit() is trained.model
    after = prediction.probabilities(judge, paths)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, _answers(task, trained.model, task.split.val), atol=1e-6)


def _with_labels(task: Task, labels: np.ndarray) -> Task:
    return dataclasses.replace(task, labels=labels)


def test_the_top_reads_the_last_stage_alone(task):
    trained = linear_top.train(task)
    assert _read(trained.model) == pooling.top(task.features.blocks).width
    assert trained.refit is not None
    assert _read(trained.refit()) == pooling.top(task.features.blocks).width


class TestStages:
    def test_it_tells_of_each_block(self, task):
        told: list[tuple[int, int]] = []
        linear_stages.train(dataclasses.replace(task, on_block=lambda *done: told.append(done)))
        n = len(task.features.blocks)
        assert told == [(i, n) for i in range(n)]

    def test_several_are_read_and_named(self, task):
        trained = linear_stages.train(task)
        (event,) = _events(task.run.folder, "stages")
        used = [block for block in task.features.blocks if block.name in event["weights"]]
        assert len(used) == len(event["weights"]) >= 2
        assert sum(event["weights"].values()) == pytest.approx(1.0, abs=1e-3)
        assert _read(trained.model) == sum(block.width for block in used)

    def test_few_pictures_are_answered_by_all_alike(self, task):
        assert len(task.split.train) / 3 < selection.GREEDY_FROM
        linear_stages.train(task)
        (event,) = _events(task.run.folder, "stages")
        assert set(event["weights"]) == {block.name for block in task.features.blocks}
        assert len(set(event["weights"].values())) == 1

    def test_they_answer_as_the_mean_of_the_members_logits(self, task):
        trained = linear_stages.train(task)
        members = [heads.probe(task, block).head for block in task.features.blocks]
        positions = task.split.val
        logits = np.mean(
            [
                task.of(block, positions).astype(np.float64) @ head.kernel + head.bias
                for block, head in zip(task.features.blocks, members, strict=True)
            ],
            axis=0,
        )
        received = np.log(_answers(task, trained.model, positions))
        # Up to a shift of each row and one temperature they are the same.
        one, other = (values - values.mean(axis=1, keepdims=True) for values in (logits, received))
        temperature = (one * other).sum() / (one * one).sum()
        assert temperature > 0
        np.testing.assert_allclose(other, temperature * one, atol=0.1 * np.abs(other).max())

    @pytest.mark.parametrize(
        ("weights", "used"),
        [((0.97, 0.019, 0.011, 0, 0, 0), 2), ((0.5, 0.3, 0.19, 0.01, 0, 0), 3)],
    )
    def test_members_that_hardly_count_are_left_out_but_never_all_but_one(
        self, task, monkeypatch, weights, used
    ):
        assert len(task.features.blocks) == len(weights)
        monkeypatch.setattr(selection, "weights", lambda *_: np.array(weights))
        linear_stages.train(task)
        (event,) = _events(task.run.folder, "stages")
        names = [block.name for block in task.features.blocks]
        assert list(event["weights"]) == names[:used]
        assert sum(event["weights"].values()) == pytest.approx(1.0, abs=1e-3)

    def test_they_are_not_too_sure(self, task):
        trained = linear_stages.train(task)
        answers = _answers(task, trained.model, task.split.val)
        labels = task.labels[list(task.split.val)]
        best = linear.calibrated(answers, labels)[0]
        assert evaluation.evaluate(answers, labels, task.index.classes).loss < best + 0.3


class TestJoined:
    def test_the_joined_head_is_the_weighted_mean_of_logits(self):
        rng = np.random.default_rng(0)
        members = [
            LinearHead(rng.normal(size=(d, 3)), rng.normal(size=3), 1.0, 1.0, 0.0) for d in (4, 7)
        ]
        x = [rng.normal(size=(5, d)) for d in (4, 7)]
        weights = np.array([0.3, 0.7])
        together = heads.joined(members, weights, temperature=2.0)
        logits = 2.0 * sum(
            w * (part @ head.kernel + head.bias)
            for w, part, head in zip(weights, x, members, strict=True)
        )
        np.testing.assert_allclose(
            np.concatenate(x, axis=1) @ together.kernel + together.bias, logits
        )


def test_many_pictures_are_taken_in_pieces(task, monkeypatch):
    head = heads.probe(task, pooling.top(task.features.blocks)).head
    whole = heads.history_row(task, head, (pooling.top(task.features.blocks),))
    monkeypatch.setattr(heads, "_PIECE", 5)
    assert heads.history_row(task, head, (pooling.top(task.features.blocks),)) == whole


def test_copies_are_left_out_together(tmp_path, backbone):
    """With labels without a sense, copies must not make a probe seem right."""
    index = problems.confused(problems.dataset(tmp_path / "pictures", per_class=10), 1.0)
    index = dataclasses.replace(index, pictures=index.pictures * 3)
    everything = tuple(range(60))
    parts = Split(everything, everything, (), groups=(*range(20),) * 3)
    task = problems.task(tmp_path / "run", index, backbone, parts=parts)
    found = heads.probe(task, pooling.top(task.features.blocks))
    right = found.held_out.argmax(axis=1) == task.labels
    assert right.mean() < 0.8


def test_what_is_trained_can_be_saved_and_loaded(task, tmp_path):
    trained: Trained = linear_stages.train(task)
    trained.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert isinstance(loaded, keras.Model)
    np.testing.assert_allclose(
        _answers(task, loaded, task.split.val),
        _answers(task, trained.model, task.split.val),
        atol=1e-5,
    )
