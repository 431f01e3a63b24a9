"""The page of results: what it says and shows of no run, good ones, bad ones and damaged ones."""

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import datasets, figures, matrix, verdicts, ways, workshop
from app.matrix import Cell
from tests.app.conftest import Store, markup, press, running, title, words
from transfer import store
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex, Picture
from transfer.evaluation import evaluate
from transfer.runs import Run

_AGAIN = "Put labels and classes right on the page Mend"


def judged(run_id: str, said: list[int], sure: float | list[float], part: str = "test") -> Run:
    """Let a finished run have answered otherwise: class `said[i]` of the i-th picture."""
    run = workshop.run(run_id)
    kept = run.answers("test")
    assert kept is not None
    positions, _ = kept
    index = datasets.usable(run.config().dataset)
    numbers = {name: number for number, name in enumerate(index.classes)}
    labels = np.array([numbers[index.pictures[i].label] for i in positions])
    chances = np.broadcast_to(sure, len(said))
    probabilities = np.repeat((1 - chances[:, None]) / (len(numbers) - 1), len(numbers), axis=1)
    probabilities[np.arange(len(said)), said] = chances
    report = evaluate(probabilities, labels, index.classes).to_json()
    run.save_answers(**{part: (tuple(int(i) for i in positions), probabilities)})
    result = run.result()
    candidates = {**result["candidates"], result["shipped"]: report}
    test = report if part == "test" else None
    run.finish({**result, "candidates": candidates, "test_report": test})
    return run


def labels(run_id: str) -> list[int]:
    """The true classes of the test pictures of a run."""
    return [answer.truth for answer in figures.read(workshop.run(run_id)).answers]


def mistaken(finished: Store) -> Run:
    """A run that takes every picture of class 0 for class 1, the rest being right."""
    said = [1 if truth == 0 else truth for truth in labels(finished.run_id)]
    return judged(finished.run_id, said, 0.93)


def shown(page: Any, kind: str) -> list[tuple[str, str]]:
    """(file name, caption) of the pictures in the gallery of this kind."""
    gallery = re.findall(rf'<div class="gallery {kind}">(.*?)</div>', markup(page), re.S)
    figure = r'<img src="/api/pictures/[^"]+" alt="([^"]*)"[^>]*><figcaption>(.*?)</figcaption>'
    found = re.findall(figure, "".join(gallery), re.S)
    return [(html.unescape(alt), html.unescape(caption)) for alt, caption in found]


def plain(text: str) -> str:
    return re.sub("[\u2068\u2069]", "", text).replace("\u00a0", " ")


def test_without_a_run_it_says_what_would_be_here(open_page: Any) -> None:
    page = open_page("results")
    assert title(page) == "There are no results here yet."
    press(page, "fill")
    assert title(page) == "Show me what to tell apart."


def test_with_pictures_only_it_leads_to_the_networks(open_page: Any, fruit: str) -> None:
    page = press(open_page("results", data=fruit), "fill")
    assert title(page) == "Build on a network that can already see."


def test_while_it_learns_it_leads_to_the_training(open_page: Any, queued: Run) -> None:
    running(queued)
    page = open_page("results", run=queued.folder.name)
    assert title(page) == "It is still learning."
    assert "Fruit, first try" in words(page)
    press(page, "fill")
    assert page.query_params["run"] == queued.folder.name
    assert "Learning" in title(page)


def test_a_run_that_was_stopped_has_no_results(open_page: Any, queued: Run) -> None:
    workshop.stop(queued)
    page = open_page("results", run=queued.folder.name)
    assert title(page) == "This training did not come to its end."
    press(page, "fill")
    assert title(page) == "Stopped."


def test_a_finished_run(open_page: Any, finished: Store) -> None:
    page = open_page("results", run=finished.run_id)
    found = figures.read(workshop.run(finished.run_id))
    assert title(page) == verdicts.title(found)
    text = plain(words(page))
    assert "First: how far to trust it" in text
    assert "Clearly better than guessing" in text
    assert verdicts.origin(workshop.run(finished.run_id).result()) in words(page)
    assert "Its pictures are those of ‘Fruit’." in words(page)
    for name in found.classes:
        assert f'<span dir="auto" class="class-name">{name}</span>' in markup(page)
    first = matrix.first(found, [0, 1, 2])
    assert len(shown(page, "opened")) == len(found.cell(first.truth, first.said)) > 0
    press(page, "next")
    assert page.query_params["run"] == finished.run_id


