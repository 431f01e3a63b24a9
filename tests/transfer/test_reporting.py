"""The report and the model card of a finished run: whole, harmless, and with its figures."""

import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pypdf
import pytest
from PIL import Image

from transfer.errors import SettingsError
from transfer.evaluation import wilson
from transfer.reporting import about_trust, drawing, material, model_card, report
from transfer.reporting.document import Document, Photos
from transfer.reporting.numbers import interval, percent
from transfer.runs import Run

_EVIL = '<script>alert("x")</script> & #strong[x] | `y`'


@pytest.fixture
def run(trained, monkeypatch, tmp_path) -> Run:
    """A finished run that a test may change, with its data set in the store."""
    folder, home = trained
    monkeypatch.setenv("TRANSFER_HOME", str(home))
    shutil.copytree(folder, tmp_path / "run")
    return Run(tmp_path / "run")


def _read(pdf: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def _changed(run: Run, **more: object) -> Run:
    run.write("result", {**run.result(), **more})
    return run


class _Reader(HTMLParser):
    """Collects what a page would load, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href")]


def test_the_report_holds_the_sentence_the_figures_and_all_parts(run):
    made, result = report.document(run), run.result()
    titles = [section.title for section in made.sections]
    assert titles[:2] == ["How good it is", "What it takes for what"]
    for title in ("Examples", "The pictures", "What may be wrong with them", "How it learned",
                  "The advice and its evidence", "How sure it is, and whether rightly",
                  "Versions and seeds"):  # fmt: skip
        assert title in titles
    page = report.as_html(made).decode()
    paper = _read(report.as_pdf(made))
    test = result["test"]
    assert f"{test['n']} pictures it has never seen" in made.title
    assert percent(test["accuracy"], test["n"]) in made.title
    for text in (page, paper):
        assert made.title in text
        for name in result["classes"]:
            assert name in text
        right = wilson(int(np.trace(material.read(run).confusion)), test["n"])
        assert interval(right).split(" (")[0] in text
        assert run.read("versions")["keras"] in text
        assert result["advised"] in text


def test_the_page_is_one_file_without_scripts(run):
    page = report.as_html(report.document(run)).decode()
    reader = _Reader()
    reader.feed(page)
    assert not {"script", "link", "iframe", "object", "form"} & set(reader.tags)
    assert all(one.startswith(("data:image/jpeg;base64,", "#")) for one in reader.loaded)
    assert any(one.startswith("data:") for one in reader.loaded)
    assert "svg" in reader.tags
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)
    assert len(page) < 1_500_000


def test_names_are_text_and_never_markup(run):
    run.write("about", {"name": _EVIL, "created": 0})
    _changed(run, warnings=[_EVIL])
    made = report.document(run)
    page = report.as_html(made).decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "#strong[x]" in _read(report.as_pdf(made))
    card = model_card.text(run)
    assert not re.search(r"(?<!\\)<script", card)
    assert "\\<script\\>" in card


def test_pictures_are_small_and_show_where_it_looked(run):
    red = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 255)).save(red, "PNG")
    (photos,) = [
        block
        for section in report.document(run, lambda _: red.getvalue()).sections
        if section.title == "Examples"
        for block in section.blocks
        if isinstance(block, Photos)
    ][:1]
    with Image.open(io.BytesIO(photos.photos[0].jpeg)) as picture:
        assert max(picture.size) <= 192
        pixel = picture.getpixel((5, 5))
        assert isinstance(pixel, tuple)
        assert pixel[0] > 240
        assert pixel[1] < 15


def test_without_its_pictures_it_still_reports(run, monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFER_HOME", str(tmp_path / "empty"))
    titles = [section.title for section in report.document(run).sections]
    assert "How good it is" in titles
    assert "Examples" not in titles
    assert model_card.text(run).startswith("# ")


def test_a_check_of_the_pictures_is_told(run, trained, monkeypatch, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(trained[1] / "datasets", home / "datasets")
    monkeypatch.setenv("TRANSFER_HOME", str(home))
    found = {"leaks": [], "conflicts": [], "shortcuts": [], "number": None, "suspect_labels": [],
             "duplicates": [{"files": ["a", "b"]}]}  # fmt: skip
    place = home / "health" / f"{run.config().dataset}-x" / "health.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(found))
    page = report.as_html(report.document(run)).decode()
    assert "1 picture is more than once" in page


def test_an_ensemble_and_its_calibration_are_told_where_there_are_any(run):
    members = [{"run": "runs/one", "weight": 0.5, "accuracy": 0.8},
               {"run": "runs/two", "weight": 0.5, "test": wilson(8, 10).to_json()}]  # fmt: skip
    _changed(run, ensemble={"members": members, "gain": 0.03},
             calibration={"temperature": 1.25, "after": {"nll": 0.25}})  # fmt: skip
    made = report.document(run)
    assert "The ensemble" in [section.title for section in made.sections]
    page = report.as_html(made).decode()
    for words in ("two", interval(wilson(8, 10)), "1.25", "after, NLL", "80 %"):
        assert words in page


def test_what_keeps_it_silent_is_told_in_words(run):
    scores = {"nll": 0.5, "brier": 0.25, "ece": 0.125, "n": 12}
    share = wilson(9, 12).to_json()
    answered = {"share": share, "right": wilson(8, 9).to_json()}
    run.write("calibration", {
        "temperature": 0.5, "fitted_on": "held_out", "pictures": 30, "helped": True,
        "indicative": True, "chosen_on": 30,
        "parts": {"test": {"before": scores, "after": scores | {"nll": 0.375}}},
        "answering": [
            {"target": 0.95, "threshold": 0.75, "expected": answered, "test": answered},
            {"target": 0.99, "threshold": 2.0, "expected": answered, "test": None},
        ],
    })  # fmt: skip
    run.write("refusal", {"keeps": 0.95, "pictures": 30,
                          "validation": {"pictures": 12, "refused": 1}})  # fmt: skip
    seen = {"views": 5, "milliseconds": 131.1, "accuracy": share, "p": 1.0,
            "gain": -0.02, "low": -0.08, "high": 0.03}  # fmt: skip
    kinds = [seen | {"kind": kind} for kind in ("none", "ten-crops")]
    run.write("test_time", {"part": "test", "pictures": 12, "mirror": False, "kinds": kinds})
    page = report.as_html(report.document(run)).decode()
    for words in ("0.500 → 0.375", interval(wilson(8, 9)), "it cannot be promised",
                  "12 validation pictures, 1 was refused", "ten crops",
                  "-2.0 (-8.0 to +3.0)"):  # fmt: skip
        assert words in page
    for raw in ("indicative", "helped", "parts, test", "held_out"):
        assert raw not in page


def test_a_fine_tuning_has_its_curves(run):
    rows = [{"phase": "fine_tuning", "epoch": i, "loss": 1 / (i + 1), "val_loss": 0.5,
             "accuracy": 0.5 + i / 10, "val_accuracy": None} for i in range(4)]  # fmt: skip
    run.write("history", rows)
    page = report.as_html(report.document(run)).decode()
    assert "loss over the epochs" in page
    assert page.count("<polyline") >= 3


def test_how_right_it_is_when_it_is_so_sure():
    sure = np.array([0.55, 0.58, 0.95, 0.97, 1.0])
    bins = about_trust.binned(sure, np.array([True, False, True, True, True]))
    assert [(round(x, 3), one.accuracy, one.n) for x, one in bins] == [
        (0.565, 0.5, 2), (0.973, 1.0, 3)
    ]  # fmt: skip


def test_a_matrix_of_any_size_is_drawn():
    for size in (2, 5, 30):
        svg = drawing.confusion(np.eye(size, dtype=int) * 3, [f"class {i}" for i in range(size)])
        assert svg.count(">3</text>") == size
    assert drawing.curves([drawing.Line("none", [])], "x", "y") == ""


def test_the_card_says_what_one_must_know(run):
    card, result = model_card.text(run), run.result()
    for words in ("What it is for", "What it cannot do", "always names one of its classes",
                  "Licence", "Seed 0", "95 % Wilson intervals", run.config().dataset):  # fmt: skip
        assert words in card
    for name in result["classes"]:
        assert f"`{name}`" in card
    assert interval(material.read(run).overall) in card


def test_the_command(run, command, tmp_path):
    for name in ("report.html", "report.pdf"):
        status, answer, words = command("report", run.folder, "--to", tmp_path / name)
        assert status == 0
        assert answer["sentence"] in words
        assert (tmp_path / name).stat().st_size == answer["bytes"]
    status, refused, _ = command("report", run.folder, "--to", tmp_path / "report.doc")
    assert status == 2
    assert "report.pdf" in refused["error"]


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="HTML or a PDF"):
        report.write(Document("", "", ()), Path(tmp_path / "x.txt"))
