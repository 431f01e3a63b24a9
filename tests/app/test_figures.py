"""The figures of a run: counts, order, tables, and what is left when something is missing."""

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import figures
from app.figures import Answer, Figures, Pair
from transfer import store
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.errors import RunError
from transfer.evaluation import evaluate, wilson
from transfer.runs import Run

CLASSES = ("cat", "dog", "hen")
CONFUSION = np.array([[6, 2, 0], [1, 9, 0], [0, 0, 2]])


def drawn(confusion: np.ndarray = CONFUSION, classes: tuple[str, ...] = CLASSES) -> Figures:
    return Figures("test", classes, confusion, "d")


def answered(*answers: tuple[str, int, int, float]) -> Figures:
    """Figures of single answers: (name, truth, said, sure), with the rest spread evenly."""
    size = len(CLASSES)
    confusion = np.zeros((size, size), np.int64)
    probabilities = np.zeros((len(answers), size))
    for row, (_, truth, said, sure) in enumerate(answers):
        confusion[truth, said] += 1
        probabilities[row] = (1 - sure) / (size - 1)
        probabilities[row, said] = sure
    found = tuple(Answer(name, "0", truth, said, sure) for name, truth, said, sure in answers)
    return Figures("test", CLASSES, confusion, "d", found, probabilities)


