"""The results in words: exact sentences, and which advice follows from which figures."""

from typing import Any

import numpy as np
import pytest

from app import verdicts
from app.figures import Answer, Figures
from app.verdicts import Step
from transfer.evaluation import wilson

CLASSES = ("cat", "dog", "hen")


def plain(text: str | None) -> str:
    """Take out what only a typesetter sees: isolates and no-break spaces."""
    assert text is not None
    return text.replace("\u2068", "").replace("\u2069", "").replace("\u00a0", " ")


def figures(
    confusion: list[list[int]],
    part: str = "test",
    taught: tuple[int, ...] | None = None,
    sure: tuple[float, ...] = (),
) -> Figures:
    """Figures of a confusion matrix; `sure`: the probabilities of some mistakes."""
    answers = tuple(Answer(f"{i}.jpg", "0", 0, 1, p) for i, p in enumerate(sure))
    classes = CLASSES[: len(confusion)]
    return Figures(part, classes, np.array(confusion), "d", answers, None, taught)


def steps(found: Figures) -> list[str]:
    return [plain(step.headline) for step in verdicts.next_steps(found)]


def step(found: Figures, headline: str) -> Step:
    (one,) = (one for one in verdicts.next_steps(found) if plain(one.headline) == headline)
    return one


@pytest.mark.parametrize(
    ("share", "n", "words"),
    [
        (0.5, 10, "50 %"),
        (0.9449, 999, "94 %"),
        (0.9449, 1000, "94.5 %"),
        (0, 10, "0 %"),
        (1, 10, "100 %"),
        (0.996, 250, "99.6 %"),
        (0.0004, 250, "0.04 %"),
        (0.99999, 100_000, "99.999 %"),
    ],
)
def test_percent_shows_the_digits_that_the_pictures_carry(share: float, n: int, words: str) -> None:
    assert plain(verdicts.percent(share, n)) == words


def test_a_number_stays_on_the_line_of_its_sign() -> None:
    assert verdicts.percent(0.5, 10) == "50\u00a0%"


def test_names_do_not_turn_the_sentence_around() -> None:
    assert verdicts.quoted("חתול") == "‘\u2068חתול\u2069’"


@pytest.mark.parametrize(
    ("confusion", "part", "sentence"),
    [
        ([[40, 10], [3, 100]], "test",
         "It is right on 92 % of 153 pictures it has never seen (between 86 and 95 %)."),
        ([[4, 1], [0, 5]], "test",
         "It is right on 9 of 10 pictures it has never seen (between 60 and 98 %)."),
        ([[20, 0], [0, 26]], "test",
         "It is right on all 46 pictures it has never seen (between 92 and 100 %)."),
        ([[0, 5], [5, 0]], "test",
         "It is right on none of 10 pictures it has never seen (between 0 and 28 %)."),
        ([[1, 0], [0, 0]], "test",
         "It is right on the only picture it has never seen (between 21 and 100 %)."),
        ([[20, 5], [2, 10]], "validation",
         "It is right on 81 % of 37 pictures held back from its learning (between 66 and 91 %)."),
        ([[4500, 10], [300, 5190]], "test",
         "It is right on 96.9 % of 10,000 pictures it has never seen (between 96.5 and 97.2 %)."),
    ],
)  # fmt: skip
def test_title(confusion: list[list[int]], part: str, sentence: str) -> None:
    assert plain(verdicts.title(figures(confusion, part))) == sentence


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "over 99 %"), (0.9951, "over 99 %"), (0.994, "99 %"), (0.42, "42 %"), (0.006, "1 %"),
     (0.0049, "under 1 %"), (0.0, "under 1 %")],
)  # fmt: skip
def test_no_answer_to_one_picture_is_shown_as_certain(share: float, words: str) -> None:
    assert verdicts.probability(share) == words


def test_only_a_figure_without_test_pictures_is_too_kind() -> None:
    assert verdicts.too_kind(figures([[2, 0], [0, 2]])) is None
    assert "no test pictures" in plain(verdicts.too_kind(figures([[2, 0], [0, 2]], "validation")))


def test_guessing_is_the_largest_class_and_has_to_be_beaten_clearly() -> None:
    good = verdicts.guessing(figures([[63, 7], [13, 70]]))
    assert good.good
    assert plain(good.headline) == "Clearly better than guessing"
    assert plain(good.reason) == (
        "To answer ‘dog’ each time, the largest class, would be right on 83 of 153 (54 %)."
    )
    alike = verdicts.guessing(figures([[5, 1, 0], [0, 6, 0], [0, 0, 6]]))
    assert plain(alike.reason) == (
        "To answer always the same class would be right on 6 of 18 (33 %)."
    )
    two = verdicts.guessing(figures([[5, 1, 0], [0, 6, 0], [0, 0, 5]]))
    assert plain(two.reason).startswith(
        "To answer ‘cat’ each time, one of the largest classes, would be right on 6 of 17"
    )
    close = verdicts.guessing(figures([[8, 4], [3, 5]]))  # 65 % of 20, guessing 60 %
    assert (close.good, close.headline) == (False, "Not clearly better than guessing")


