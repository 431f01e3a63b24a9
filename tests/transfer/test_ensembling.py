"""Ensembles: who is chosen, one model of them, runs that do not go together, a whole flow."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import (
    backbones,
    batches,
    calibration,
    catalog,
    features,
    imaging,
    outputs,
    pipeline,
    prediction,
)
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.dataset.split import Split
from transfer.ensembling import (
    assembling,
    building,
    choosing,
    finished,
    gains,
    networks,
    planning,
    pool,
)
from transfer.ensembling.members import Member, Reading, Whole
from transfer.ensembling.networks import Clock
from transfer.ensembling.pool import Problem
from transfer.errors import RunError, SettingsError
from transfer.evaluation import wilson
from transfer.runs import Run

SIZE = 48


@pytest.fixture(autouse=True)
def _runtime(monkeypatch) -> None:
    problems.compute_with_keras(monkeypatch)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return problems.folders(tmp_path_factory.mktemp("data") / "stripes", 16)


def _answers(right: np.ndarray, labels: np.ndarray, sure: float = 0.8) -> np.ndarray:
    """Probabilities of two classes: `sure` for the label where it is right, else for the other."""
    said = np.where(right, labels, 1 - labels)
    return np.where(np.arange(2) == said[:, None], sure, 1 - sure)


class TestChoosing:
    def test_members_that_err_apart_are_both_taken_and_a_guesser_is_not(self):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, 200)
        errs = rng.permutation(200)
        first, second = np.ones(200, bool), np.ones(200, bool)
        first[errs[:30]], second[errs[30:60]] = False, False
        guesser = rng.random(200) < 0.5
        answers = np.stack([_answers(one, labels) for one in (first, second, guesser)])
        found = choosing.weights(answers, labels, np.arange(200), 0)
        assert found.sum() == pytest.approx(1)
        assert found[0] > 0.3
        assert found[1] > 0.3
        assert found[2] == 0

    def test_it_is_decided_by_groups_and_the_seed(self):
        rng = np.random.default_rng(1)
        labels = rng.integers(0, 2, 60)
        answers = np.stack([_answers(rng.random(60) < share, labels) for share in (0.9, 0.8, 0.7)])
        groups = np.arange(60) // 6
        one = choosing.weights(answers, labels, groups, 3)
        np.testing.assert_array_equal(one, choosing.weights(answers, labels, groups, 3))
        assert not np.array_equal(one, choosing.weights(answers, labels, np.arange(60), 3))

    def test_the_best_alone_is_right_most_often_then_likeliest(self):
        labels = np.zeros(10, int)
        right = np.arange(10) < 8
        answers = [_answers(right, labels, 0.6), _answers(right, labels, 0.7),
                   _answers(np.arange(10) < 7, labels, 0.99)]  # fmt: skip
        likely = [float(np.log(one[:, 0]).mean()) for one in answers[:2]]
        assert choosing.best(np.stack(answers), labels) == int(np.argmax(likely))


class TestGains:
    def test_a_clear_gain_and_none(self):
        member = np.arange(100) < 80
        better = np.arange(100) < 95
        found = gains.compare(better, member, np.arange(100))
        assert (found.points, found.only_ensemble, found.only_member) == (pytest.approx(15), 15, 0)
        assert found.low > 0
        assert found.p == pytest.approx(2 / 2**15)
        same = gains.compare(member, member, np.arange(100))
        assert (same.points, same.p) == (0, 1)
        assert same.low == -same.high == pytest.approx(-100 * 1.984 / 102, rel=1e-3)  # not 0 to 0

    def test_pictures_of_one_group_count_as_one(self):
        member, better = np.arange(100) < 80, np.arange(100) < 95
        alone = gains.compare(better, member, np.arange(100))
        grouped = gains.compare(better, member, np.arange(100) // 10)
        assert grouped.high - grouped.low > alone.high - alone.low


@pytest.fixture(scope="module")
def members() -> list[Member]:
    backbone = problems.builtin(SIZE)
    rng = np.random.default_rng(0)

    def head(width: int) -> keras.Model:
        inputs = keras.Input((width,))
        dense = keras.layers.Dense(3, activation="softmax")
        model = keras.Model(inputs, dense(inputs))
        dense.set_weights([rng.normal(0, 1, (width, 3)), np.zeros(3)])
        return model

    def reading(blocks: tuple[Any, ...]) -> Member:
        width = sum(block.width for block in blocks)
        solution = Reading(backbone, blocks, head(width))
        return Member("m", "m", np.zeros((1, 3)), wilson(1, 2), solution)

    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    other = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(pooled))
    whole = Member("w", "w", np.zeros((1, 3)), wilson(1, 2), Whole(other, 32))
    return [reading(backbone.blocks[-1:]), reading(backbone.blocks[:2]), whole]


class TestAssembling:
    def test_it_says_the_weighted_mean_for_pictures_of_any_size(self, members, tmp_path):
        weights = [0.5, 0.2, 0.3]
        model = assembling.classifier(members, weights, SIZE)
        path = tmp_path / "model.keras"
        model.save(path)
        loaded: Any = keras.saving.load_model(path, compile=False)
        pictures = np.random.default_rng(1).integers(0, 256, (2, 70, 90, 3)).astype(np.float32)
        said = np.asarray(loaded(pictures, training=False))
        np.testing.assert_allclose(said, np.asarray(model(pictures, training=False)), atol=1e-6)
        np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
        resized = np.round(np.asarray(imaging.resizer(SIZE)(pictures)))
        apart = assembling.separate(members, SIZE)(resized, training=False)
        mean = sum(w * np.asarray(one) for w, one in zip(weights, apart, strict=True))
        np.testing.assert_allclose(said, mean, atol=1e-5)

    def test_members_of_one_network_share_a_pass_through_it(self, members):
        alone = assembling.separate(members[:1], SIZE).count_params()
        both = assembling.separate(members[:2], SIZE).count_params()
        assert both < 1.1 * alone


class TestPlanning:
    @pytest.fixture
    def run(self, tmp_path):
        def made(name: str, **changes: Any) -> Run:
            run = Run(tmp_path / name)
            run.start(RunConfig(changes.get("dataset", "d" * 32), "builtin", SIZE))
            run.write("split", {"train": [0, 1], "val": changes.get("val", [2]), "test": [3]})
            run.save_answers(validation=((2,), np.ones((1, 2)) / 2))
            run.model_path.touch()
            run.finish({"classes": ["a", "b"], "shipped": "linear_top"})
            return run

        return made

    def test_what_does_not_go_together_is_said(self, run, tmp_path):
        first = run("first")
        with pytest.raises(SettingsError, match="other pictures"):
            planning.check([first, run("elsewhere", dataset="e" * 32)])
        with pytest.raises(SettingsError, match="seed of the other"):
            planning.check([first, run("shared", val=[1])])
        with pytest.raises(SettingsError, match="at least 2 different"):
            planning.check([first, first])
        with pytest.raises(RunError, match="There is no run"):
            planning.check([first, Run(tmp_path / "none")])

    def test_a_prepared_run_goes_on_with_the_same_members_only(self, run, tmp_path):
        first, second, third = (run(name) for name in ("first", "second", "third"))
        ensemble = Run(tmp_path / "ensemble")
        planning.of_runs(ensemble, [first, second])
        planning.of_runs(ensemble, [first, second])
        assert planning.read(ensemble).runs == (str(first.folder), str(second.folder))
        assert ensemble.read("split") == first.read("split")
        with pytest.raises(SettingsError, match="other members"):
            planning.of_runs(ensemble, [first, third])

    def test_networks_are_in_the_order_given_and_the_widest_decides(self, tmp_path):
        planning.of_networks(Run(tmp_path / "e"), "d" * 32, ["builtin"], 60.0, 3)
        config = Run(tmp_path / "e").config()
        assert (config.strategy, config.budget, config.seed) == (catalog.ENSEMBLE.name, 60.0, 3)
        with pytest.raises(SettingsError, match="No network was named"):
            planning.of_networks(Run(tmp_path / "f"), "d" * 32, [])


class TestFlow:
    def test_members_from_features_become_one_run(self, data, tmp_path):
        digest = library.import_dataset(data).digest
        run = Run(tmp_path / "e")
        planning.of_networks(run, digest, ["builtin"])
        result = building.build(run)
        block = result["ensemble"]
        assert sum(one["weight"] for one in block["members"]) == pytest.approx(1, abs=1e-3)
        assert block["networks"] == ["builtin"]
        assert block["megabytes"] > 0
        assert block["milliseconds"] > 0
        self._holds(run, result)
        assert building.build(run) == run.result()  # finished: nothing is done again

    def test_finished_runs_share_their_network(self, data, tmp_path):
        digest = library.import_dataset(data).digest
        runs = []
        for strategy in ("linear_top", "linear_stages"):
            runs.append(Run(tmp_path / strategy))
            runs[-1].start(RunConfig(digest, "builtin", SIZE, strategy=strategy))
            pipeline.run(runs[-1])
        run = Run(tmp_path / "e")
        planning.of_runs(run, runs)
        result = building.build(run)
        assert result["ensemble"]["networks"] == ["builtin"]
        one = runs[0].model_path.stat().st_size
        assert run.model_path.stat().st_size < 1.5 * one
        self._holds(run, result)
        index = library.open_dataset(digest)
        parts = Split.from_json(run.read("split") or {})
        shared = finished.Networks()
        member = finished.member(runs[1], parts, index.class_numbers(), shared)
        assert isinstance(member.solution, Reading)
        apart = assembling.separate([member], SIZE)
        pictures = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.float32)
        original = backbones.after_resizing(prediction.load(runs[1]).model)
        np.testing.assert_allclose(
            np.asarray(apart(pictures)), np.asarray(original(pictures)), atol=1e-5
        )

    @pytest.mark.slow
    def test_a_network_that_was_trained_answers_beside_a_linear_head(self, data, tmp_path):
        digest = library.import_dataset(data).digest
        runs = []
        for strategy in ("linear_top", "finetune_few"):
            runs.append(Run(tmp_path / strategy))
            settings = {"horizontal_flip": True, "quarter_turns": False, "epochs": 1}
            runs[-1].start(RunConfig(digest, "builtin", SIZE, strategy=strategy, **settings))
            pipeline.run(runs[-1])
        run = Run(tmp_path / "e")
        planning.of_runs(run, runs)
        result = building.build(run)
        assert [one["kind"] for one in result["ensemble"]["members"]] == ["run", "run"]
        assert result["ensemble"]["chosen_by"] == result["splits"]["val"]
        self._holds(run, result)
        index = library.open_dataset(digest)
        parts = Split.from_json(run.read("split") or {})
        shared = finished.Networks()
        made = [finished.member(one, parts, index.class_numbers(), shared) for one in runs]
        assert [type(one.solution) for one in made] == [Reading, Whole]
        both = assembling.classifier(made, [0.5, 0.5], SIZE, factor=2.0)
        paths = [index.path(index.pictures[i]) for i in parts.test]
        each = [prediction.probabilities(prediction.load(one), paths) for one in runs]
        mean = calibration.sharpened((each[0] + each[1]) / 2, 2.0)
        classifier = prediction.of_model(both, index.classes, SIZE)
        np.testing.assert_allclose(prediction.probabilities(classifier, paths), mean, atol=1e-4)
        # What is strange is judged by the network with the most weight, as it is of that run alone.
        pictures = batches.loaded(paths[:4], SIZE).astype(np.float32)
        for number, weights in enumerate(([0.7, 0.3], [0.3, 0.7])):
            read = outputs.vectors(assembling.classifier(made, weights, SIZE))
            alone = outputs.vectors(prediction.load(runs[number]).model)
            assert read is not None
            assert alone is not None
            for one, other in zip(read(pictures), alone(pictures), strict=True):
                np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-4)

    def _holds(self, run: Run, result: dict[str, Any]) -> None:
        """Check that every number is that of the model which ships."""
        index = library.open_dataset(run.config().dataset)
        positions, kept = run.answers("test") or ([], np.empty(0))
        labels = index.class_numbers()[list(positions)]
        assert result["test"]["accuracy"] == pytest.approx((kept.argmax(axis=1) == labels).mean())
        paths = [index.path(index.pictures[i]) for i in positions]
        said = prediction.probabilities(prediction.load(run), paths)
        np.testing.assert_allclose(said, kept, atol=1e-4)
        kept_val = run.answers("validation")
        assert kept_val is not None
        assert kept_val[0].tolist() == (run.read("split") or {})["val"]


def test_held_out_answers_do_not_know_their_picture(data):
    """A wrong label cannot be learned by what judges it."""
    index = library.import_dataset(data)
    backbone = problems.builtin(SIZE)
    parts = problems.parted(index)
    problem = Problem.of(index, parts, 0)
    assert not set(problem.positions) & set(parts.test)
    kept = features.compute(backbone, index, list(problem.positions))
    shuffled = np.random.default_rng(0).permutation(problem.labels)
    chance = Problem(problem.positions, shuffled, problem.groups, problem.judging,
                     problem.classes, 0)  # fmt: skip
    for member in pool.members(chance, backbone, kept):
        assert (member.held_out.argmax(axis=1) == shuffled).mean() < 0.65


def test_a_network_for_which_there_is_no_time_is_left_out(monkeypatch):
    told: list[int] = []
    now = [0.0]
    monkeypatch.setattr(networks.time, "monotonic", lambda: now[0])
    step = networks._in_time(lambda done, _: told.append(done), lambda: 50.0 - now[0])
    step(10, 100)
    now[0] = 4.0
    step(20, 100)  # 0.4 s each: 32 s more, and 46 are left
    now[0] = 20.0
    with pytest.raises(networks._NoTimeError):
        step(30, 100)  # 1 s each: 70 more
    assert told == [10, 20, 30]
    clock = Clock(before=10.0, budget=60.0)
    assert clock.left() == pytest.approx(50)
    now[0] += 5
    assert (clock.spent(), clock.left()) == (pytest.approx(15), pytest.approx(45))
