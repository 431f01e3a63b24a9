"""Which solution ships: the named one, or what validation prefers by more than a standard error."""

import math

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import evaluation, judging
from transfer.judging import Candidate, Judged
from transfer.prediction import Classifier
from transfer.strategies import Trained

CLASSES = ("a", "b")


def _judged(right: np.ndarray) -> Judged:
    labels = np.arange(len(right)) % 2
    answers = np.full((len(right), 2), 0.2)
    answers[np.arange(len(right)), np.where(right, labels, 1 - labels)] = 0.8
    return Judged(evaluation.evaluate(answers, labels, CLASSES), answers, right, 1.0)


def _candidate(strategy: str, right: list[bool] | np.ndarray, ended: str = "epochs") -> Candidate:
    model = keras.Sequential(name=strategy)
    trained = Trained(strategy, model, (), ended)
    return Candidate(trained, _judged(np.asarray(right, bool)), 12.3)


def _right(wrong: set[int], n: int = 100) -> np.ndarray:
    return np.array([i not in wrong for i in range(n)])


PROBE = _candidate("linear_stages", _right(set(range(20))))
EVERYONE = ("linear_top", "linear_stages", "finetune_few", "finetune_many")


class TestChoose:
    @pytest.mark.parametrize("name", EVERYONE)
    def test_the_named_one_ships_even_if_validation_prefers_another(self, name):
        worst = _candidate(name, _right(set(range(90))))
        others = [_candidate(other, _right(set())) for other in EVERYONE if other != name]
        assert judging.choose([worst, *others], name, "linear_top") is worst
        assert judging.choose([worst], name, None) is worst

    def test_auto_ships_fine_tuning_only_beyond_a_standard_error(self):
        def shipped(right: np.ndarray) -> str:
            tuned = _candidate("finetune_few", right)
            return judging.choose([PROBE, tuned], "auto", "finetune_few").name

        clearly = _right(set(range(8)))  # it is right on 12 more, wrong on none
        assert shipped(clearly) == "finetune_few"
        assert shipped(_right(set(range(20)))) == "linear_stages"  # no better
        assert shipped(_right(set(range(30)))) == "linear_stages"  # worse
        # Right on 12 more and wrong on 10 others: better by 2 %, the error is 4.7 %.
        mixed = _right(set(range(8)) | set(range(90, 100)))
        assert mixed.mean() > PROBE.validation.right.mean()
        assert shipped(mixed) == "linear_stages"

    @pytest.mark.parametrize("gained", range(1, 8))
    @pytest.mark.parametrize("lost", range(8))
    def test_the_border_is_the_paired_standard_error(self, gained, lost):
        right = _right(set(range(gained, 20)) | set(range(50, 50 + lost)))
        tuned = _candidate("finetune_many", right)
        difference = right.astype(float) - PROBE.validation.right
        beyond = difference.mean() > difference.std() / math.sqrt(100)
        chosen = judging.choose([PROBE, tuned], "auto", "finetune_many")
        assert chosen.name == ("finetune_many" if beyond else "linear_stages")

    @pytest.mark.parametrize("requested", ["auto", "all"])
    @pytest.mark.parametrize("advised", ["linear_top", "linear_stages"])
    def test_an_advised_linear_one_ships_without_a_contest(self, requested, advised):
        candidates = [
            _candidate("linear_top", _right(set(range(50)))),
            _candidate("linear_stages", _right(set(range(40)))),
            _candidate("finetune_few", _right(set())),
        ]
        assert judging.choose(candidates, requested, advised).name == advised

    def test_all_ships_what_is_advised_unless_the_probe_is_as_good(self):
        candidates = [_candidate(name, _right(set(range(20)))) for name in EVERYONE]
        assert judging.choose(candidates, "all", "finetune_many").name == "linear_stages"
        candidates[3] = _candidate("finetune_many", _right(set()))
        assert judging.choose(candidates, "all", "finetune_many").name == "finetune_many"

    def test_an_advised_one_that_was_not_trained_leaves_the_probe(self):
        assert judging.choose([PROBE], "auto", "finetune_many") is PROBE
        top = _candidate("linear_top", _right(set()))
        assert judging.choose([top], "auto", "finetune_many") is top


def test_the_paired_difference_is_on_the_same_pictures():
    gain, error = judging.paired(np.array([1, 1, 1, 0], bool), np.array([1, 0, 1, 1], bool))
    assert gain == 0.0
    assert error == pytest.approx(math.sqrt(0.5) / 2)
    same = np.array([1, 0, 1], bool)
    assert judging.paired(same, same) == (0.0, 0.0)


class TestCandidate:
    def test_refitting_happens_once_and_where_there_is_one(self):
        made: list[keras.Model] = []

        def refit() -> keras.Model:
            made.append(keras.Sequential())
            return made[-1]

        trained = Trained("linear_top", keras.Sequential(), (), "closed form", refit)
        candidate = Candidate(trained, PROBE.validation, 1.0)
        finished = candidate.finished()
        assert finished.model is made[0]
        assert finished.finished().model is made[0]
        assert len(made) == 1
        plain = _candidate("finetune_few", _right(set())).finished()
        assert plain.model is plain.trained.model

    def test_a_row_has_intervals_seconds_and_a_note_where_time_was_short(self):
        row = _candidate("finetune_few", _right(set(range(10))), "budget").to_json()
        assert row["strategy"] == "finetune_few"
        assert row["seconds"] == 12.3
        assert row["validation"]["low"] < 0.9 == row["validation"]["accuracy"]
        assert row["validation"]["n"] == 100
        assert row["test"] is None
        assert "time was up" in row["note"]
        assert _candidate("finetune_few", _right(set())).to_json()["note"] is None


def test_a_model_is_judged_by_its_own_answers(tmp_path):
    index = problems.dataset(tmp_path, per_class=6, classes=2)
    inputs = keras.Input((None, None, 3))
    means = keras.layers.GlobalAveragePooling2D()(inputs)
    always = keras.layers.Dense(2, "softmax", kernel_initializer="zeros")(means)
    model = keras.Model(inputs, always)
    model.layers[-1].bias.assign([2.0, 0.0])
    told: list[tuple[int, int]] = []
    positions = tuple(range(9))
    classifier = Classifier(model, index.classes, 48)
    judged = judging.judge(classifier, index, positions, lambda *done: told.append(done))
    assert judged.report.overall.accuracy == pytest.approx(6 / 9)
    assert judged.report.overall.n == len(judged.right) == len(judged.answers) == 9
    assert judged.right.tolist() == [True] * 6 + [False] * 3
    assert told[-1] == (9, 9)
    assert judged.seconds > 0