def test_every_number_and_picture_has_its_why(open_page: Any, finished: Store) -> None:
    page = open_page("results", run=finished.run_id)
    heads = re.findall(r"<h2>(.*?)</h2>", markup(page))
    whys = [one for one in page.get("popover") if one.proto.popover.label == "Why?"]
    assert len(whys) == len(heads) + 1  # and one beside the accuracy
    told = words(page)
    for term in (
        "confusion matrix",
        "recall",
        "precision",
        "95 % Wilson interval",
        "test pictures",
    ):
        assert term in told


def test_a_run_without_mistakes_says_what_that_means(open_page: Any, finished: Store) -> None:
    run = judged(finished.run_id, labels(finished.run_id), 0.99)
    page = open_page("results", run=finished.run_id)
    assert "It is right on all" in title(page)
    assert verdicts.no_mistakes(figures.read(run)) in words(page)
    assert shown(page, "large") == []
    assert "Try it on other pictures" in words(page)
    assert _AGAIN not in words(page)


def test_mistakes_are_shown_with_their_words(open_page: Any, finished: Store) -> None:
    run = mistaken(finished)
    found = figures.read(run)
    page = open_page("results", run=finished.run_id)
    wrong = shown(page, "large")
    assert [name for name, _ in wrong] == [answer.name for answer in found.mistakes]
    said, label = found.classes[1], found.classes[0]
    file = found.mistakes[0].name.rpartition("/")[2]
    assert plain(wrong[0][1]) == f"said ‘{said}’\nlabel ‘{label}’\n93 % sure\n{file}"
    assert "Check the labels" in words(page)
    assert _AGAIN in words(page)
    links = [one.proto for one in page.get("page_link")]
    for words_of_it, target in ((_AGAIN, "mend"), ("Add pictures on the page Data", "")):
        (link,) = [one for one in links if one.label == words_of_it]
        assert (link.page, link.query_string) == (target, f"data={finished.digest}")
    assert "put them right on the page Mend" in words(page)
    assert f"Tell ‘{label}’ from ‘{said}’" in plain(words(page))


def test_the_most_frequent_mistake_is_open_and_the_list_opens_others(
    open_page: Any, finished: Store
) -> None:
    run = mistaken(finished)
    found = figures.read(run)
    page = open_page("results", run=finished.run_id)
    (choice,) = page.selectbox
    assert choice.value == "0-1"
    counts = [len(found.cell(*cell)) for cell in ((0, 1), (1, 1), (2, 2))]
    names = found.classes
    assert [plain(option) for option in choice.options] == [
        f"‘{names[0]}’ called ‘{names[1]}’ ({counts[0]})",
        f"‘{names[1]}’, found ({counts[1]})",
        f"‘{names[2]}’, found ({counts[2]})",
    ]
    opened = [(a.name, "93\u00a0% sure") for a in found.cell(0, 1)]
    assert shown(page, "opened") == opened
    choice.select("2-2").run()
    assert [name for name, _ in shown(page, "opened")] == [a.name for a in found.cell(2, 2)]


def test_a_cell_that_is_gone_gives_way_to_the_first(open_page: Any, finished: Store) -> None:
    mistaken(finished)
    page = open_page("results", run=finished.run_id)
    assert page.selectbox[0].value == "0-1"
    judged(finished.run_id, labels(finished.run_id), 0.99)  # as if it were trained anew
    page.run()
    assert not page.exception
    assert page.selectbox[0].value == "0-0"
    assert "that it found" in words(page)


def test_a_figure_that_flatters_says_so(open_page: Any, finished: Store) -> None:
    judged(finished.run_id, labels(finished.run_id), 0.99, part="validation")
    page = open_page("results", run=finished.run_id)
    assert "held back from its learning" in title(page)
    assert "A little too kind" in words(page)
    assert verdicts.ABOUT_VALIDATION.split("\n")[1] in words(page)


def test_what_is_not_better_than_guessing_is_said_with_a_sign(
    open_page: Any, finished: Store
) -> None:
    judged(finished.run_id, [0] * len(labels(finished.run_id)), 0.5)
    page = open_page("results", run=finished.run_id)
    assert '<p class="verdict poor">✗ Not clearly better than guessing</p>' in markup(page)


