"""Trainings that are provoked here and now, and what is read of them as they go."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.transfer import problems
from transfer import cli, diagnosis, interpreting, pipeline
from transfer.backbones import Backbone
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.interpreting import Interpreter
from transfer.runs import Run
from transfer.strategies import finetune_few

SIZE = 48


@pytest.fixture(autouse=True)
def _runtime(monkeypatch) -> None:
    problems.compute_with_keras(monkeypatch)


@pytest.fixture(scope="module", autouse=True)
def _one_store(tmp_path_factory) -> Iterator[None]:
    with problems.one_store(tmp_path_factory):
        yield


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    return problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=40, classes=2)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return problems.builtin(SIZE)


def _train(
    folder: Path, index: ImageIndex, backbone: Backbone, **settings: Any
) -> list[dict[str, Any]]:
    """Train for four epochs, reading as it goes; return what stood in the run folder each time."""
    parts = problems.parted(index, val=25, test=0)
    kept: list[dict[str, Any]] = []
    run = Run(folder / "run")

    def on_history(rows: list[dict[str, Any]]) -> None:
        interpreter.read(rows, 4)
        kept.append(run.read("readings") or {})

    given = {"epochs": 4, "batch_size": 15, "patience": 4, "parts": parts, **settings}
    task = problems.task(run.folder, index, backbone, on_history=on_history, **given)
    interpreter = Interpreter(run, index, parts)
    interpreter.strategy = "finetune_few"
    trained = finetune_few.train(task)
    interpreter.read(trained.history, 4, trained.ended)
    return [*kept, run.read("readings") or {}]


def _worst(kept: dict[str, Any]) -> str:
    return kept["readings"][0]["kind"]


def test_a_rate_a_thousand_times_too_high(index, backbone, tmp_path):
    kept = _train(tmp_path, index, backbone, learning_rate=1.0)
    assert _worst(kept[-1]) in ("diverged", "rate_too_high")
    assert kept[-1]["readings"][0]["remedy"]["settings"] == {"learning_rate": 1e-3}


def test_a_rate_a_thousand_times_too_low(index, backbone, tmp_path):
    kept = _train(tmp_path, index, backbone, learning_rate=1e-6)
    assert _worst(kept[-1]) == "rate_too_low"
    assert not any(one["level"] in diagnosis.ILL for one in kept[0]["readings"])


def test_labels_by_chance(index, backbone, tmp_path):
    kept = _train(tmp_path, problems.confused(index, 1.0), backbone)
    assert _worst(kept[-1]) == "guessing"


def test_a_sound_training_is_never_called_ill(index, backbone, tmp_path):
    kept = _train(tmp_path, index, backbone)
    assert [one["epoch"] for one in kept] == [0, 1, 2, 3, 4, 4]
    assert [one["ended"] for one in kept] == [None] * 5 + ["epochs"]
    for one in kept:
        assert one["strategy"] == "finetune_few"
        assert not any(reading["level"] in diagnosis.ILL for reading in one["readings"])
        assert one["readings"]


def test_an_event_is_told_where_the_worst_becomes_another(index, tmp_path):
    run = Run(tmp_path / "run")
    run.start(RunConfig(index.digest, "builtin", SIZE, strategy="finetune_few"))
    interpreter = interpreting.Interpreter(run, index, problems.parted(index, val=25, test=0))
    interpreter.strategy = "finetune_few"
    start = {"phase": "fine_tuning", "epoch": 0, "val_loss": 0.3, "val_accuracy": 0.9}
    good = {**start, "epoch": 1, "loss": 0.2, "accuracy": 0.93}
    lost = {**start, "epoch": 2, "loss": float("nan"), "accuracy": 0.5}
    for rows in ([start], [start, good], [start, good, lost]):
        interpreter.read(rows, 9)
    told = [one for one in run.events_since()[0] if one["event"] == "reading"]
    assert [one["reading"]["kind"] for one in told] == ["validation_too_small", "diverged"]
    assert "epoch 2" in told[-1]["reading"]["evidence"]


def test_a_run_that_diverges_says_so_in_its_result_and_on_the_console(
    tmp_path, monkeypatch, capsys
):
    data = problems.folders(tmp_path / "stripes", 12, classes=(0, 1))
    digest = library.import_dataset(data).digest
    run = Run(tmp_path / "run")
    flips: dict[str, Any] = {"horizontal_flip": False, "quarter_turns": False}
    run.start(
        RunConfig(
            digest, "builtin", SIZE, strategy="finetune_few", epochs=5, learning_rate=30.0, **flips
        )
    )
    result = pipeline.run(run)
    assert result["ended"] == "diverged"
    (readings,) = result["readings"].values()
    assert readings[0]["kind"] == "diverged"
    assert readings[0]["remedy"]["settings"] == {"learning_rate": 1e-3}
    kept = run.read("readings")
    assert kept is not None
    assert kept["readings"] == readings
    assert run.read("history")[0]["phase"] == "head"  # pyright: ignore[reportOptionalSubscript]
    capsys.readouterr()
    monkeypatch.setattr("transfer.commands._settings", lambda *_: run.config())
    assert cli.main(["train", str(data), "--run", str(run.folder), "--backbone", "builtin"]) == 0
    assert readings[0]["title"] in capsys.readouterr().err
