"""The whole flow: what was asked for ships, a choice follows the rule, a budget is kept."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.transfer import outcomes, problems
from transfer import advice, devices, extending, judging, pipeline, prediction
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.errors import PausedError, SettingsError, StoppedError
from transfer.runs import Run
from transfer.strategies import REGISTRY

SIZE = 48
Start = Callable[..., Run]


@pytest.fixture(autouse=True)
def _runtime(monkeypatch) -> None:
    problems.compute_with_keras(monkeypatch)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Three classes of sixteen pictures each, as a user has them."""
    return problems.folders(tmp_path_factory.mktemp("data") / "stripes", 16)


@pytest.fixture
def start(data, tmp_path) -> Start:
    """Prepare a run on those pictures: (strategy, settings) -> Run."""
    digest = library.import_dataset(data).digest

    def begin(strategy: str, name: str = "run", **settings: Any) -> Run:
        run = Run(tmp_path / name)
        given: dict[str, Any] = {"epochs": 1, "batch_size": 8, **settings}
        run.start(RunConfig(digest, "builtin", SIZE, strategy=strategy, **given))
        return run

    return begin


@pytest.fixture
def lots(monkeypatch) -> None:
    """Call these few pictures quite a lot, so that fine-tuning is advised."""
    monkeypatch.setattr(advice, "LOTS_IMAGES", 1)
    monkeypatch.setattr(advice, "LOTS_PER_CLASS", 1)


def _events(run: Run, kind: str) -> list[dict[str, Any]]:
    return [one for one in run.events_since()[0] if one["event"] == kind]


def _check_parts(result: dict[str, Any], run: Run) -> None:
    """Check that every number is that of the model which ships."""
    classifier = prediction.load(run)
    index = library.open_dataset(run.config().dataset)
    for part, name in (("test", "test"), ("validation", "val")):
        kept = run.answers(part)
        assert kept is not None
        positions, answers = kept
        split = run.read("split")
        assert split is not None
        assert positions.tolist() == split[name]
        labels = np.array([index.classes.index(index.pictures[i].label) for i in positions])
        right = (answers.argmax(axis=1) == labels).mean()
        assert result[part]["accuracy"] == pytest.approx(right)
        assert result[part]["n"] == len(positions)
        assert result[part]["low"] <= right <= result[part]["high"]
    kept = run.answers("test")
    assert kept is not None
    paths = [index.path(index.pictures[i]) for i in kept[0]]
    np.testing.assert_allclose(prediction.probabilities(classifier, paths), kept[1], atol=1e-4)


class TestNamed:
    @pytest.mark.parametrize("name", ["linear_top", "linear_stages"])
    def test_a_linear_one_ships_without_an_advice(self, start, name):
        run = start(name)
        result = pipeline.run(run)
        assert result["requested"] == result["shipped"] == name
        assert result["advised"] is None
        assert result["comparison"] == []
        assert list(result["candidates"]) == [name]
        assert run.read("advice") is None
        _check_parts(result, run)

    @pytest.mark.parametrize(
        "name", [pytest.param("finetune_few", marks=pytest.mark.slow), "finetune_many"]
    )
    def test_a_fine_tuned_one_ships_whatever_validation_says(self, start, monkeypatch, name):
        monkeypatch.setattr(judging, "paired", lambda *_: (-1.0, 0.0))
        run = start(name, horizontal_flip=False, quarter_turns=False)
        result = pipeline.run(run)
        assert result["requested"] == result["shipped"] == name
        assert list(result["candidates"]) == [name]
        assert run.read("advice") is None  # what may be done to pictures was said
        phases = [row["phase"] for row in run.read("history")]
        assert phases == ["head", "fine_tuning", "fine_tuning"]
        _check_parts(result, run)
        assert not list(run.folder.rglob("view-*.npy"))


