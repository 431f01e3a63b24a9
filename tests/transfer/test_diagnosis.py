"""Reading the curves: each rule by itself, and curves of real trainings of known cause."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from transfer import diagnosis, store
from transfer.config import RunConfig
from transfer.diagnosis import Facts, Reading

Rows = list[dict[str, Any]]

RECORDED: list[dict[str, Any]] = store.read_json(
    ROOT / "tests" / "transfer" / "curves" / "recorded.json"
)
SETTINGS = {"learning_rate": 1e-3, "dropout": 0.2, "weight_decay": 1e-3}
MANY = Facts(4, 800, (250, 250, 250, 250), settings=SETTINGS, epochs=10, ended="epochs")
GOOD_HEAD = (0.30, 0.92, 0.50, 0.85)  # loss and accuracy on training, then on validation pictures


def _rows(
    loss: Sequence[float],
    accuracy: Sequence[float],
    val_loss: Sequence[float],
    val_accuracy: Sequence[float],
    head: tuple[float, float, float, float] = GOOD_HEAD,
) -> Rows:
    """Return a history with the head's row and the start."""
    start = {"val_loss": head[2], "val_accuracy": head[3], "plain_val_loss": head[2]}
    rows: Rows = [
        {"phase": "head", "epoch": 0, "loss": head[0], "accuracy": head[1], **start},
        {"phase": "fine_tuning", "epoch": 0, **start},
    ]
    for epoch, values in enumerate(zip(loss, accuracy, val_loss, val_accuracy, strict=True), 1):
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        row = dict(zip(names, values, strict=True))
        rows.append({"phase": "fine_tuning", "epoch": epoch, "learning_rate": 1e-3, **row})
    return rows


def _straight(first: float, last: float, count: int = 10) -> list[float]:
    return [float(one) for one in np.linspace(first, last, count)]


def _settling(first: float, last: float, count: int = 10) -> list[float]:
    """Fall fast, then ever more slowly."""
    return [last + (first - last) * math.exp(-epoch) for epoch in range(count)]


def _kinds(found: tuple[Reading, ...]) -> list[str]:
    return [one.kind for one in found]


def _facts(row: dict[str, Any]) -> Facts:
    return Facts(**{**row["facts"], "val_counts": tuple(row["facts"]["val_counts"])})


def _with(settings: dict[str, Any]) -> Facts:
    return dataclasses.replace(MANY, settings=settings)


HEALTHY = _rows(
    _settling(0.8, 0.15), _settling(0.8, 0.96), _settling(0.48, 0.3), _settling(0.86, 0.91)
)


class TestStopReason:
    def _history(self, *losses: float, start: float = 0.5) -> Rows:
        rows: Rows = [{"phase": "fine_tuning", "epoch": 0, "val_loss": start}]
        return rows + [
            {"phase": "fine_tuning", "epoch": i, "loss": loss, "val_loss": start}
            for i, loss in enumerate(losses, start=1)
        ]

    @pytest.mark.parametrize("name", ["loss", "val_loss"])
    @pytest.mark.parametrize("none", [math.nan, math.inf, None])
    def test_a_number_that_is_none_ends_it(self, name, none):
        rows = self._history(0.5, 0.4)
        rows[-1][name] = none
        reason = diagnosis.stop_reason(rows, 4)
        assert reason is not None
        assert "epoch 2" in reason

    @pytest.mark.parametrize(
        ("losses", "classes", "stops"),
        [
            ((2.3, 2.2, 6.8), 10, False),
            ((2.3, 2.2, 7.0), 10, True),
            ((0.9, 2.6), None, False),
            ((0.9, 2.8), None, True),
            ((0.02, 0.07), 2, False),  # better than guessing, whatever it began with
            ((0.2, 0.75), 2, True),
            ((7.0,), 10, False),
            ((), 10, False),
        ],
    )
    def test_three_times_the_first_loss_and_worse_than_guessing(self, losses, classes, stops):
        assert (diagnosis.stop_reason(self._history(*losses), classes) is not None) is stops

    @pytest.mark.parametrize(
        ("loss", "val_loss", "stops"),
        [
            (3 * math.log(10) + 0.1, 7.5, True),
            (3 * math.log(10) - 0.1, 7.5, False),
            (8.0, 0.4, False),  # too sure of itself under dropout, and sound
            (0.4, 8.0, False),  # learned by heart
        ],
    )
    def test_a_first_epoch_that_ruins_everything(self, loss, val_loss, stops):
        rows = self._history(loss)
        rows[0]["plain_val_loss"], rows[1]["plain_val_loss"] = 0.5, val_loss
        assert (diagnosis.stop_reason(rows, 10) is not None) is stops

    def test_a_training_loss_that_jumps_while_validation_is_sound_does_not_count(self):
        rows = self._history(0.3, 1.4)
        rows[-1]["plain_val_loss"] = 0.1
        assert diagnosis.stop_reason(rows, 2) is None
        rows[-1]["plain_val_loss"] = 1.0
        assert diagnosis.stop_reason(rows, 2) is not None

    def test_what_began_far_above_guessing_may_fall_from_there(self):
        rows = self._history(20.0, 15.0, 9.0)
        rows[0]["plain_val_loss"] = 11.0
        assert diagnosis.stop_reason(rows, 10) is None

    def test_a_head_alone_never_stops(self):
        assert diagnosis.stop_reason([{"phase": "head", "epoch": 0, "loss": 9.0}], 2) is None


