"""The rounds of a search: coarse then fine, never a grid, the same after any kill, edges told."""

import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.transfer import valleys
from tests.transfer.valleys import Valley
from transfer.config import RunConfig
from transfer.errors import RunError, SettingsError
from transfer.runs import Run
from transfer.searching import plans, space
from transfer.searching.plans import Wish
from transfer.searching.rounds import Rounds
from transfer.searching.space import Space
from transfer.searching.studies import Trials

CUT = space.parsed(["learning_rate=1e-5:1e-4"])


def test_the_same_seed_makes_the_same_trials_and_another_one_does_not(tmp_path):
    first = valleys.search(tmp_path / "a", Wish(trials=10), seed=4)
    again = valleys.search(tmp_path / "b", Wish(trials=10), seed=4)
    other = valleys.search(tmp_path / "c", Wish(trials=10), seed=5)
    assert valleys.compared(first) == valleys.compared(again)
    assert valleys.compared(first) != valleys.compared(other)
    assert first["best"] == min(first["trials"], key=lambda one: one["value"])["settings"]


def test_no_value_is_tried_twice_and_values_do_not_lie_on_a_grid(tmp_path):
    trials = valleys.search(tmp_path, Wish(trials=24))["trials"]
    for name, one in Space().ranges().items():
        values = sorted(one.share(trial["settings"][name]) for trial in trials)
        if one.whole:
            continue
        assert len(set(values)) == len(trials), name
        steps = [later - earlier for earlier, later in pairwise(values)]
        assert np.std(steps) > 0.2 * np.mean(steps), f"{name} is tried at equal distances"


def test_the_coarse_round_goes_all_over_the_range_in_log_space_and_the_fine_one_narrows(tmp_path):
    found = valleys.search(tmp_path, Wish(trials=40))
    shares = {"coarse": [], "fine": []}
    for one in found["trials"]:
        shares[one["round"]].append(Space().learning_rate.share(one["settings"]["learning_rate"]))
    assert [one["round"] for one in found["trials"]] == 24 * ["coarse"] + 16 * ["fine"]
    # In log space each quarter of the range has its share; on a plain scale nearly all values would
    # lie in the last one.
    quarters = np.histogram(shares["coarse"], bins=4, range=(0, 1))[0]
    assert quarters.min() >= 2
    assert max(shares["fine"]) - min(shares["fine"]) <= 0.5
    assert np.median(np.abs(np.array(shares["fine"]) - 0.5)) < 0.25


