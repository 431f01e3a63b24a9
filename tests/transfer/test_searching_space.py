"""Ranges: drawn in log space, narrowed round the best, widened at an edge, told as text."""

import pytest

from transfer.config import RunConfig
from transfer.errors import SettingsError
from transfer.searching import space
from transfer.searching.space import Range, Space

RATE = Range(1e-5, 1e-1, 1e-8, 100.0)


def test_shares_are_in_log_space():
    assert RATE.share(1e-3) == pytest.approx(0.5)
    assert RATE.at(0.25) == pytest.approx(1e-4)
    assert Range(0, 0.6, 0, 0.95, log=False).share(0.3) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("value", "side"), [(1e-5, "low"), (2.4e-5, "low"), (2.6e-5, None), (1e-3, None),
                        (3.9e-2, None), (4.1e-2, "high"), (1e-1, "high")],
)  # fmt: skip
def test_the_outermost_tenth_is_the_edge(value, side):
    assert RATE.edge(value) == side


def test_where_a_range_cannot_be_wider_there_is_no_edge():
    levels = Space().frozen_level
    assert levels.edge(-1) is None
    assert levels.edge(-3) == "low"
    assert levels.widened("low").low == -5
    assert Space().dropout.edge(0.0) is None
    assert Range(1e-3, 1e-3, 1e-8, 1.0).edge(1e-3) is None


def test_widening_adds_two_decades_but_stays_within_bounds():
    assert RATE.widened("high").high == pytest.approx(10)
    assert RATE.widened("high").widened("high").high == 100
    assert RATE.widened("low").low == pytest.approx(1e-7)
    assert Space().dropout.widened("high").high == 0.95


def test_the_fine_range_holds_the_best_and_is_at_most_half_as_wide():
    for best in ([1e-3, 2e-3, 4e-4], [1e-5, 1e-1, 1e-3], [9e-2, 1e-1, 5e-2], [1e-3]):
        fine = RATE.round_best(best)
        assert RATE.low <= fine.low <= best[0] <= fine.high <= RATE.high
        assert 0 < RATE.share(fine.high) - RATE.share(fine.low) <= 0.51


def test_a_space_is_the_same_after_json():
    changed = space.parsed(["learning-rate=1e-4:1e-2", "augmentation=light,none", "dropout=0.2"])
    assert Space.from_json(changed.to_json()) == changed
    assert changed.augmentation == ("light", "none")
    assert (changed.dropout.low, changed.dropout.high) == (0.2, 0.2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rate=1:2", "chooses among learning_rate"),
        ("learning_rate=much", "NAME=LOW:HIGH"),
        ("learning_rate=1e-2:1e-4", "from a low to a high"),
        ("learning_rate=0:1", "between"),
        ("l2=0:1e-3", "above 0"),
        ("dropout=0:2", "between"),
        ("augmentation=wild", "some of none, light, strong"),
        ("frozen_level=-2.5:-1", "whole number"),
    ],
)
def test_what_is_no_range_is_said(text, words):
    with pytest.raises(SettingsError, match=words):
        space.parsed([text])


def test_the_settings_of_a_trial_begin_a_run():
    settings = {"learning_rate": 2e-3, "weight_decay": 1e-4, "l2": 1e-5, "dropout": 0.3,
                "frozen_level": -2, "augmentation": "none"}  # fmt: skip
    config = RunConfig("0" * 64, "builtin", 64, strategy="finetune_few", seed=7)
    changed = config.changed(space.settings_of_run(settings))
    assert (changed.learning_rate, changed.weight_decay, changed.dropout) == (2e-3, 1e-4, 0.3)
    assert (changed.recipe.l2, changed.recipe.frozen_level) == (1e-5, -2)
    assert changed.changes.level == "none"
    assert (changed.seed, changed.recipe.optimizer) == (7, config.recipe.optimizer)