class TestRules:
    def _worst(self, rows: Rows, facts: Facts = MANY) -> Reading:
        return diagnosis.read(rows, facts)[0]

    def test_healthy(self):
        going_on = dataclasses.replace(MANY, ended=None)
        for end in range(1, len(HEALTHY) + 1):
            found = diagnosis.read(HEALTHY[:end], going_on)
            assert _kinds(found) == ["healthy"]
            assert found[0].level == "good"
        assert _kinds(diagnosis.read(HEALTHY, MANY)) == ["healthy"]

    @pytest.mark.parametrize("ended", [None, "finished"])
    def test_what_never_beat_its_start_is_not_called_good(self, ended):
        rising = _rows(
            [0.09, 0.15, 0.1],
            [0.97, 0.96, 0.98],
            [0.12, 0.12, 0.09],
            [0.97] * 3,
            (0.05, 0.98, 0.05, 0.97),
        )
        found = diagnosis.read(rising, dataclasses.replace(MANY, epochs=6, ended=ended))[0]
        assert found.level == "note"
        assert "better" in found.title
        assert "0.05 at the start, 0.09 at best since" in found.evidence

    def test_a_plateau_is_told_and_is_not_ill(self):
        level = _rows([0.3] * 10, [0.93] * 10, [0.4, *[0.399] * 9], [0.9] * 10)
        (found,) = diagnosis.read(level, dataclasses.replace(MANY, epochs=40, ended=None))
        assert found.kind == "plateau"
        assert not found.ill
        assert "0.40" in found.evidence

    def test_diverged(self):
        rows = _rows([0.7, 9.0], [0.8, 0.3], [0.5, 1.3], [0.8, 0.3])
        found = diagnosis.read(rows, MANY)
        assert _kinds(found) == ["diverged"]
        assert found[0].level == "stop"
        assert "9.00" in found[0].evidence
        assert found[0].remedy is not None
        assert found[0].remedy.settings == {"learning_rate": 1e-4}

    def test_a_rate_that_ruins_what_was_known_is_too_high_for_good(self):
        loss, val_loss = [1.6, 1.0, *_settling(0.8, 0.3, 8)], [1.2, 0.8, *_settling(0.6, 0.5, 8)]
        rows = _rows(loss, _straight(0.4, 0.9), val_loss, [0.6, *_straight(0.75, 0.85, 9)])
        for end in range(3, len(rows) + 1):
            worst = self._worst(rows[:end])
            assert worst.kind == "rate_too_high"
            assert "60 %" in worst.evidence
            assert "after epoch 1" in worst.evidence

    def test_a_loss_above_guessing_is_a_rate_too_high(self):
        chance = (1.4, 0.25, 1.38, 0.25)
        rows = _rows([1.5, 2.5, 2.2, 2.4], [0.25] * 4, [1.38] * 4, [0.25] * 4, chance)
        assert self._worst(rows).kind == "rate_too_high"

    def test_a_rate_far_below_the_usual_one_with_which_nothing_moves_is_too_low(self):
        rows = _rows([0.7] * 5, [0.7] * 5, [0.4999] * 5, [0.85] * 5)
        slow = dataclasses.replace(MANY, settings={"learning_rate": 1e-6})
        worst = self._worst(rows, slow)
        assert worst.kind == "rate_too_low"
        assert worst.remedy is not None
        assert worst.remedy.settings == {"learning_rate": 1e-3}
        assert "rate_too_low" not in _kinds(diagnosis.read(rows, MANY))

    def test_overfitting_needs_a_gap_and_a_rising_loss(self):
        loss, accuracy = _settling(0.5, 0.02), _settling(0.85, 1.0)
        rising, level = _straight(0.5, 0.8), [0.5] * 10
        worst = self._worst(_rows(loss, accuracy, rising, [0.82] * 10))
        assert worst.kind == "overfitting"
        assert "82 %" in worst.evidence
        assert "0.80" in worst.evidence
        assert worst.remedy is not None
        assert worst.remedy.settings["dropout"] == 0.4
        assert worst.remedy.settings["weight_decay"] == 0.01
        for val_loss, val_accuracy in ((level, 0.82), (rising, 0.93)):
            kinds = _kinds(
                diagnosis.read(_rows(loss, accuracy, val_loss, [val_accuracy] * 10), MANY)
            )
            assert "overfitting" not in kinds

    @pytest.mark.parametrize(
        ("strategy", "remedied"),
        [("finetune_few", {"strategy": "finetune_many"}), ("finetune_many", None)],
    )
    def test_underfitting_is_a_plateau_below_nine_in_ten(self, strategy, remedied):
        weak = (1.0, 0.6, 1.0, 0.58)
        rows = _rows(_settling(1.1, 1.0), [0.6] * 10, [1.0] * 10, [0.58] * 10, weak)
        worst = self._worst(rows, dataclasses.replace(MANY, strategy=strategy))
        assert worst.kind == "underfitting"
        assert worst.remedy is not None
        if remedied:
            assert worst.remedy.settings == remedied
        else:
            assert worst.remedy.settings["dropout"] == 0.0

    def test_a_training_accuracy_that_augmentation_lowers_is_not_underfitting(self):
        rows = _rows([0.7] * 10, [0.75] * 10, [0.5] * 10, [0.85] * 10)
        assert "underfitting" not in _kinds(diagnosis.read(rows, MANY))

    @pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
    def test_mixed_pictures_explain_a_low_training_accuracy(self, mixing):
        weak = (1.0, 0.6, 1.0, 0.58)
        rows = _rows([1.1] * 10, [0.45] * 10, [1.0] * 10, [0.6] * 10, weak)
        assert "underfitting" in _kinds(diagnosis.read(rows, MANY))
        settings = {**SETTINGS, "changes": {"mixup": None, "cutmix": None, mixing: 0.4}}
        found = {one.kind: one for one in diagnosis.read(rows, _with(settings))}
        assert "underfitting" not in found
        assert mixing in found["validation_better"].words
        assert found["validation_better"].remedy is None  # there is nothing to mend
        unmixed = {**SETTINGS, "changes": {"mixup": 0.0, "cutmix": None}}
        assert "underfitting" in _kinds(diagnosis.read(rows, _with(unmixed)))

    def test_no_better_than_guessing(self):
        chance = (1.2, 0.6, 1.386, 0.25)
        rows = _rows(_straight(1.3, 0.7), _straight(0.4, 0.8), [1.386] * 10, [0.25] * 10, chance)
        assert self._worst(rows).kind == "guessing"

    def test_an_end_in_full_fall_asks_for_more_epochs(self):
        chance = (1.4, 0.25, 1.38, 0.25)
        rows = _rows([1.3, 1.0, 0.8], [0.5, 0.7, 0.8], [1.1, 0.9, 0.7], [0.6, 0.7, 0.8], chance)
        worst = self._worst(rows)
        assert worst.kind == "falling_still"
        assert worst.remedy is not None
        assert worst.remedy.settings == {"epochs": 6}
        going_on = dataclasses.replace(MANY, ended=None)
        assert self._worst(rows, going_on).kind == "healthy"
        budget = dataclasses.replace(MANY, ended="budget", settings={**SETTINGS, "budget": 60})
        remedy = self._worst(rows, budget).remedy
        assert remedy is not None
        assert remedy.settings == {"epochs": 6, "budget": 120}

    def test_a_bad_start(self):
        bad = (6.0, 0.2, 1.38, 0.25)
        rows = _rows([4.0, 2.0, 1.0], [0.3, 0.5, 0.7], [1.2, 0.9, 0.6], [0.4, 0.6, 0.8], bad)
        assert self._worst(rows[:1]).kind == "bad_start"
        assert self._worst(rows).kind == "bad_start"

    def test_validation_of_one_class(self):
        one = dataclasses.replace(MANY, val_counts=(200, 0, 0, 0))
        assert self._worst(HEALTHY, one).kind == "validation_one_sided"

    def test_few_validation_pictures_and_how_many_it_takes(self):
        few = dataclasses.replace(MANY, val_counts=(5, 5, 5, 5))
        found = {one.kind: one for one in diagnosis.read(HEALTHY, few)}
        assert not any(one.ill for one in found.values())
        assert "20 validation pictures" in found["validation_too_small"].evidence
        assert "validation_too_small" not in _kinds(diagnosis.read(HEALTHY, MANY))

    def test_better_on_validation_is_explained_and_not_ill(self):
        rows = _rows([0.9] * 10, [0.7] * 10, _settling(0.5, 0.3), [0.9] * 10)
        found = {one.kind: one for one in diagnosis.read(rows, MANY)}
        assert not any(one.ill for one in found.values())
        assert "dropout" in found["validation_better"].words

    def test_of_a_head_alone_only_what_applies_is_said(self):
        head = _rows([], [], [], [])[:1]
        few = dataclasses.replace(MANY, strategy="linear_top", val_counts=(4, 4, 4, 4))
        assert _kinds(diagnosis.read(head, few)) == ["validation_too_small", "healthy"]
        head[0]["accuracy"] = 1.0
        assert _kinds(diagnosis.read(head, MANY)) == ["gap", "healthy"]

    def test_nothing_is_read_from_nothing(self):
        assert diagnosis.read([], MANY) == ()