def result(asked: float, simple: float, shipped: str, **more: Any) -> dict[str, Any]:
    report = {"n": 40}
    return {
        "requested": "finetune_few",
        "shipped": shipped,
        "candidates": {
            "linear_top": {**report, "accuracy": simple},
            "finetune_few": {**report, "accuracy": asked},
        },
        **more,
    }


def test_choice_says_what_was_compared_and_kept() -> None:
    words = plain(verdicts.choice(result(0.75, 0.85, "linear_top")))
    assert words == (
        "Two ways were tried on the same 40 validation pictures. “Retrain its last part”, which"
        " you asked for, was right on 30 (75 %); the simpler “Read the network's last impression”"
        " on 34 (85 %). So the simpler one was kept."
    )
    words = plain(verdicts.choice(result(0.9, 0.85, "finetune_few")))
    assert words.endswith("So what you asked for was kept.")


@pytest.mark.parametrize(
    ("shipped", "kept"), [("linear_top", "the simpler one"), ("finetune_few", "what you asked for")]
)
def test_choice_between_equals_was_made_by_the_loss(shipped: str, kept: str) -> None:
    words = plain(verdicts.choice(result(0.85, 0.85, shipped)))
    assert f"Neither was right more often, so {kept} was kept" in words


@pytest.mark.parametrize("requested", ["auto", "all"])
@pytest.mark.parametrize(
    ("shipped", "says"),
    [("finetune_few", "It did better by more than chance easily makes, so it was kept."),
     ("linear_top", "so the simpler one was kept.")],
)  # fmt: skip
def test_what_became_of_an_advice_to_retrain(requested: str, shipped: str, says: str) -> None:
    made = result(0.9, 0.8, shipped, advised="finetune_few") | {"requested": requested}
    words = plain(verdicts.choice(made))
    assert words.startswith(
        "The advice was “Retrain its last part”. It and the simpler “Read the network's last"
        " impression” were tried on the same 40 validation pictures: the first was right on 36"
        " (90 %), the simpler one on 32 (80 %)."
    )
    assert words.endswith(says)


def test_what_became_of_an_advice_that_needs_no_comparison() -> None:
    report = {"n": 40, "accuracy": 0.9}
    made = {"requested": "auto", "advised": "linear_stages", "shipped": "linear_stages"}
    words = plain(verdicts.choice({**made, "candidates": {"linear_stages": report}}))
    assert words == "The advice was “Listen to several of its layers”, and it was followed."
    all_four = {"requested": "all", "advised": "finetune_many", "shipped": "linear_top"}
    words = plain(verdicts.choice({**all_four, "candidates": {"linear_top": report}}))
    assert "which was not finished; “Read the network's last impression” was kept." in words


def test_what_was_asked_for_is_not_explained_by_an_advice() -> None:
    """A named fine-tuning measures too, for what may be done to the pictures."""
    made = {"requested": "finetune_few", "advised": "linear_top", "shipped": "finetune_few"}
    assert verdicts.choice({**made, "candidates": {"finetune_few": {"n": 4}}}) is None


def test_no_choice_where_one_way_was_tried() -> None:
    report = {"n": 40, "accuracy": 0.9}
    tried = {"linear_top": report}
    alone = {"requested": "linear_top", "shipped": "linear_top", "candidates": tried}
    assert verdicts.choice(alone) is None


def test_origin_of_the_kept_model() -> None:
    made = {"backbone": "builtin", "seconds": 150.0, "ended": "patience"}
    splits = {"train": 168, "val": 36, "test": 0}
    words = verdicts.origin({**made, "shipped": "finetune_few", "splits": splits})
    assert words == (
        "It learned from 168 pictures; 36 pictures only helped to choose; none were left to test"
        " it. It builds on the built-in network. The learning took about 3 minutes. It ended when"
        " it got no better."
    )
    splits = {"train": 168, "val": 36, "test": 1234}
    words = verdicts.origin(
        {**made, "backbone": "MobileNetV2", "shipped": "linear_top", "splits": splits}
    )
    assert "helped to choose, and were learned from in the end; 1,234 tested it." in words
    assert "the network MobileNetV2" in words