class TestAuto:
    def test_little_data_gets_a_linear_one_and_says_why(self, start):
        run = start("auto")
        result = pipeline.run(run)
        kept = run.read("advice")
        assert kept is not None
        assert result["requested"] == "auto"
        assert result["advised"] == result["shipped"] == kept["strategy"]
        assert result["shipped"] in ("linear_top", "linear_stages")
        assert kept["size"]["images"] == sum(result["splits"][part] for part in ("train", "val"))
        assert kept["reasons"]
        assert not [one for one in _events(run, "phase") if one["phase"] == "fine_tuning"]

    @pytest.mark.parametrize("better", [pytest.param(False, marks=pytest.mark.slow), True])
    def test_a_fine_tuned_one_ships_only_where_it_beats_the_probe(
        self, start, lots, monkeypatch, better
    ):
        asked: list[tuple[np.ndarray, np.ndarray]] = []

        def paired(right: np.ndarray, other: np.ndarray) -> tuple[float, float]:
            asked.append((right, other))
            return (0.1, 0.05) if better else (0.05, 0.1)

        monkeypatch.setattr(judging, "paired", paired)
        run = start("auto")
        result = pipeline.run(run)
        advised = result["advised"]
        assert advised.startswith("finetune")
        assert result["shipped"] == (advised if better else "linear_stages")
        assert list(result["candidates"]) == ["linear_stages", advised]
        assert [row["strategy"] for row in result["comparison"]] == ["linear_stages", advised]
        (pair,) = asked
        assert [len(one) for one in pair] == [result["splits"]["val"]] * 2
        assert pair[0].mean() == pytest.approx(result["candidates"][advised]["accuracy"])
        # Only what ships has met the test pictures.
        tested = {row["strategy"]: row["test"] for row in result["comparison"]}
        assert tested.pop(result["shipped"]) == result["test"]
        assert list(tested.values()) == [None]
        _check_parts(result, run)


class TestAll:
    @pytest.fixture
    def run(self, start) -> Run:
        return start("all")

    def test_all_four_are_compared_with_intervals(self, run):
        result = pipeline.run(run)
        rows = {row["strategy"]: row for row in result["comparison"]}
        assert list(rows) == list(REGISTRY)
        for row in rows.values():
            for part in ("validation", "test"):
                assert row[part]["low"] <= row[part]["accuracy"] <= row[part]["high"]
                assert row[part]["low"] < row[part]["high"]
            assert row["seconds"] >= 0
            assert row["note"] is None
        assert len({row["test"]["n"] for row in rows.values()}) == 1
        assert result["requested"] == "all"
        assert result["shipped"] in rows
        assert result["advised"] == run.read("advice")["strategy"]
        assert rows[result["shipped"]]["test"] == result["test"]
        assert len(_events(run, "candidate")) == 4
        json.dumps(result, allow_nan=False)
        _check_parts(result, run)

    @pytest.mark.slow
    def test_a_tiny_budget_cuts_short_and_nothing_fails(self, start):
        run = start("all", epochs=1000, patience=1000, budget=1.0)
        began = time.monotonic()
        result = pipeline.run(run)
        took = time.monotonic() - began
        rows = {row["strategy"]: row for row in result["comparison"]}
        assert list(rows) == list(REGISTRY)
        for name in ("finetune_few", "finetune_many"):
            assert "time was up" in rows[name]["note"]
        for name in ("linear_top", "linear_stages"):
            assert rows[name]["note"] is None
        assert result["test"]["n"] > 0
        assert took < 150
        _check_parts(result, run)


def test_epochs_are_added_from_where_the_earlier_run_ended(start, tmp_path):
    earlier = start("finetune_few", horizontal_flip=False, quarter_turns=False)
    before = pipeline.run(earlier)
    kept = outcomes.contents(earlier.folder)
    run = Run(tmp_path / "more")
    extending.prepare(earlier, run, 2)
    extending.prepare(earlier, run, 2)  # the same again changes nothing
    result = pipeline.run(run)
    assert outcomes.contents(earlier.folder) == kept
    assert run.read("split") == earlier.read("split")
    rows = [row for row in run.read("history") or [] if row["phase"] == "fine_tuning"]
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    # It begins with the model that shipped, and never ends worse.
    began = before["candidates"]["finetune_few"]["loss"]
    assert rows[0]["val_loss"] == pytest.approx(began, abs=2e-3)
    assert result["candidates"]["finetune_few"]["loss"] <= began + 2e-3
    assert rows[1]["learning_rate"] <= earlier.config().learning_rate * extending.LOWER * 1.01
    assert not run.start_path.exists()
    extending.prepare(earlier, run, 2)
    with pytest.raises(SettingsError, match="epochs was 2 and is 3"):
        extending.prepare(earlier, run, 3)


