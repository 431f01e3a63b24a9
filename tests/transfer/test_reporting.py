"""The report and the model card of a finished run: whole, harmless, and with its figures."""

import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pytest
from PIL import Image

from transfer.errors import SettingsError
from transfer.evaluation import wilson
from transfer.reporting import about_trust, drawing, material, model_card, report
from transfer.reporting.document import Document, Photos
from transfer.reporting.numbers import interval
from transfer.runs import Run
from transfer.wording import percent

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


def test_an_ensemble_is_told(run):
    def member(name: str, weight: float, right: int) -> dict[str, Any]:
        return {"name": name, "kind": "seed", "weight": weight, "test": wilson(right, 10).to_json(),
                "validation": None, "milliseconds": 12.3, "megabytes": 9.1}  # fmt: skip

    gain = {"points": 0.03, "low": -0.01, "high": 0.07, "p": 0.25, "only_ensemble": 4,
            "only_member": 1}  # fmt: skip
    members = [member("one", 0.25, 7), member("two", 0.75, 8), member("three", 0.0, 6)]
    _changed(run, ensemble={
        "members": members, "best": 1, "part": "test", "gain": gain, "milliseconds": 20.0,
        "megabytes": 10.0, "chosen_by": 40, "left_out": ["four"],
    })  # fmt: skip
    page = report.as_html(report.document(run)).decode()
    for words in ("two (best alone)", interval(wilson(8, 10)), "75 %", "+3.0 points (-1.0 to +7.0",
                  "1 other member was tried", "no time for: four", "20 ms, 10.0 MB"):  # fmt: skip
        assert words in page, words
    assert interval(wilson(6, 10)) not in page


def test_calibration_silence_and_none_of_these_are_told_in_words(run):
    kept = {**(run.read("calibration") or {}), "temperature": 0.8}
    run.write("calibration", kept)
    page = report.as_html(report.document(run)).decode()
    after = kept["parts"]["test"]["after"]["nll"]
    expected = (
        "temperature, 0.8, which makes the model more sure",
        f"→ {after:.3f}",
        ": chosen)",
        "Before → after the temperature",
        "validation pictures, which are of these",
    )
    assert not [words for words in expected if words not in page]
    run.write("test_time", {"pictures": 9, "part": "test", "mirror": True, "kinds": [
        {"kind": "none", "views": 1, "milliseconds": 3.0, "accuracy": wilson(7, 9).to_json(),
         "gain": 0.0, "low": 0.0, "high": 0.0, "p": 1.0},
        {"kind": "flip", "views": 2, "milliseconds": 6.0, "accuracy": wilson(8, 9).to_json(),
         "gain": 1 / 9, "low": -0.1, "high": 0.3, "p": 1.0},
    ]})  # fmt: skip
    page = report.as_html(report.document(run)).decode()
    assert "and its mirror image" in page
    assert "+11.1 points (-10.0 to +30.0)" in page


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
                  "Licence", "Seed 0", "95 % Wilson intervals", run.config().dataset,
                  ", version 1’"):  # fmt: skip
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