def test_a_run_that_ended_in_an_unknown_way_says_nothing_of_it() -> None:
    splits = {"train": 1, "val": 1, "test": 1}
    made = {"backbone": "builtin", "seconds": 1.0, "ended": "new", "shipped": "linear_top"}
    assert verdicts.origin({**made, "splits": splits}).endswith("took a few seconds.")


def test_the_class_found_least_needs_pictures_where_it_had_few() -> None:
    found = figures([[5, 3, 0], [0, 200, 0], [0, 0, 200]], taught=(20, 300, 300))
    assert steps(found)[0] == "More pictures of ‘cat’"
    reason = plain(step(found, "More pictures of ‘cat’").reason)
    assert reason == "Only 5 of 8 were found, and there were just 20 pictures to learn from."


def test_fewer_than_the_others_had_is_few_too() -> None:
    found = figures([[150, 50, 0], [0, 200, 0], [0, 0, 200]], taught=(200, 300, 300))
    assert "More pictures of ‘cat’" in steps(found)


def test_the_class_found_least_is_to_be_looked_through_where_it_had_many() -> None:
    found = figures([[150, 50], [0, 200]], taught=(300, 300))
    assert steps(found) == ["Look through ‘cat’"]
    reason = plain(step(found, "Look through ‘cat’").reason)
    assert reason.startswith("Only 150 of 200 were found, though there were 300 pictures to learn")


def test_without_knowledge_of_the_training_pictures_the_advice_names_the_class_alone() -> None:
    found = figures([[150, 50], [0, 200]])
    reason = plain(step(found, "More pictures of ‘cat’").reason)
    assert reason == "Only 150 of 200 were found, the fewest of all."


def test_a_single_mistake_is_no_reason_for_more_pictures() -> None:
    assert steps(figures([[199, 1], [0, 200]])) == []


def test_the_pair_that_is_mistaken_most_in_both_directions() -> None:
    found = figures([[90, 6, 0], [5, 95, 0], [2, 0, 98]])
    reason = plain(step(found, "Tell ‘cat’ from ‘dog’").reason)
    assert reason.startswith("11 of the 13 mistakes take one for the other.")


def test_of_two_classes_no_pair_is_named() -> None:
    assert not any("Tell" in one for one in steps(figures([[90, 10], [10, 90]])))


def test_sure_mistakes_ask_for_a_look_at_the_labels() -> None:
    found = figures([[200, 3], [0, 200]], sure=(0.95, 0.9, 0.89))
    reason = plain(step(found, "Check the labels").reason)
    assert reason.startswith("2 mistakes were made with 90 % certainty or more.")
    assert "Check the labels" not in steps(figures([[200, 3], [0, 200]], sure=(0.89,)))
    reason = plain(step(figures([[200, 1], [0, 200]], sure=(0.9,)), "Check the labels").reason)
    assert reason.startswith("1 mistake was made")


def test_a_wide_interval_asks_for_more_pictures_to_test_by() -> None:
    found = figures([[18, 1], [1, 16]])
    assert steps(found) == ["More test pictures"]
    assert plain(step(found, "More test pictures").reason) == (
        "With 36 test pictures the true share may be anywhere from 82 to 98 %. Four times as many"
        " would about halve that range."
    )
    found = figures([[4, 0], [0, 4]])
    assert "anywhere from 68 to 100 %" in plain(step(found, "More test pictures").reason)
    found = figures([[18, 1], [1, 16]], "validation")
    assert steps(found) == ["More pictures to judge it by"]
    assert plain(step(found, steps(found)[0]).reason).startswith(
        "With 36 pictures to judge it by the true share"
    )


def test_what_is_not_better_than_guessing_says_so_first() -> None:
    found = figures([[8, 4], [5, 3]])
    assert steps(found)[0] == "First, more pictures"


def test_three_steps_at_most() -> None:
    found = figures([[3, 5, 0], [4, 4, 0], [4, 0, 4]], sure=(0.99,), taught=(9, 9, 9))
    assert steps(found) == [
        "First, more pictures",
        "More pictures of ‘cat’",
        "Tell ‘cat’ from ‘dog’",
    ]


def test_a_run_without_mistakes_is_to_be_tried_elsewhere() -> None:
    assert steps(figures([[200, 0], [0, 200]])) == ["Try it on other pictures"]
    assert steps(figures([[10, 0], [0, 10]])) == ["Try it on other pictures", "More test pictures"]


def test_no_mistakes_do_not_mean_that_it_is_never_wrong() -> None:
    low = wilson(46, 46).low
    words = plain(verdicts.no_mistakes(figures([[20, 0], [0, 26]])))
    assert "right on all 46 pictures" in words
    assert (
        f"wrong on up to {100 * (1 - low):.0f} % of new ones (right on {100 * low:.0f} %" in words
    )