@pytest.mark.slow
def test_a_paused_run_ends_as_an_undisturbed_one(start, tmp_path):
    devices.deterministic()
    settings = {"epochs": 2, "horizontal_flip": False, "quarter_turns": False}
    whole, run = (start("finetune_few", name, **settings) for name in ("whole", "paused"))
    pipeline.run(whole)

    def pause(phase: str, done: float, *_: object) -> None:
        if phase == "fine_tuning" and done in (1, 6):
            run.request_pause()

    with pytest.raises(PausedError):
        pipeline.run(run, pause)
    assert not run.finished
    run.clear_pause()
    pipeline.run(run)
    assert outcomes.difference(run.folder, whole.folder) <= 1e-6


def test_a_budget_is_kept_within_a_margin(start):
    """A training that would take hours ends with the time; graphs and the test are on top."""
    run = start("finetune_few", epochs=1000, patience=1000, budget=15.0)
    began = time.monotonic()
    result = pipeline.run(run)
    took = time.monotonic() - began
    assert result["ended"] == "budget"
    assert took < 15.0 + 30.0
    assert result["seconds"] == pytest.approx(took, abs=5)


def test_an_advised_fine_tuning_for_which_there_is_no_time_is_not_begun(start, monkeypatch):
    monkeypatch.setattr(pipeline._Flow, "_strategies", lambda *_: [judging.PROBE, "finetune_few"])
    run = start("auto", epochs=1000, patience=1000, budget=12.0)
    result = pipeline.run(run)
    assert result["shipped"] == judging.PROBE
    assert list(result["candidates"]) == [judging.PROBE]
    assert _events(run, "no_time")[0]["strategy"] == "finetune_few"


@pytest.mark.slow
def test_a_budget_holds_across_restarts(start):
    run = start("finetune_few", epochs=1000, patience=1000, budget=30.0)
    run.record_spent(1e6)
    assert pipeline.run(run)["ended"] == "budget"
    assert max(row["epoch"] for row in run.read("history")) <= 1


def test_a_wish_to_stop_before_anything_is_there_ends_the_work(start):
    run = start("auto")
    run.request_stop()
    with pytest.raises(StoppedError):
        pipeline.run(run)
    assert not run.finished
    run.clear_stop()
    assert pipeline.run(run)["shipped"]


def test_a_wish_to_stop_while_fine_tuning_keeps_the_best_so_far(start, lots):
    run = start("auto", epochs=500)
    seen: list[str] = []

    def stop(phase: str, done: float, *_: object) -> None:
        seen.append(phase)
        if phase == "fine_tuning" and done > 1:
            run.request_stop()

    result = pipeline.run(run, stop)
    assert "fine_tuning" in seen
    tuned = result["comparison"][1]
    assert tuned["note"].startswith("It was stopped")
    assert result["test"]["n"] > 0


def test_a_wish_to_stop_what_goes_on_again_keeps_the_best_of_the_process_before(start):
    run = start("finetune_few", epochs=500)

    def pause(phase: str, done: float, *_: object) -> None:
        if phase == "fine_tuning" and any(row["epoch"] for row in _events(run, "epoch")):
            run.request_pause()

    with pytest.raises(PausedError):
        pipeline.run(run, pause)
    run.clear_pause()
    run.request_stop()  # before the new process has looked at anything
    result = pipeline.run(run)
    assert result["ended"] == "stopped"
    assert 1 <= max(row["epoch"] for row in run.read("history")) < 500


@pytest.mark.slow
def test_what_the_user_says_of_mirrors_and_turns_goes_before_the_measurement(start, monkeypatch):
    import transfer.strategies.fine_tuning as fine_tuning

    used: list[tuple[bool, bool]] = []
    real = fine_tuning.augmentation.chosen

    def spied(policy: Any, changes: Any, mirror: bool, turn: bool) -> Any:
        used.append((mirror, turn))
        return real(policy, changes, mirror, turn)

    monkeypatch.setattr(fine_tuning.augmentation, "chosen", spied)
    pipeline.run(start("finetune_few", "measured"))
    pipeline.run(start("finetune_few", "said", horizontal_flip=False, quarter_turns=True))
    kept = Run(start("finetune_few", "measured").folder).read("advice")
    assert kept is not None
    guess = kept["augmentation"]
    assert used == [(guess["mirror"]["safe"], guess["turn"]["safe"]), (False, True)]


def test_advice_alone_is_kept_and_used_again(start):
    run = start("auto")
    first = pipeline.advise(run)
    assert run.read("advice") == first
    assert pipeline.advise(run) == first
    assert not run.finished
    result = pipeline.run(run)
    assert result["advised"] == first["strategy"]
    assert run.read("advice") == first
