"""Members that train a network: what they have learned from, how weights are mixed, killed runs."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.transfer import outcomes, problems
from transfer import backbones, batches, checkpoints, features, outputs, pooling, prediction
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.ensembling import (
    assembling,
    bench,
    building,
    planning,
    retraining,
    tuning,
)
from transfer.ensembling.bench import Bench
from transfer.ensembling.members import Tuned
from transfer.ensembling.pool import Problem
from transfer.ensembling.tuning import Weights
from transfer.errors import SettingsError
from transfer.recipe import Recipe
from transfer.reporter import Reporter
from transfer.runs import Run
from transfer.strategies import Task, fine_tuning, finetune_few
from transfer.strategies.fine_tuning import Policy

SIZE = 48
SHORT = {"epochs": 2, "batch_size": 8, "learning_rate": 3e-3}


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


@pytest.fixture
def task(index, tmp_path) -> Task:
    return problems.task(tmp_path / "run", index, problems.builtin(SIZE), **SHORT)


def _short(monkeypatch) -> None:
    """Let trainings be few and have two epochs: the policies are for real ones."""
    monkeypatch.setattr(Policy, "epochs_of", lambda _self, _steps: 2)
    monkeypatch.setattr(tuning, "SEEDS", 2)
    monkeypatch.setattr(tuning, "FOLDS", 2)
    monkeypatch.setattr(tuning, "CYCLES", 2)


class TestSoup:
    def _sets(self, *values: float) -> list[Weights]:
        return [Weights("seeds", f"seed {v}", [np.array([v])]) for v in values]

    def test_it_takes_what_does_not_raise_the_loss_and_leaves_the_rest(self):
        sets = self._sets(9.0, 3.0, 0.9)  # the best weights are 2
        mean, names = tuning.soup(sets, lambda values: float(abs(values[0][0] - 2)))
        assert names == ("seed 3.0", "seed 0.9")
        assert mean[0] == pytest.approx(1.95)

    def test_where_nothing_helps_it_is_the_best_alone(self):
        mean, names = tuning.soup(self._sets(5.0, 2.0), lambda v: float(abs(v[0][0] - 2)))
        assert (mean[0][0], names) == (2.0, ("seed 2.0",))


class TestTrainings:
    def test_folds_leave_each_picture_out_once_and_the_test_pictures_always(self, index):
        parts = problems.parted(index)
        problem = Problem.of(index, parts, 0)
        made = tuning.trainings(["folds"], problem, parts)
        left_out = [position for one in made for position in one.parts.val]
        assert sorted(left_out) == list(problem.positions)
        for one in made:
            assert not set(one.parts.train) & set(one.parts.val)
            assert not (set(one.parts.train) | set(one.parts.val)) & set(parts.test)

    def test_there_are_fewer_folds_where_a_class_is_small_and_none_of_a_single_group(self, index):
        parts = problems.parted(index)
        problem = Problem.of(index, parts, 0)
        some = np.flatnonzero(problem.labels == 0)[3:]
        few = replace(
            problem,
            positions=tuple(np.delete(problem.positions, some).tolist()),
            labels=np.delete(problem.labels, some),
            groups=np.delete(problem.groups, some),
        )
        assert len(tuning.folds(few, parts)) == 3
        burst = replace(few, groups=np.where(few.labels == 0, 0, few.groups))
        with pytest.raises(SettingsError, match="'class-0' has too few different pictures"):
            tuning.folds(burst, parts)

    def test_kinds_share_trainings(self, index):
        parts = problems.parted(index)
        made = tuning.trainings(planning.KINDS, Problem.of(index, parts, 4), parts)
        keys = [one.key for one in made]
        assert len(keys) == len(set(keys)) == tuning.SEEDS + tuning.FOLDS + 1
        assert len({one.seed for one in made if one.key.startswith("seed")}) == tuning.SEEDS

    def test_an_unknown_kind_is_refused(self, tmp_path):
        with pytest.raises(SettingsError, match="no members of the kind 'crops'"):
            planning.of_networks(Run(tmp_path / "e"), "d" * 32, ["builtin"], kinds=["crops"])


class TestSnapshots:
    def test_each_cycle_leaves_its_weights_and_the_last_are_those_at_the_end(self, task):
        recipe = Recipe(schedule="restarts", cycles=2, warm_up=0.0, early_stopping=False)
        own = replace(task, config=replace(task.config, recipe=recipe))
        policy = replace(finetune_few.POLICY, snapshots=True)
        done = fine_tuning.tune(own, policy)
        kept = checkpoints.snapshots(done.checkpoint)
        assert list(kept) == [1, 2]
        assert any(np.abs(a - b).max() > 0 for a, b in zip(kept[1], kept[2], strict=True))
        with np.load(done.checkpoint / "fine_tuning.npz") as state:
            for i, value in enumerate(kept[2]):
                np.testing.assert_array_equal(value, state[f"now{i}"])


class TestBench:
    def test_it_answers_as_the_training_did_and_gives_out_the_same_network(self, task, tmp_path):
        done = fine_tuning.tune(task, finetune_few.POLICY)
        before = backbones.answers(
            backbones.compiled(done.model, 8), np.asarray(done.judged.inputs), 8
        )
        values = bench.trained(done)
        val = task.split.val
        judge = Bench(task, finetune_few.POLICY, val, tmp_path / "bench", lambda *_: None)
        said = judge.answers(values, val)
        np.testing.assert_allclose(said, before, atol=2e-3)
        ordered = bench.in_order(done, checkpoints.mean(done.checkpoint))
        assert [one.shape for one in ordered] == [one.shape for one in values]
        # BatchNormalization has not moved, so that means of weights are right with it.
        pretrained = backbones.batch_norm_statistics(task.backbone.network)
        mixed = [(a + b) / 2 for a, b in zip(values, ordered, strict=True)]
        judge.answers(mixed, val)
        now = backbones.batch_norm_statistics(judge._prepared.own.network)
        for one, other in zip(pretrained, now, strict=True):
            np.testing.assert_array_equal(one, other)
        member = Tuned(judge.lower, (judge.upper(values, 1.0), judge.upper(mixed, 2.0)), SIZE)
        paths = task.paths(val)
        pictures = batches.loaded(paths, SIZE).astype(np.float32)
        lower = member.lower(pictures, training=False)
        np.testing.assert_allclose(np.asarray(member.uppers[0](lower)), said, atol=2e-3)
        assert np.abs(np.asarray(member.uppers[1](lower)) - said).max() > 1e-3


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return problems.folders(tmp_path_factory.mktemp("data") / "stripes", 20, classes=(0, 1))


class TestFlow:
    def _plan(self, run: Run, data: Path, kinds: tuple[str, ...]) -> None:
        digest = library.import_dataset(data).digest
        planning.of_networks(run, digest, ["builtin"], kinds=kinds)

    @pytest.mark.slow
    def test_all_kinds_become_one_run(self, data, tmp_path, monkeypatch):
        _short(monkeypatch)
        run = Run(tmp_path / "e")
        self._plan(run, data, ("seeds", "averages", "soup"))
        result = building.build(run)
        block = result["ensemble"]
        kinds = [one["kind"] for one in block["members"]]
        assert {"linear", "seed", "average"} <= set(kinds)
        assert kinds.count("seed") == tuning.SEEDS
        assert block["chosen_by"] == result["splits"]["val"]
        _holds(run, result)

    @pytest.mark.slow
    def test_folds_are_chosen_by_all_pictures_and_are_not_trained_again(
        self, data, tmp_path, monkeypatch
    ):
        """A process that is killed at the very end leaves all trainings to the next one."""
        _short(monkeypatch)
        run = Run(tmp_path / "e")
        self._plan(run, data, ("folds",))

        def dies(*_: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(building.choosing, "weights", dies)
            with pytest.raises(KeyboardInterrupt):
                building.build(run)
        kept = run.checkpoint_folder / "members"
        assert {one.name for one in kept.glob("*.npz")} == {"fold-1.npz", "fold-2.npz"}
        monkeypatch.setattr(fine_tuning, "tune", dies)
        result = building.build(run)
        splits = result["splits"]
        assert result["ensemble"]["chosen_by"] == splits["train"] + splits["val"]
        assert [one["kind"] for one in result["ensemble"]["members"]].count("folds") == 1
        assert not kept.exists()
        _holds(run, result)


def _holds(run: Run, result: dict[str, Any]) -> None:
    """Check that the numbers are those of the model which ships, calibrated and with a refusal."""
    index = library.open_dataset(run.config().dataset)
    positions, kept = run.answers("test") or ([], np.empty(0))
    paths = [index.path(index.pictures[i]) for i in positions]
    classifier = prediction.load(run)
    np.testing.assert_allclose(prediction.probabilities(classifier, paths), kept, atol=1e-4)
    labels = index.class_numbers()[list(positions)]
    assert result["test"]["accuracy"] == pytest.approx((kept.argmax(axis=1) == labels).mean())
    assert run.read("calibration")["parts"]["test"]["after"]["n"] == len(positions)  # pyright: ignore[reportOptionalSubscript]
    assert {"strangeness", "known", "answers"} <= set(classifier.outputs.output)


def test_a_training_for_which_there_is_no_time_is_left_out(index, tmp_path, monkeypatch):
    """The linear members stand, and what was left out is named."""
    run = Run(tmp_path / "e")
    backbone, parts = problems.builtin(SIZE), problems.parted(index)
    problem = Problem.of(index, parts, 0)
    kept = features.compute(backbone, index, list(problem.positions))
    config = RunConfig(index.digest, "builtin", SIZE, strategy="ensemble", budget=60.0)
    run.start(config)
    monkeypatch.setattr(retraining, "_measured", lambda *_: {
        "strategy": "finetune_few", "mirror": False, "turn": False})  # fmt: skip
    made = retraining.Trainings(
        run, config, index, parts, problem, retraining.Network(backbone, kept), ("seeds",),
        Reporter(run), left=lambda: 10.0, spent=lambda: None,
    )  # fmt: skip
    members, left_out = made.members()
    assert members == []
    assert left_out == [f"builtin retrained, seed {n}" for n in (1, 2, 3)]


def test_members_of_one_frozen_part_share_its_pass(task, tmp_path):
    done = fine_tuning.tune(task, finetune_few.POLICY)
    judge = Bench(task, finetune_few.POLICY, task.split.val, tmp_path / "b", lambda *_: None)
    problem = Problem.of(task.index, task.split, 0).judged()
    sets = [Weights("seeds", f"seed {n}", bench.trained(done)) for n in (1, 2)]
    made = tuning.members("builtin", problem, judge, {"a": sets}, ["seeds"], {})
    alone = assembling.separate(made[:1], SIZE).count_params()
    both = assembling.separate(made, SIZE).count_params()
    upper = made[0].solution.uppers[0].count_params()  # pyright: ignore[reportAttributeAccessIssue]
    assert both == alone + upper
    model = assembling.classifier(made, [0.5, 0.5], SIZE)
    named, pictures = outputs.vectors(model), np.zeros((2, SIZE, SIZE, 3), np.float32)
    assert named is not None
    top = backbones.reading(task.backbone, [pooling.pooled(pooling.top(task.backbone.blocks))])
    found = np.asarray(keras.tree.flatten(named(pictures))[-1])
    # The training has changed the very network of the task.
    np.testing.assert_allclose(found, np.asarray(top(pictures)), atol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_killed_process_ends_as_an_undisturbed_one(sample_zip, tmp_path):
    """Two kills: while features are computed or a network is trained, and later."""
    arguments = ["ensemble", "--data", sample_zip, "--backbone", "builtin", "--member", "snapshots"]
    whole, run = tmp_path / "undisturbed", tmp_path / "run"
    expected = outcomes.answer(outcomes.start(tmp_path / "one", *arguments, "--run", whole))
    for wanted in ("retraining.json", "checkpoint/members/snapshots/checkpoint/*/fine_tuning.npz"):
        process = outcomes.start(tmp_path / "two", *arguments, "--run", run)
        while process.poll() is None and not list(run.glob(wanted)):
            time.sleep(0.02)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    found = outcomes.answer(outcomes.start(tmp_path / "two", *arguments, "--run", run))
    assert outcomes.difference(run, whole) <= 1e-6
    for key in ("weight", "kind", "accuracy"):
        assert [one[key] for one in found["members"]] == [one[key] for one in expected["members"]]