def table(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")  # spreadsheets tell UTF-8 by it
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


def test_counts_the_right_answers() -> None:
    found = drawn()
    assert (found.right, found.pictures) == (17, 20)
    assert found.overall == wilson(17, 20)


def test_mistakes_come_surest_first_and_equally_sure_ones_by_name() -> None:
    found = answered(
        ("b", 0, 1, 0.7), ("right", 1, 1, 0.99), ("c", 0, 2, 0.9), ("a", 2, 1, 0.7),
        ("d", 0, 1, 0.4),
    )  # fmt: skip
    assert [one.name for one in found.mistakes] == ["c", "a", "b", "d"]
    assert [one.name for one in found.cell(0, 1)] == ["b", "d"]
    assert [one.name for one in found.cell(1, 1)] == ["right"]
    assert found.cell(1, 0) == ()


def test_mistaken_pairs_come_most_frequent_first_then_by_share() -> None:
    confusion = np.array([[6, 2, 0], [2, 96, 2], [0, 5, 5]])
    assert drawn(confusion).confused == (
        Pair(2, 1, 5, 10), Pair(0, 1, 2, 8), Pair(1, 0, 2, 100), Pair(1, 2, 2, 100)
    )  # fmt: skip
    assert figures.hits(np.array([[3, 1], [2, 0]])) == [Pair(0, 0, 3, 4)]


def test_confused_classes_stand_side_by_side_and_clear_ones_follow() -> None:
    confusion = np.diag([10, 10, 10, 10, 10, 10])
    confusion[0, 3] = 4  # 0 and 3, 1 and 5 are mistaken for each other; 2 and 4 never
    confusion[5, 1] = 6
    order = figures.order(confusion)
    assert sorted(order) == list(range(6))
    assert order[4:] == [2, 4]
    assert abs(order.index(0) - order.index(3)) == 1
    assert abs(order.index(1) - order.index(5)) == 1


def test_a_chain_of_confusions_is_laid_out_as_a_chain() -> None:
    confusion = np.diag([10, 10, 10, 10])
    for one, other, count in ((0, 2, 5), (2, 1, 4), (1, 3, 3)):
        confusion[one, other] = count
    assert figures.order(confusion) in ([0, 2, 1, 3], [3, 1, 2, 0])


@pytest.mark.parametrize("size", [2, 5, 40])
def test_order_is_a_permutation_whatever_is_confused(size: int) -> None:
    confusion = np.random.default_rng(size).poisson(0.5, (size, size))
    confusion[0] = 0  # a class without pictures
    assert sorted(figures.order(confusion)) == list(range(size))


def test_order_without_mistakes_is_that_of_the_classes() -> None:
    assert figures.order(np.diag([3, 4, 5])) == [0, 1, 2]


def test_class_rows_come_worst_first() -> None:
    rows = figures.class_rows(drawn())
    assert [row.name for row in rows] == ["cat", "dog", "hen"]
    cat = rows[0]
    assert cat.found == wilson(6, 8)
    assert cat.trusted == wilson(6, 7)
    assert (cat.right, cat.pictures, cat.named, cat.taught) == (6, 8, 7, None)


def test_class_rows_without_pictures_or_without_a_name_given() -> None:
    rows = figures.class_rows(drawn(np.array([[0, 0, 0], [0, 3, 0], [0, 2, 0]])))
    assert [row.name for row in rows] == ["hen", "dog", "cat"]
    hen, _, cat = rows
    assert hen.found == wilson(0, 2)
    assert (hen.trusted, hen.named) == (None, 0)
    assert (cat.found, cat.trusted, cat.pictures) == (None, None, 0)


def test_of_equal_shares_the_one_that_more_pictures_speak_for_comes_first() -> None:
    rows = figures.class_rows(drawn(np.diag([2, 9, 4])))
    assert [row.name for row in rows] == ["dog", "hen", "cat"]
    rows = figures.class_rows(drawn(np.array([[1, 1, 0], [0, 9, 0], [4, 0, 4]])))
    assert [row.name for row in rows] == ["hen", "cat", "dog"]


def test_largest_class_is_the_first_of_equal_ones() -> None:
    assert figures.largest_class(drawn()) == ("dog", 10)
    assert figures.largest_class(drawn(np.diag([3, 3, 3]))) == ("cat", 3)


def test_csv_of_the_classes() -> None:
    rows = table(figures.per_class_csv(drawn(np.array([[0, 0, 0], [0, 3, 1], [0, 0, 0]]))))
    assert rows[0][:5] == ["class", "pictures", "right", "called_so", "recall"]
    assert rows[1] == [
        "dog", "4", "3", "3", "0.75", "0.3006", "0.9544", "1.0", "0.4385", "1.0"
    ]  # fmt: skip
    assert ["hen", "0", "0", "1", "", "", "", "0.0", "0.0", "0.7935"] in rows
    assert ["cat", "0", "0", "0", "", "", "", "", "", ""] in rows


def test_csv_of_the_confusion_matrix_keeps_every_script() -> None:
    rows = table(figures.confusion_csv(drawn(CONFUSION, ("猫", "כלב", "a,b"))))
    assert rows[0] == ["label / answer", "猫", "כלב", "a,b"]
    assert rows[1:] == [["猫", "6", "2", "0"], ["כלב", "1", "9", "0"], ["a,b", "0", "0", "2"]]


def test_csv_of_the_answers() -> None:
    rows = table(figures.answers_csv(answered(("x/1.jpg", 0, 1, 0.9), ("2.jpg", 2, 2, 0.5))))
    assert rows[0][:5] == ["picture", "label", "answer", "right", "probability"]
    assert rows[0][5:] == [f"probability of {name}" for name in CLASSES]
    assert rows[1] == ["x/1.jpg", "cat", "dog", "no", "0.9000", "0.0500", "0.9000", "0.0500"]
    assert rows[2][:5] == ["2.jpg", "hen", "hen", "yes", "0.5000"]


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\ta"])
def test_no_name_becomes_a_formula(name: str) -> None:
    rows = table(figures.confusion_csv(drawn(CONFUSION, (name, "dog", "hen"))))
    assert rows[1][0] == rows[0][1] == f"'{name}"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run on 3 classes of 4 real pictures, judged by the last of each class, one mistaken."""
    colours = {"blue": 2, "green": 1, "red": 0}
    for number, (label, channel) in enumerate(colours.items()):
        (tmp_path / "set" / label).mkdir(parents=True)
        for i in range(4):
            pixels = np.full((40, 40, 3), 40 * i + number, np.uint8)
            pixels[:, :, channel] = 250
            Image.fromarray(pixels).save(tmp_path / "set" / label / f"{i}.png")
    index = library.import_dataset(tmp_path / "set")
    probabilities = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    return written(index, (3, 7, 11), probabilities)


def written(index: ImageIndex, judged: tuple[int, ...], probabilities: np.ndarray) -> Run:
    made = Run(store.home() / "runs" / "one")
    made.start(RunConfig(index.digest, "builtin", 64))
    labels = np.array([index.classes.index(index.pictures[i].label) for i in judged])
    report = evaluate(probabilities, labels, index.classes).to_json()
    left = [i for i in range(len(index.pictures)) if i not in judged]
    made.write("split", {"train": left[1:], "val": left[:1], "test": list(judged)})
    made.save_answers(test=(judged, probabilities), validation=(judged, probabilities))
    made.model_path.write_bytes(b"")
    result = {
        "test_report": report, "shipped": "linear_top", "candidates": {"linear_top": report}
    }  # fmt: skip
    made.finish(result)
    return made


def test_reads_the_answers_with_their_pictures(run: Run) -> None:
    found = figures.read(run)
    assert (found.part, found.classes, found.gone) == ("test", ("blue", "green", "red"), None)
    assert found.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    (wrong,) = found.mistakes
    assert (wrong.name, wrong.truth, wrong.said) == ("green/3.png", 1, 0)
    assert wrong.sure == pytest.approx(0.7)
    assert (store.home() / "datasets" / found.digest / "images" / f"{wrong.sha256}.png").is_file()


def test_counts_what_the_kept_model_learned_from(run: Run) -> None:
    assert figures.read(run).taught == (3, 3, 3)  # linear_top: the validation picture too
    run.finish({**run.result(), "shipped": "finetune_few"})
    assert figures.read(run).taught == (2, 3, 3)


def test_reads_again_only_after_a_change(run: Run) -> None:
    before = figures.read(run)
    assert figures.read(run) is before
    run.write("about", {"name": "new", "created": 1.0})
    assert figures.read(run) is not before


def test_takes_the_validation_pictures_where_there_was_no_test(run: Run) -> None:
    run.finish({**run.result(), "test_report": None})
    found = figures.read(run)
    assert (found.part, found.pictures, len(found.answers)) == ("validation", 3, 3)


def test_an_older_run_keeps_its_counts(run: Run) -> None:
    (run.folder / "answers.npz").unlink()
    found = figures.read(run)
    assert (found.pictures, found.answers, found.taught) == (3, (), None)
    assert found.gone is not None
    assert "train it again" in found.gone


def test_a_deleted_data_set_takes_the_pictures_and_leaves_the_counts(run: Run) -> None:
    before = figures.read(run)
    folder = store.home() / "datasets" / before.digest
    shutil.move(folder, folder.with_name("away"))
    found = figures.read(run)
    assert (found.right, found.pictures, found.answers) == (2, 3, ())
    assert found.gone is not None
    assert "deleted" in found.gone
    shutil.move(folder.with_name("away"), folder)
    assert len(figures.read(run).answers) == 3


def test_a_data_set_with_other_classes_shows_no_pictures(run: Run) -> None:
    index = store.home() / "datasets" / figures.read(run).digest / "index.json"
    value = store.read_json(index)
    for picture in value["pictures"]:
        picture["label"] = picture["label"].upper()
    store.write_json(index, value)
    found = figures.read(run)
    assert found.answers == ()
    assert found.gone is not None
    assert "not the one" in found.gone


def test_an_unfinished_run_is_an_error(run: Run) -> None:
    (run.folder / "result.json").unlink()
    with pytest.raises(RunError, match="not finished"):
        figures.read(run)