def _killed(folder: Path, seconds: float) -> bool:
    """Search in another process and kill it after so many seconds of trials; whether it was."""
    command = [sys.executable, "-m", "tests.transfer.valleys", str(folder), "9", "3", "0.05"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        begun = Run(folder).journal_path
        size = begun.stat().st_size if begun.is_file() else 0
        while process.poll() is None and (not begun.is_file() or begun.stat().st_size <= size):
            time.sleep(0.01)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


def test_a_search_that_is_killed_makes_the_trials_of_the_undisturbed_one(tmp_path):
    undisturbed = valleys.search(tmp_path / "undisturbed", Wish(trials=9), seed=3)
    folder = tmp_path / "killed"
    assert _killed(folder, 0.37)
    with Run(folder).journal_path.open("ab") as journal:
        journal.write(b'{"op_code": 6, "trial_id"')  # the disk was full, or the power went
    assert _killed(folder, 0.11)
    before = Trials(Run(folder).journal_path, 3).rows()
    assert any(one.state == "unfinished" for one in before), "nothing was under way"
    trainer = Valley()
    found = valleys.search(folder, Wish(), seed=3, trainer=trainer)
    assert valleys.compared(found) == valleys.compared(undisturbed)
    assert len(trainer.made) < 9, "it began anew"
    assert found["best"] == undisturbed["best"]


def test_a_whole_search_answers_at_once_and_more_trials_go_on_from_there(tmp_path):
    first = valleys.search(tmp_path, Wish(trials=6))
    idle = Valley()
    assert valleys.search(tmp_path, Wish(trials=6), trainer=idle)["best"] == first["best"]
    assert idle.made == []
    more = Valley()
    found = valleys.search(tmp_path, Wish(trials=8), trainer=more)
    assert more.made == [6, 7]
    assert valleys.compared(found)[:6] == valleys.compared(first)


def test_a_search_that_goes_on_does_not_say_that_it_has_finished(tmp_path):
    valleys.search(tmp_path, Wish(trials=2))
    run, seen = Run(tmp_path), []
    plan = plans.prepare(run, run.config(), Wish(trials=4))

    def begin() -> Valley:
        seen.append(run.read("status"))
        return Valley()

    with run.locked():
        Rounds(run, plan, lambda *_: None).work(begin)
    assert (seen[0]["phase"], seen[0]["done"], seen[0]["total"]) == ("search", 2, 4)


def test_a_budget_leaves_a_trial_that_goes_on_later(tmp_path):
    found = valleys.search(tmp_path, Wish(trials=50, budget=1), trainer=Valley(0.1))
    assert found["ended"] == "budget"
    assert "The time was up" in found["sentence"]
    assert 1 < len(found["trials"]) < 15
    again = valleys.search(tmp_path, Wish(trials=50, budget=1), trainer=Valley(0.1))
    assert again["trials"] == found["trials"]
    whole = valleys.search(tmp_path, Wish(trials=12))
    assert whole["ended"] == "trials"
    assert len(whole["trials"]) == 50, "fewer trials than were planned before"


def test_a_wish_to_stop_ends_it_with_what_there_is(tmp_path):
    class Stopping(Valley):
        def make(self, trial, settings, tell) -> None:
            if trial.number == 4:
                Run(tmp_path).request_stop()
            super().make(trial, settings, tell)

    found = valleys.search(tmp_path, Wish(trials=9), trainer=Stopping())
    assert found["ended"] == "stopped"
    assert [one["state"] for one in found["trials"]][-1] == "unfinished"
    assert found["best"] is not None


def test_a_hopeless_rate_is_pruned_at_an_early_epoch(tmp_path):
    found = valleys.search(tmp_path, Wish(trials=30))
    for one in found["trials"][8:]:
        far = abs(np.log10(one["settings"]["learning_rate"] / valleys.BEST_RATE)) > 1.8
        if far:
            assert (one["state"], one["epochs"]) == ("pruned", 1)
    pruned = [one for one in found["trials"] if one["state"] == "pruned"]
    assert 3 <= len(pruned) < 25
    assert found["trials"][found["best_trial"]]["state"] == "complete"


@pytest.mark.parametrize("seed", range(5))
def test_an_edge_is_told_where_the_range_is_cut_and_not_otherwise(tmp_path, seed):
    cut = valleys.search(tmp_path / "cut", Wish(CUT, trials=20), seed=seed)
    edge = next(one for one in cut["edges"] if one["setting"] == "learning_rate")
    assert (edge["at"], edge["range"]) == ("high", [1e-5, 1e-4])
    assert edge["widened"] == [1e-5, 1e-2]
    assert edge["matters"]
    assert "learning rate lies at the upper edge" in cut["sentence"]
    whole = valleys.search(tmp_path / "whole", Wish(trials=20), seed=seed)
    assert not [one for one in whole["edges"] if one["setting"] == "learning_rate"]
    assert "learning rate lies at" not in whole["sentence"]


def test_settings_without_effect_are_rarely_said_to_matter(tmp_path):
    told = 0
    for seed in range(8):
        found = valleys.search(tmp_path / str(seed), Wish(trials=12), seed=seed)
        told += sum(edge["matters"] for edge in found["edges"])
    assert told <= 2


def test_a_widened_search_goes_on_beyond_the_edge_and_finds_better(tmp_path):
    wish = Wish(CUT, trials=12)
    narrow = valleys.search(tmp_path, wish)
    wide = valleys.search(tmp_path, Wish(CUT, trials=12, widen=("learning_rate",)))
    assert valleys.compared(wide)[:12] == valleys.compared(narrow)
    assert [one["wave"] for one in wide["trials"]] == 12 * [0] + 12 * [1]
    assert wide["best_value"] < narrow["best_value"]
    assert wide["best"]["learning_rate"] > 1e-4
    assert wide["space"]["learning_rate"]["high"] == 1e-2
    idle = Valley()
    again = valleys.search(tmp_path, Wish(trials=12, widen=("learning_rate",)), trainer=idle)
    assert (again["best"], idle.made) == (wide["best"], []), "it was widened once more"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(trials=0), "--trials should be between 1"),
        (Wish(budget=0.5), "--budget should be between 1"),
        (Wish(widen=("learning_rate",)), "no search in this folder yet"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, wish, words):
    with pytest.raises(SettingsError, match=words):
        valleys.search(tmp_path, wish)


def test_another_search_needs_another_folder(tmp_path):
    valleys.search(tmp_path, Wish(trials=3))
    with pytest.raises(SettingsError, match="another learning rate"):
        valleys.search(tmp_path, Wish(CUT, trials=3))
    with pytest.raises(SettingsError, match="seed was 0 and is 1"):
        valleys.search(tmp_path, Wish(trials=3), seed=1)
    with pytest.raises(SettingsError, match="no range called 'epochs'"):
        valleys.search(tmp_path, Wish(widen=("epochs",)))


def test_a_linear_strategy_has_nothing_to_search(tmp_path):
    config = RunConfig("0" * 64, "builtin", 64, strategy="linear_top")
    with pytest.raises(SettingsError, match="nothing to search"):
        plans.prepare(Run(tmp_path), config, Wish())


def test_two_processes_do_not_search_in_one_folder(tmp_path):
    run = Run(tmp_path)
    with run.locked(), pytest.raises(RunError, match="Another process"):
        valleys.search(tmp_path, Wish(trials=3))
