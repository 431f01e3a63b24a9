"""The decision table: four cells, each witness pulls its way, and the words carry the numbers.

Nothing here knows where the borders are: that is tuned by measuring.
"""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest

from transfer import advice
from transfer.advice import Axis, CurvePoint, Evidence, StageScore

LITTLE, LOTS = (15, 15, 14), (900, 1000, 800)
NEAR, FAR = 0.5, 2.0  # times the border


def _right(accuracies: tuple[float, ...], n: int, seed: int = 0) -> np.ndarray:
    """Bool [stages, n]: each stage right on its share, the pictures drawn at random."""
    rng = np.random.default_rng(seed)
    rows = [np.arange(n) < round(share * n) for share in accuracies]
    return np.stack([rng.permutation(row) for row in rows])


def _evidence(
    sizes: tuple[int, ...] = LITTLE,
    shift: float | None = NEAR,
    accuracies: tuple[float, ...] = (0.5, 0.7, 0.9),
    spread: float = 1.0,
    slope: float = 0.0,
) -> Evidence:
    """Evidence: `shift` and `spread` are in units of their borders."""
    n = min(sum(sizes), 3000)
    right = _right(accuracies, n)
    last = float(right[-1].mean())
    return Evidence(
        class_sizes=sizes,
        curve=(
            CurvePoint(n // 4, last - 2 * slope, 0.01),
            CurvePoint(n // 2, last - slope, 0.01),
            CurvePoint(2 * (n // 2), last, 0.01),
        ),
        profile=tuple(
            StageScore(number, f"layer_{number}", float(row.mean()), 0.01)
            for number, row in enumerate(right, start=1)
        ),
        right=right,
        bn_shift=None if shift is None else shift * advice.SHIFT_BORDER,
        bn_shift_error=0.001,
        spread=spread * advice.SPREAD_BORDER,
    )


def _odds(axis: Axis) -> float:
    """How sure it is of the far side: of "lots" or of "different"."""
    sure = axis.confidence if axis.verdict in ("lots", "different") else 1 - axis.confidence
    return math.log(sure / (1 - sure))


def _rising(values: list[float]) -> bool:
    return all(one < other for one, other in itertools.pairwise(values))


class TestCells:
    @pytest.mark.parametrize(
        ("sizes", "shift", "accuracies", "strategy"),
        [
            (LITTLE, NEAR, (0.5, 0.7, 0.9), "linear_top"),
            (LITTLE, FAR, (0.6, 0.9, 0.8), "linear_stages"),
            (LOTS, NEAR, (0.5, 0.7, 0.9), "finetune_few"),
            (LOTS, FAR, (0.6, 0.9, 0.8), "finetune_many"),
        ],
    )
    def test_the_four_cells(self, sizes, shift, accuracies, strategy):
        given = advice.decide(_evidence(sizes, shift, accuracies))
        assert given.strategy == strategy
        assert given.strategy == advice.TABLE[given.size.verdict, given.similarity.verdict]  # pyright: ignore[reportArgumentType]

    def test_the_table_names_each_strategy_once(self):
        from transfer import catalog

        assert sorted(advice.TABLE.values()) == sorted(one.name for one in catalog.STRATEGIES)
        assert set(advice.TABLE) == {
            (size, likeness) for size in ("little", "lots") for likeness in ("similar", "different")
        }


class TestSize:
    def test_more_pictures_are_more(self):
        given = [advice.decide(_evidence((k, k, k))).size for k in (5, 20, 80, 320, 1280, 5000)]
        assert _rising([_odds(axis) for axis in given])
        assert given[0].verdict == "little"
        assert given[-1].verdict == "lots"

    def test_many_pictures_in_too_many_classes_are_few(self):
        assert advice.decide(_evidence((2500, 2500))).size.verdict == "lots"
        assert advice.decide(_evidence((10,) * 500)).size.verdict == "little"

    def test_one_large_class_does_not_make_it_lots(self):
        assert advice.decide(_evidence((9000, 12, 12, 12, 12))).size.verdict == "little"

    def test_a_climbing_curve_says_that_there_are_few(self):
        odds = [_odds(advice.decide(_evidence(slope=s)).size) for s in (0.03, 0.02, 0.01, 0.0)]
        assert _rising(odds)

    def test_no_curve_is_no_witness(self):
        seen = dataclasses.replace(_evidence(), curve=())
        assert advice.decide(seen).slope == 0.0

    def test_the_slope_is_that_of_the_last_doubling(self):
        assert advice.decide(_evidence(slope=0.04)).slope == pytest.approx(0.04)
        points = (CurvePoint(100, 0.5, 0.01), CurvePoint(400, 0.7, 0.01))
        seen = dataclasses.replace(_evidence(), curve=points)
        assert advice.decide(seen).slope == pytest.approx(0.1)


class TestSimilarity:
    def test_a_larger_shift_is_more_different(self):
        axes = [
            advice.decide(_evidence(shift=s, accuracies=(0.8, 0.8))).similarity
            for s in (0.3, 0.6, 1.2, 2.4)
        ]
        assert _rising([_odds(axis) for axis in axes])
        assert [axes[0].verdict, axes[-1].verdict] == ["similar", "different"]

    def test_a_better_middle_stage_is_more_different(self):
        odds = [
            _odds(advice.decide(_evidence(LOTS, 1.0, (0.3, 0.8 + d, 0.8))).similarity)
            for d in (-0.02, -0.01, 0.0, 0.01, 0.02)
        ]
        assert _rising(odds)

    def test_more_directions_are_more_similar(self):
        odds = [
            _odds(advice.decide(_evidence(shift=None, accuracies=(0.8, 0.8), spread=s)).similarity)
            for s in (1.4, 1.1, 0.9, 0.7)
        ]
        assert _rising(odds)

    def test_without_batch_norm_the_directions_count_and_are_named(self):
        few, many = (
            advice.decide(_evidence(shift=None, accuracies=(0.8, 0.8), spread=s))
            for s in (0.2, 4.0)
        )
        assert few.similarity.verdict == "different"
        assert many.similarity.verdict == "similar"
        told = few.to_json()["similarity"]
        assert told["bn_shift"] is None
        assert told["measure"] == "spread"
        assert "directions" in few.reasons[1]

    def test_where_there_is_a_shift_the_directions_do_not_count(self):
        one, other = (advice.decide(_evidence(spread=s)) for s in (0.1, 10.0))
        assert one.similarity == other.similarity

    def test_an_uncertain_shift_is_a_weaker_witness(self):
        sure = _evidence(shift=1.5, accuracies=(0.8, 0.8))
        vague = dataclasses.replace(sure, bn_shift_error=0.1)
        assert (
            advice.decide(vague).similarity.confidence < advice.decide(sure).similarity.confidence
        )

    def test_one_stage_alone_has_no_profile_and_is_no_witness(self):
        alone = _evidence(shift=1.5, accuracies=(0.8,))
        given = advice.decide(alone)
        assert len(given.reasons) == 2
        undecided = dataclasses.replace(alone, right=np.repeat(alone.right, 2, axis=0))
        assert given.similarity == advice.decide(undecided).similarity

    def test_stages_that_are_right_on_the_same_pictures_do_not_divide_by_zero(self):
        seen = _evidence(shift=1.5)
        same = dataclasses.replace(seen, right=np.repeat(seen.right[:1], 3, axis=0))
        assert math.isfinite(advice.decide(same).similarity.confidence)

    @pytest.mark.parametrize("shift", [1e-9, 0.0])
    def test_no_shift_at_all_is_as_similar_as_can_be(self, shift):
        axis = advice.decide(_evidence(shift=shift, accuracies=(0.8, 0.8))).similarity
        assert axis.verdict == "similar"
        assert 0.0 <= axis.place < 0.5


@pytest.mark.parametrize("sizes", [(2, 2), (4, 5, 6), LITTLE, (300, 310, 290), LOTS, (40000,) * 3])
@pytest.mark.parametrize("shift", [None, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("accuracies", [(0.2, 0.9), (0.9, 0.5, 0.6), (1.0, 1.0, 1.0)])
def test_places_and_bars_fit_the_verdicts(sizes, shift, accuracies):
    given = advice.decide(_evidence(sizes, shift, accuracies))
    for axis, far in ((given.size, "lots"), (given.similarity, "different")):
        assert 0.0 <= axis.low <= axis.place <= axis.high <= 1.0
        assert axis.low < axis.high  # a bar is never lost, however far out
        assert 0.5 <= axis.confidence <= 1.0
        if axis.place != 0.5:
            assert (axis.place > 0.5) == (axis.verdict == far)
        # Sure means that the bar stays on one side of the border, and the other way round.
        if axis.confidence > 0.99:
            assert axis.low > 0.5 or axis.high < 0.5
        if axis.confidence < 0.7:
            assert axis.low < 0.5 < axis.high


class TestReasons:
    def test_they_carry_the_numbers(self):
        given = advice.decide(_evidence((900, 1000, 806), FAR, (0.5, 0.9, 0.8), slope=0.031))
        size, shift, profile = given.reasons
        assert "2,706 pictures" in size
        assert "902" in size
        assert "3 classes" in size
        assert "3.1 %" in size
        assert f"{given.evidence.bn_shift:.2f}" in shift
        last, best = given.evidence.profile[2], given.evidence.profile[1]
        assert f"{100 * best.accuracy:.1f} % at stage 2" in profile
        assert f"{100 * last.accuracy:.1f} % at the last" in profile

    def test_few_pictures_carry_whole_percents_only(self):
        *_, profile = advice.decide(_evidence((104, 104), NEAR, (0.7, 0.875, 0.952))).reasons
        assert "(88 % at stage 2, 95 % at the last)" in profile

    def test_each_is_a_sentence_or_two(self):
        for sizes in (LITTLE, LOTS):
            for shift in (None, NEAR, FAR):
                for accuracies in ((0.5, 0.9), (0.9, 0.5), (0.7, 0.7)):
                    for reason in advice.decide(_evidence(sizes, shift, accuracies)).reasons:
                        assert reason.endswith(".")
                        assert "nan" not in reason
                        assert "%%" not in reason

    def test_the_profile_is_read_three_ways(self):
        words = [
            advice.decide(_evidence(LOTS, accuracies=accuracies)).reasons[-1]
            for accuracies in ((0.5, 0.9, 0.8), (0.5, 0.8, 0.9), (0.5, 0.85, 0.85))
        ]
        assert len({text.split("(")[0] for text in words}) == 3
        assert "better than the last" in words[0]
        assert "last stage" in words[1]
        assert "as well as" in words[2]


def test_the_json_has_the_promised_fields():
    given = advice.decide(_evidence(LOTS, FAR, (0.5, 0.9, 0.8), slope=0.01))
    told = json.loads(json.dumps(given.to_json(), allow_nan=False))
    assert told["size"]["images"] == 2700
    assert told["size"]["per_class"] == 900
    assert told["size"]["verdict"] == "lots"
    assert told["similarity"]["bn_shift"] == pytest.approx(FAR * advice.SHIFT_BORDER)
    assert told["similarity"]["verdict"] == "different"
    assert 0.5 <= told["similarity"]["confidence"] <= 1.0
    assert [set(row) for row in told["similarity"]["stage_profile"]] == [
        {"stage", "layer", "accuracy", "standard_error"}
    ] * 3
    assert told["strategy"] == "finetune_many"
    assert told["reasons"] == list(given.reasons)
    assert told["point"]["size_low"] <= told["point"]["size"] <= told["point"]["size_high"]
    assert told["size"]["smallest_class"] == 800