def test_a_deleted_data_set_leaves_the_figures(open_page: Any, finished: Store) -> None:
    run = mistaken(finished)
    before = title(open_page("results", run=finished.run_id))
    datasets.delete(run.config().dataset)
    page = open_page("results", run=finished.run_id)
    assert title(page) == before
    assert "was deleted" in page.info[0].value
    assert '<table class="matrix' in markup(page)
    assert "<button" not in markup(page)
    assert page.selectbox.len == 0
    assert shown(page, "large") == shown(page, "opened") == []
    assert "Class by class" in words(page)


def test_an_older_run_leaves_the_figures(open_page: Any, finished: Store) -> None:
    (workshop.run(finished.run_id).folder / "answers.npz").unlink()
    page = open_page("results", run=finished.run_id)
    assert "older version" in page.info[0].value
    assert '<table class="matrix' in markup(page)


def test_a_damaged_run_is_told_in_a_sentence(open_page: Any, finished: Store) -> None:
    (workshop.run(finished.run_id).folder / "result.json").write_text("{", encoding="utf-8")
    page = open_page("results", run=finished.run_id)
    assert "damaged" in page.error[0].value


@pytest.mark.parametrize(("number", "folded"), [(2, False), (3, True)])
def test_remarks_of_the_training_are_shown_and_many_are_folded(
    open_page: Any, finished: Store, number: int, folded: bool
) -> None:
    run = workshop.run(finished.run_id)
    run.finish({**run.result(), "warnings": [f"Remark {i}." for i in range(number)]})
    page = open_page("results", run=finished.run_id)
    assert [one.value for one in page.warning] == ([] if folded else ["Remark 0.", "Remark 1."])
    assert (f"{number} remarks on the pictures" in [e.label for e in page.expander]) is folded
    assert "Remark 1." in words(page)


def test_what_was_tried_and_what_was_kept(open_page: Any, finished: Store) -> None:
    run = workshop.run(finished.run_id)
    result = run.result()
    tried = {**result["candidates"], "finetune_few": result["candidates"]["linear_top"]}
    run.finish({**result, "requested": "finetune_few", "candidates": tried})
    choice = verdicts.choice(run.result())
    assert choice is not None
    assert choice in words(open_page("results", run=finished.run_id))


def test_what_each_way_would_have_given(open_page: Any, finished: Store) -> None:
    run = workshop.run(finished.run_id)
    result = run.result()
    assert "What each way would have given" not in words(open_page("results", run=finished.run_id))
    share = result["test"]
    compared = [
        {"strategy": cell.strategy, "validation": share, "seconds": 30.0, "note": None,
         "test": None if cell.strategy == "finetune_many" else share}
        for cell in ways.CELLS
    ]  # fmt: skip
    compared[3]["note"] = "There was no time <left>."
    run.finish({**result, "comparison": compared, "advised": "linear_top", "requested": "all"})
    page = open_page("results", run=finished.run_id)
    assert "What each way would have given" in words(page)
    table = markup(page).split('<table class="plain ways">')[1].split("</table>")[0]
    for cell in ways.CELLS:
        assert html.escape(cell.title) in table
    assert table.count('class="dot"') == 3
    assert "There was no time &lt;left&gt;." in table
    assert "The advice was “Read the network's last impression”, and it was followed." in words(
        page
    )


def test_the_figures_are_made_when_somebody_looks(open_page: Any, finished: Store) -> None:
    page = open_page("results", run=finished.run_id)
    before = page.dataframe.len
    page.session_state[f"figures_{finished.run_id}"] = True
    page.run()
    assert not page.exception
    assert page.dataframe.len == before + 2
    classes, confusion = (table.value for table in page.dataframe[-2:])
    found = figures.read(workshop.run(finished.run_id))
    assert classes["recall"].tolist() == [row["recall"] for row in figures.per_class(found)]
    assert confusion.to_numpy().tolist() == found.confusion.tolist()
    every = [one.proto.label for one in page.get("download_button")]
    labels_ = [label for label in every if label.endswith("(CSV)")]
    assert labels_ == ["Classes (CSV)", "Confusion matrix (CSV)", "Every answer (CSV)"]


