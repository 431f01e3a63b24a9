"""Trials that train for real: the same by seed and after an interruption, ruined ones ended."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.transfer import problems, valleys
from transfer import devices, pipeline, store
from transfer.backbones import Backbone
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.runs import Run
from transfer.searching import plans, search, space
from transfer.searching.plans import Wish
from transfer.strategies import REGISTRY, Task

SIZE = 32
EPOCHS = 2
# What the trials share is tried, too: two of each are in the same space.
SPACE = space.parsed(["learning_rate=1e-4:1e-2", "frozen_level=-1", "augmentation=none,light"])
WISH = Wish(SPACE, trials=4, epochs=EPOCHS)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return problems.builtin(SIZE)


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    devices.deterministic()  # as in a process of its own: else sums differ in their last digits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "home", lambda: home)
        problems.compute_with_keras(patch)
        yield


@pytest.fixture(scope="module")
def index(tmp_path_factory, _home) -> ImageIndex:
    pictures = problems.folders(tmp_path_factory.mktemp("pictures"), 14, (0, 1, 4))
    return library.import_dataset(pictures)


def _prepared(folder: Path, index: ImageIndex, wish: Wish) -> Run:
    run = Run(folder)
    plans.prepare(run, _config(index), wish)
    return run


def _config(index: ImageIndex) -> RunConfig:
    return RunConfig(
        index.digest,
        "builtin",
        SIZE,
        strategy="finetune_few",
        batch_size=16,
        horizontal_flip=False,
        quarter_turns=False,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, index, backbone) -> tuple[Path, dict[str, Any], set[int]]:
    """A whole search: its folder, its result, the pictures that were looked at."""
    run, seen = _prepared(tmp_path_factory.mktemp("undisturbed"), index, WISH), set()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("paths", "of"):
            real = getattr(Task, name)

            def noted(self, *given, real=real):
                seen.update(given[-1])
                return real(self, *given)

            patch.setattr(Task, name, noted)
        return run.folder, search.run(run, None, backbone), seen


def test_a_search_tries_what_a_run_would_do(undisturbed, index):
    folder, found, _ = undisturbed
    assert [one["round"] for one in found["trials"]] == 3 * ["coarse"] + ["fine"]
    for one in found["trials"]:
        settings = one["settings"]
        assert 1e-4 <= settings["learning_rate"] <= 1e-2
        assert settings["frozen_level"] == -1
        assert one["state"] in ("complete", "pruned")
        assert 0 < one["value"] < 10
        assert one["seconds"] > 0
    whole = [one for one in found["trials"] if one["state"] == "complete"]
    assert all(one["epochs"] == EPOCHS for one in whole)
    assert found["best"] == min(whole, key=lambda one: one["value"])["settings"]
    assert len({one["value"] for one in whole}) > 1, "the settings make no difference"
    begun = _config(index).changed(found["change"])
    assert begun.learning_rate == found["best"]["learning_rate"]
    assert json.loads(json.dumps(found, allow_nan=False)) == Run(folder).read(plans.RESULT)
    assert not Run(folder).trials_folder.exists(), "what only the trials needed is still there"


def test_a_trial_is_the_training_of_a_run(undisturbed, index, backbone, tmp_path):
    _, found, _ = undisturbed
    run = Run(tmp_path)
    run.start(_config(index).changed({**found["change"], "epochs": EPOCHS}))
    task = pipeline.prepared(run, None, backbone)
    trained = REGISTRY["finetune_few"](task)
    lowest = min(row["val_loss"] for row in trained.history if row["epoch"] > 0)
    assert lowest == pytest.approx(found["best_value"], abs=1e-6)


def test_the_command_answers_and_the_prepared_folder_goes_on(tmp_path, command):
    pictures = problems.folders(tmp_path / "pictures", 14, (0, 1, 4))
    folder = tmp_path / "search"
    words = ["search", pictures, "--run", folder, "--backbone", "builtin", "--image-size", SIZE]
    words += ["--no-mirror", "--no-turn", "--trials", 3, "--range", "learning_rate=1e-4:1e-2"]
    status, answer, told = command(*words, "--budget", 1)
    assert (status, answer["ended"], answer["planned"]) == (0, "budget", 3)
    assert answer["space"]["learning_rate"]["high"] == 1e-2
    assert answer["sentence"] in told
    assert command("seek", folder)[1]["sentence"] == answer["sentence"]
    status, answer, _ = command(*words, "--range", "rate=1:2")
    assert status == 2
    assert "chooses among learning_rate" in answer["error"]
    status, answer, _ = command("seek", tmp_path / "none")
    assert status == 2


def test_test_pictures_are_never_looked_at(undisturbed):
    folder, _, seen = undisturbed
    parts = Run(folder).read("split") or {}
    assert parts["test"]
    assert seen == {*parts["train"], *parts["val"]}


@pytest.mark.slow
def test_a_search_that_ends_anywhere_goes_on_as_if_nothing_had_been(
    tmp_path, index, backbone, undisturbed
):
    run = _prepared(tmp_path, index, WISH)

    class KillError(BaseException):
        pass

    def killing(at: float):
        def step(phase: str, done: float, total: float, words: str) -> None:
            if phase == "search" and done >= at:
                raise KillError

        return step

    # In the first epoch, and in the middle of the trial of the fine round.
    for at in (0.3, 3.3):
        with pytest.raises(KillError):
            search.run(run, killing(at), backbone)
    found = search.run(run, None, backbone)
    for one, other in zip(valleys.compared(found), valleys.compared(undisturbed[1]), strict=True):
        assert one.pop("value") == pytest.approx(other.pop("value"), abs=1e-6)
        assert one == other


def test_a_rate_that_ruins_the_training_ends_it_early(tmp_path, undisturbed, backbone, index):
    folder, before, _ = undisturbed
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    run = Run(copy)
    known = plans.Plan.from_json(run.read(plans.PLAN) or {})
    wild = space.parsed(["learning_rate=90", "frozen_level=-1", "augmentation=none"])
    run.write(plans.PLAN, plans.widened(known, wild, Wish(trials=1)).to_json())
    found = search.run(run, None, backbone)
    last = found["trials"][-1]
    assert last["settings"]["learning_rate"] == 90
    assert (last["state"], last["epochs"]) in {("stopped", 1), ("pruned", 1)}
    assert last["reason"]
    assert found["best"] == before["best"]


@pytest.mark.slow
def test_the_command_survives_being_killed_again_and_again(tmp_path, index):
    pictures = problems.folders(tmp_path / "pictures", 14, (0, 1, 4))

    def command(folder: Path) -> list[str]:
        words = ["search", str(pictures), "--run", str(folder), "--backbone", "builtin"]
        words += ["--image-size", str(SIZE), "--trials", "6", "--epochs", "3", "--no-mirror"]
        return [sys.executable, "-m", "transfer", *words, "--no-turn", "--json"]

    subprocess.run(command(tmp_path / "whole"), cwd=ROOT, check=True, capture_output=True)
    killed, rng, kills = Run(tmp_path / "killed"), np.random.default_rng(5), 0
    for _ in range(6):
        with subprocess.Popen(
            command(killed.folder), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            size = killed.journal_path.stat().st_size if killed.journal_path.is_file() else 0
            while process.poll() is None:
                if killed.journal_path.is_file() and killed.journal_path.stat().st_size > size:
                    time.sleep(rng.uniform(0, 5))
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.05)
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 2
    subprocess.run(command(killed.folder), cwd=ROOT, check=True, capture_output=True)
    one, other = (Run(tmp_path / name).read(plans.RESULT) or {} for name in ("whole", "killed"))
    for mine, theirs in zip(valleys.compared(one), valleys.compared(other), strict=True):
        assert mine.pop("value") == pytest.approx(theirs.pop("value"), abs=1e-6)
        assert mine == theirs
