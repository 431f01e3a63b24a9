import json

import numpy as np
import pytest

from benchmarks import decision_table, markdown, summary
from benchmarks.rows import Key, Marks, Row, Rows

STRATEGIES = ("linear_top", "linear_stages", "finetune_few", "finetune_many")
ADVICE = {
    "strategy": "finetune_few",
    "size": {"verdict": "lots", "confidence": 0.9, "images": 2000, "per_class": 200},
    "similarity": {
        "verdict": "similar",
        "confidence": 0.8,
        "bn_shift": 0.1,
        "stage_profile": [{"accuracy": 0.5, "standard_error": 0.1}],
    },
}


def row(method: str, test: str, validation: str = "0101", seed: int = 0) -> Row:
    budget = 60.0 if method.startswith("finetune") else None
    marks = {"test": Marks(test, "t"), "validation": Marks(validation, f"v{seed}")}
    key = Key("flowers", "builtin", method, seed, budget)
    return Row(key, {"ended": "budget" if budget else "closed form"}, 1.5, 900, marks, "abc")


def advice(strategy: str = "finetune_few") -> Row:
    answer = {**ADVICE, "strategy": strategy}
    return Row(Key("flowers", "builtin", "advise"), answer, 3.0, 800, {}, "abc")


def four(few: str = "1" * 10, validation: str = "0101") -> list[Row]:
    return [
        row("linear_top", "1111100000"),
        row("linear_top", "1111000001", seed=1),
        row("linear_stages", "1111111000"),
        row("finetune_few", few, validation),
        row("finetune_many", "1111111100"),
    ]


@pytest.fixture
def summed(tmp_path):
    def work(*kept: Row, expects: str = "similar to ImageNet, lots of data."):
        (tmp_path / "DATASET.md").write_text(f"# Flowers\n\n**Expected quadrant:** {expects} So.\n")
        rows = Rows(tmp_path / "runs.jsonl")
        for one in kept:
            rows.add(one)
        keys = [one.key for one in kept]
        return summary.summarise({"flowers": (tmp_path, keys)}, rows)

    return work


def test_rows_survive_a_broken_line_and_the_last_of_a_key_counts(tmp_path):
    file = tmp_path / "runs.jsonl"
    rows = Rows(file)
    rows.add(row("linear_top", "1100"))
    rows.add(row("finetune_few", "1110"))
    rows.add(row("linear_top", "1111"))
    with file.open("a") as unfinished:
        unfinished.write('{"key": {"dataset": "flo')
    again = Rows(file)
    assert len(list(again)) == 2
    found = again[row("linear_top", "").key]
    assert found == row("linear_top", "1111")
    assert found.marks["test"].array.tolist() == [True] * 4
    assert Key("flowers", "builtin", "finetune_few", 0, 90.0) not in again  # another budget


def test_regret_is_best_of_four_minus_advised(summed):
    (cell,) = summed(advice("linear_stages"), *four(few="1111111110"))["sets"]
    assert cell["best"] == "finetune_few"
    assert cell["regret"]["advised"]["points"] == pytest.approx(20.0)
    assert cell["regret"]["always_linear_top"]["points"] == pytest.approx(90 - 50)
    assert cell["regret"]["always_finetune_many"]["points"] == pytest.approx(10.0)
    assert cell["methods"]["linear_top"]["by_seed"] == {0: 0.5, 1: 0.5}
    assert cell["methods"]["linear_top"]["low"] < 0.5 < cell["methods"]["linear_top"]["high"]


def test_without_all_four_there_is_no_regret(summed):
    answer = summed(advice(), *four()[:-1])
    assert answer["sets"][0]["regret"] == {}
    assert answer["sets"][0]["best"] is None
    assert answer["means"]["builtin"]["accuracy"]["linear_stages"] == {"accuracy": 0.7, "n": 1}


def test_auto_ships_fine_tuning_only_where_validation_prefers_it(summed):
    (cell,) = summed(advice(), *four(validation="0101"))["sets"]
    assert cell["shipped_by_auto"] == "linear_stages"  # as good: not better
    assert cell["regret"]["auto"]["points"] == pytest.approx(30.0)
    assert cell["regret"]["advised"]["points"] == 0.0
    (cell,) = summed(advice(), *four(validation="1111"))["sets"]
    assert cell["shipped_by_auto"] == "finetune_few"
    assert cell["regret"]["auto"]["points"] == 0.0


def test_verdicts_are_compared_with_what_the_data_set_says(summed):
    answer = summed(advice(), *four())
    assert answer["sets"][0]["advice"]["agrees"] is True
    assert answer["means"]["builtin"]["verdicts_right"] == 1
    different = summed(advice(), *four(), expects="different from ImageNet, lots of data.")
    assert different["sets"][0]["advice"]["agrees"] is False
    assert different["means"]["builtin"]["verdicts_right"] == 0
    silent = summed(advice(), *four(), expects="unknown.")
    assert silent["sets"][0]["advice"]["agrees"] is None
    assert silent["means"]["builtin"]["verdicts_expected"] == 0


def test_real_descriptions_are_understood(shared):
    found = {path.name: summary.expected(path) for path in (shared / "datasets").iterdir()}
    assert found["ants-bees"] == {"similarity": "similar", "size": "little"}
    assert found["clothing"] == {"similarity": "similar", "size": "lots"}
    assert found["eurosat"] == {"similarity": "different", "size": "lots"}
    assert found["steel-defects"] == {"similarity": "different", "size": "little"}


def test_runs_on_different_pictures_are_not_compared(summed):
    changed = row("finetune_many", "1111111100")
    marks = {**changed.marks, "test": Marks("1111111100", "other")}
    with pytest.raises(ValueError, match="different pictures"):
        summed(advice(), *four()[:-1], Row(changed.key, changed.answer, 1.0, 1, marks))


def test_the_table_shows_what_was_advised_and_is_json_before(summed):
    answer = summed(advice(), *four())
    json.dumps(answer, allow_nan=False)
    head, rule, line, means = markdown.table(answer).splitlines()
    assert head.count("|") == rule.count("|") == line.count("|") == means.count("|")
    assert "**100.0 (72.2-100.0)***" in line  # advised, and its time was up
    assert "similar (80 %), lots (90 %)" in line
    assert "1 of 1" in means


def test_marks_follow_the_labels():
    from transfer.dataset.index import ImageIndex, Picture

    labels = ["bee", "ant", "bee"]
    pictures = tuple(
        Picture(str(i), label, "test", f"{i}.png", f"{i:064d}", 8, 8)
        for i, label in enumerate(labels)
    )
    index = ImageIndex(None, "d", pictures)  # pyright: ignore[reportArgumentType]
    answers = np.array([[0.9, 0.1], [0.8, 0.2]])  # ant, bee
    assert Marks.of(index, (0, 1), answers).right == "01"
    assert Marks.of(index, (0, 1), answers).pictures != Marks.of(index, (2, 1), answers).pictures
    with pytest.raises(ValueError, match="answers"):
        Marks.of(index, (0,), answers)


def test_data_sets_are_found_at_or_below_a_root(tmp_path):
    for name in ("one/train/a", "one/test/a", "two/train/a", "more/one/train/a", "more/one/test/a"):
        (tmp_path / name).mkdir(parents=True)
    found = decision_table.data_sets([tmp_path, tmp_path / "more" / "one"])
    assert found == {"one": tmp_path / "one", "more/one": tmp_path / "more" / "one"}
    with pytest.raises(SystemExit, match="train"):
        decision_table.data_sets([tmp_path / "two"])