@pytest.fixture
def crowd(home: Path) -> Run:
    """A run on 40 classes with 25 test pictures each, of which every tenth is mistaken."""
    names = [f"class {i:02d} <b>חתול & 猫</b>" for i in range(40)]
    pictures = tuple(
        Picture(f"test/{name}/{i:03d}.jpg", name, "test", "none.png", f"{i:064d}", 8, 8)
        for name in names
        for i in range(25)
    )
    index = ImageIndex(home / "datasets" / "crowd", "crowd", pictures)
    store.write_json(index.root / "index.json", index.to_json())
    truth = np.repeat(np.arange(40), 25)
    said = np.where(np.arange(1000) % 10 == 9, (truth + 1) % 40, truth)
    probabilities = np.full((1000, 40), 0.1 / 39)
    probabilities[np.arange(1000), said] = 0.9
    report = evaluate(probabilities, truth, index.classes).to_json()
    run = workshop.run("crowd")
    run.start(RunConfig("crowd", "builtin", 64))
    run.write("split", {"train": [], "val": [], "test": list(range(1000))})
    run.save_answers(test=(tuple(range(1000)), probabilities))
    run.model_path.write_bytes(b"")
    run.finish(
        {"requested": "linear_top", "shipped": "linear_top", "backbone": "builtin",
         "candidates": {"linear_top": report}, "test_report": report, "warnings": [],
         "splits": {"train": 0, "val": 0, "test": 1000}, "seconds": 9.0, "ended": "closed form"}
    )  # fmt: skip
    return run


def test_many_classes_and_pictures_are_shown_in_parts(open_page: Any, crowd: Run) -> None:
    page = open_page("results", run="crowd")
    assert len(shown(page, "large")) == 12
    assert markup(page).count('<tr><th scope="row">') == 12
    press(page, "more_mistakes:crowd")
    assert len(shown(page, "large")) == 60
    press(page, "more_classes:crowd")
    assert markup(page).count('<tr><th scope="row">') == 40
    page.selectbox[0].select("5-5").run()
    assert len(shown(page, "opened")) == 12
    press(page, "more_opened:crowd:5-5")
    assert len(shown(page, "opened")) == len(figures.read(crowd).cell(5, 5)) > 12


def test_names_are_text_and_never_markup(open_page: Any, crowd: Run) -> None:
    page = open_page("results", run="crowd")
    assert "<b>חתול" not in markup(page)
    assert "&lt;b&gt;חתול &amp; 猫&lt;/b&gt;" in markup(page)


def test_of_many_classes_those_confused_most_are_drawn(crowd: Run) -> None:
    found = figures.read(crowd)
    few, every = matrix.shown(found, every=False), matrix.shown(found, every=True)
    assert (len(few), sorted(every)) == (matrix.FIRST, list(range(40)))
    wrong = found.confusion.sum(0) + found.confusion.sum(1) - 2 * found.confusion.diagonal()
    assert min(wrong[few]) >= max(np.delete(wrong, few))
    open_ = matrix.first(found, few)
    assert {open_.truth, open_.said} <= set(few)


def test_the_matrix_has_a_button_for_each_cell_with_pictures(crowd: Run) -> None:
    found = figures.read(crowd)
    table = matrix.table(found, list(range(40)))
    cells = re.findall(r'data-cell="(\d+)-(\d+)"[^>]*>([\d,]+)<', table)
    there = {(int(i), int(j)): int(n) for i, j, n in cells}
    expected = {
        (int(i), int(j)): int(found.confusion[i, j]) for i, j in np.argwhere(found.confusion)
    }
    assert there == expected
    assert "<b>" not in table
    name = html.escape(found.classes[3])
    assert table.count(f'title="{name}') == 2  # above its column and before its row


def test_a_cell_tells_what_it_holds(crowd: Run) -> None:
    found = figures.read(crowd)
    one = Cell(0, 1)
    count = int(found.confusion[0, 1])
    first, second = (verdicts.quoted(name) for name in found.classes[:2])
    assert matrix.in_words(found, one) == f"{count} pictures of {first} that it called {second}"
    assert matrix.in_words(found, Cell(0, 0)) == f"{25 - count} pictures of {first} that it found"


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "a-b", "-1-0", "0-7", "40-40", "1-1-1", None, "²-0"]
)
def test_only_cells_with_pictures_are_cells(crowd: Run, text: object) -> None:
    assert matrix.cell(text, figures.read(crowd)) is None


def test_a_cell_is_read_as_it_was_written(crowd: Run) -> None:
    assert matrix.cell(str(Cell(3, 4)), figures.read(crowd)) == Cell(3, 4)
