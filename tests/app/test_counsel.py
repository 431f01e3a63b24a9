"""The advice in words: each cell has its own, and what is not sure is not said as if it were."""

import dataclasses
import itertools

import pytest

from app import counsel, measured, ways
from app.measured import Advice
from tests.app import advices


def _advice(likeness: str, amount: str, **changes: object) -> Advice:
    return measured.parsed(advices.advice(likeness, amount, changes=changes))


def test_each_cell_has_a_title_and_risks_of_its_own():
    found = [_advice(*verdicts) for verdicts in advices.CELLS]
    assert len({counsel.title(one) for one in found}) == 4
    for one in found:
        others = [cell.strategy for cell in ways.CELLS if cell.strategy != one.strategy]
        assert len({counsel.risk(one, other) for other in others}) >= 2
    assert ["but" in counsel.title(one) for one in found] == [False, False, False, True]


@pytest.mark.parametrize(
    ("verdicts", "chosen", "says"),
    [
        (("similar", "little"), "finetune_few", "learn them by heart"),
        (("different", "little"), "finetune_many", "learn them by heart"),
        (("different", "little"), "linear_top", "made for other pictures"),
        (("similar", "little"), "linear_stages", "perhaps little is gained"),
        (("similar", "lots"), "linear_top", "it could have learned more"),
        (("different", "lots"), "finetune_few", "Only its last part adapts"),
        (("similar", "lots"), "finetune_many", "may unlearn some of what it knows"),
    ],
)
def test_the_risk_is_that_of_the_choice(verdicts, chosen, says):
    assert says in counsel.risk(_advice(*verdicts), chosen)


def test_the_cost_of_a_choice():
    advice = _advice("similar", "little")
    assert counsel.cost(advice, "finetune_few") == (
        "It takes up to about 7 minutes on this machine; the advised way takes about 10 seconds."
    )
    alike = _advice("similar", "little", costs={"linear_top": 12.0, "linear_stages": 12.2})
    assert counsel.cost(alike, "linear_stages") == (
        "It takes about 10 seconds on this machine, as the advised way does."
    )
    assert counsel.cost(alike, "finetune_many") is None


@pytest.mark.parametrize(
    ("size", "likeness", "says"),
    [(0.95, 0.98, "Few or many: 95 % sure. Like or unlike: 98 % sure."),
     (0.999, 0.999, "Both are over 99 % sure."),
     (0.75, 0.99, "least so whether they are few"),
     (0.95, 0.8, "least so whether they are like those"), (0.95, 0.5, "close call whether they")],
)  # fmt: skip
def test_how_sure_it_is(size, likeness, says):
    value = advices.advice()
    value["size"]["confidence"], value["similarity"]["confidence"] = size, likeness
    assert says in counsel.certainty(measured.parsed(value))


def test_no_certainty_is_complete():
    assert counsel.percent_sure(0.999) == "over 99 %"


@pytest.mark.parametrize(
    ("shares", "says"),
    [((0.4, 0.6, 0.9), "The last stage knows your pictures best: 90 %"),
     ((0.4, 0.9, 0.6), "Stage 2 knows your pictures better than the last one: 90 % against 60 %"),
     ((0.4, 0.91, 0.9), "Stage 2 does as well as the last one, within the error")],
)  # fmt: skip
def test_what_the_stages_show(shares, says):
    value = advices.advice("similar", "little")
    value["similarity"]["stage_profile"] = [
        {"stage": n, "layer": "x", "accuracy": share, "standard_error": 0.02}
        for n, share in enumerate(shares, start=1)
    ]
    assert says in counsel.stages(measured.parsed(value)).replace("\u00a0", " ")


def test_the_time_that_all_four_take():
    advice = _advice("similar", "little")
    assert (
        counsel.all_four(advice, 3600.0) == "All four take up to about 22 minutes on this machine."
    )
    assert "After 15 minutes the slower ones are cut short" in counsel.all_four(advice, 900.0)
    assert counsel.all_four(None, 900.0).startswith("At most 15 minutes.")


def test_what_retraining_does_to_pictures_is_said_where_nobody_was_asked():
    advice = _advice("similar", "little")
    assert "its pictures may be mirrored, as was measured" in counsel.unasked(advice, asked=False)
    assert counsel.unasked(advice, asked=True) == counsel.unasked(None, asked=False) == ""
    safe = measured.Guess(safe=True, accuracy=0.9, changed=0.9, n=9)
    never = dataclasses.replace(safe, safe=False)
    both = dataclasses.replace(advice, mirror=safe, turn=safe)
    assert "may be mirrored and turned" in counsel.unasked(both, asked=False)
    neither = dataclasses.replace(advice, mirror=never, turn=never)
    assert "may neither be mirrored nor be turned" in counsel.unasked(neither, asked=False)


def test_the_figures_hold_every_number():
    told = dict(counsel.figures(_advice("different", "little")))
    assert told["BN shift"].startswith("0.221 ± 0.004")
    assert told["Pictures"] == "120 in 10 classes"
    assert told["Size"] == "little (93 % sure)"
    assert told["Similarity"] == "different (97 % sure), by the BN shift"
    assert "difference 0.80 (0.71 to 0.88)" in told["Place in the table"]
    for likeness, amount in itertools.product(("similar", "different"), ("little", "lots")):
        assert all(told for _, told in counsel.figures(_advice(likeness, amount)))
