"""The curves of the checks before a training, as Vega-Lite and in words."""

from dataclasses import replace

import pytest

from app import trial_curves
from app.rehearsed import Overfit, RateRange

_HEART = Overfit("green", "By heart.", 20, 3, (1.1, 0.4, 0.01), 1.0)
_RATES = RateRange("green", "Good.", (1e-5, 1e-3, 1e-1), (1.1, 0.6, 3.0), 1e-4, 1e-3, 32)


def _marks(spec) -> list[str]:
    return [layer["mark"]["type"] for layer in spec["layer"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_learning_by_heart_starts_at_zero(theme):
    spec = trial_curves.by_heart(_HEART, theme)
    assert [row["y"] for row in spec["data"]["values"]] == [1.1, 0.4, 0.01]
    assert spec["layer"][0]["encoding"]["y"]["scale"] == {"domainMin": 0}
    assert trial_curves.by_heart_in_words(_HEART) == "The loss falls from 1.10 to 0.01 in 3 steps."


def test_what_does_not_fall_is_said_not_to():
    still = replace(_HEART, losses=(1.1, 1.2))
    assert "does not fall" in trial_curves.by_heart_in_words(still)
    assert "not measured" in trial_curves.by_heart_in_words(replace(_HEART, losses=()))


def test_the_rates_are_logarithmic_and_both_rates_are_marked():
    spec = trial_curves.rates(_RATES, "light")
    assert _marks(spec) == ["line", "rule"]
    assert spec["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"
    marks = spec["layer"][1]["data"]["values"]
    assert {row["what"]: row["x"] for row in marks} == {"chosen": 1e-4, "set now": 1e-3}
    words = trial_curves.rates_in_words(_RATES)
    assert words == "The loss is lowest, 0.60, at a rate of 0.001; 0.0001 is chosen."


def test_without_a_choice_and_with_losses_that_are_no_numbers():
    odd = replace(_RATES, losses=(1.1, float("nan"), float("inf")), chosen=None)
    spec = trial_curves.rates(odd, "dark")
    assert [row["y"] for row in spec["data"]["values"]] == [1.1]
    assert [row["what"] for row in spec["layer"][1]["data"]["values"]] == ["set now"]
    assert trial_curves.rates_in_words(odd).endswith("none is chosen.")
    assert "not measured" in trial_curves.rates_in_words(replace(odd, losses=()))