class TestAnyRows:
    @pytest.mark.parametrize("seed", range(40))
    def test_whatever_is_missing_the_worst_comes_first(self, seed):
        rng = np.random.default_rng(seed)
        rows = [dict(row) for row in HEALTHY[int(rng.integers(0, 3)) :]]
        for row in rows:
            for name in [one for one in row if one not in ("phase", "epoch")]:
                chance = rng.random()
                if chance < 0.1:
                    row[name] = None
                elif chance < 0.15:
                    del row[name]
                elif chance < 0.2:
                    row[name] = math.nan
        facts = Facts(3, 20, tuple(int(n) for n in rng.integers(0, 9, 3)))
        for end in range(1, len(rows) + 1):
            found = diagnosis.read(rows[:end], facts)
            order = [("stop", "warning", "note", "good").index(one.level) for one in found]
            assert found
            assert order == sorted(order)
            assert len(set(_kinds(found))) == len(found)
            assert all(one.title and one.words for one in found)


class TestRecorded:
    """The curves of `benchmarks/curves.py`: real pictures, known causes."""

    def test_there_are_enough_and_nearly_all_are_read_rightly(self):
        wrong = []
        for row in RECORDED:
            found = _kinds(diagnosis.read(row["history"], _facts(row)))
            if found[0] not in row["expected"]:
                wrong.append((row["name"], row["expected"], found))
        assert len(RECORDED) >= 25
        assert len(RECORDED) - len(wrong) >= math.ceil(0.92 * len(RECORDED)), wrong  # 23 of 25
        assert len({tuple(row["expected"]) for row in RECORDED}) >= 10

    def test_no_healthy_one_is_called_ill_at_any_time(self):
        healthy = [row for row in RECORDED if "healthy" in row["expected"]]
        assert len(healthy) >= 5
        for row in healthy:
            facts = _facts(row)
            going_on = dataclasses.replace(facts, ended=None)
            for end in range(1, len(row["history"]) + 1):
                known = facts if end == len(row["history"]) else going_on
                ill = [one for one in diagnosis.read(row["history"][:end], known) if one.ill]
                assert ill == [], (row["name"], end)

    def test_what_is_said_does_not_flicker(self):
        for row in RECORDED:
            going_on = dataclasses.replace(_facts(row), ended=None)
            ends = range(2, len(row["history"]) + 1)
            ill = [
                tuple(one.kind for one in diagnosis.read(row["history"][:end], going_on) if one.ill)
                for end in ends
            ]
            changes = sum(a != b for a, b in itertools.pairwise(ill))
            assert changes <= 3, (row["name"], ill)

    def test_a_remedy_changes_settings_that_there_are(self):
        config = RunConfig("0" * 64, "builtin", 64)
        seen = set()
        for row in RECORDED:
            for one in diagnosis.read(row["history"], _facts(row)):
                if one.remedy is None:
                    continue
                changed = {k: v for k, v in one.remedy.settings.items() if k != "changes"}
                dataclasses.replace(config, **changed)
                seen.add(one.kind)
                assert one.remedy.label
        assert {"rate_too_high", "rate_too_low", "falling_still", "overfitting"} <= seen
