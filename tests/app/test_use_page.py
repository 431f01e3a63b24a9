"""The page "use" with the real prediction process: try a picture, take the model."""

import html
import io
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app import jobs, predictor, verdicts, workshop
from app.components import asking
from tests.app.conftest import Store, harmless, markup, press, running, title, words
from transfer.runs import Run
from transfer.serving import publishing

HOSTILE = ("<script>alert(1)</script>", "قطط 猫", "**x** ![x](//e.org/x)")


@pytest.fixture
def odd(served: Store) -> Run:
    """A run like the finished one, whose classes and name would be HTML or Markdown."""
    run = _copied(served, "odd")
    run.finish(run.result() | {"classes": list(HOSTILE)})
    workshop.rename(run, HOSTILE[0])
    return run


@pytest.fixture
def unchecked(served: Store) -> Run:
    """A run like the finished one whose model was not yet written for taking away."""
    run = _copied(served, "unchecked")
    (run.folder / "export.json").unlink()
    return run


def _copied(served: Store, name: str) -> Run:
    run = Run(served.home / "runs" / name)
    shutil.rmtree(run.folder, ignore_errors=True)
    shutil.copytree(served.home / "runs" / served.run_id, run.folder)
    jobs.forget("train", name)
    return run


def _shown(page: AppTest, picture: bytes, name: str = "photo.jpg") -> AppTest:
    """Give the page a picture file."""
    page.file_uploader[0].set_value((name, picture, "image/jpeg")).run(timeout=120)
    assert not page.exception
    return page


def _answer(page: AppTest) -> str:
    (found,) = re.findall(r'data-answer="([^"]*)"', markup(page))
    return html.unescape(found)


def _shares(page: AppTest) -> list[str]:
    return re.findall(r'class="share">([^<]*)<', markup(page))


def _link(page: AppTest) -> dict[str, str]:
    (found,) = re.findall(r'<a class="button" (.*?)>', markup(page))
    return {key: html.unescape(value) for key, value in re.findall(r'(\w+)="([^"]*)"', found)}


def test_no_model_yet(open_page):
    page = open_page("use")
    assert title(page) == "No model to use yet."
    assert [button.label for button in page.button] == ["Choose pictures and start"]


def test_an_unfinished_training_is_a_click_away(open_page, queued):
    page = open_page("use", run=queued.folder.name)
    assert title(page) == "No model to use yet."
    assert page.button(key="fill").label == "See how the training stands"
    assert title(press(page, "fill")) == "It starts in a moment."


def test_pictures_are_classified_by_the_real_model(open_page, served, sample_folder):
    page = open_page("use", run=served.run_id)
    assert title(page) == "Take it with you."
    assert "First: try a picture" in words(page)
    right = 0
    for label in ("apple", "lemon", "lime"):
        picture = sorted((sample_folder / label).iterdir())[0].read_bytes()
        _shown(page, picture)
        assert not page.error
        direct = predictor.classify(served.run_id, picture)
        best = max(zip(direct.probabilities, direct.classes, strict=True))
        assert _answer(page) == best[1]
        ordered = sorted(direct.probabilities, reverse=True)
        assert _shares(page) == [verdicts.probability(p) for p in ordered]
        (table,) = page.dataframe
        assert list(table.value["Probability"]) == [round(p, 4) for p in ordered]
        right += best[1] == label
    assert right >= 2
    assert "It can only name its 3 classes." in words(page)
    assert "Answered in" in words(page)
    assert "first answer takes some seconds" not in words(page)


def test_the_answer_is_there_for_those_who_do_not_see_the_bars(open_page, served, sample_folder):
    picture = next((sample_folder / "lime").iterdir()).read_bytes()
    page = _shown(open_page("use", run=served.run_id), picture)
    label = re.search(r'role="img" aria-label="([^"]*)"', markup(page))
    assert label
    assert label[1] == f"{_answer(page)}: {_shares(page)[0]}"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_other_formats_are_read_and_shown_too(open_page, served, sample_folder, kind):
    data = io.BytesIO()
    with Image.open(next((sample_folder / "apple").iterdir())) as picture:
        picture.save(data, kind)
    page = _shown(open_page("use", run=served.run_id), data.getvalue(), f"photo.{kind.lower()}")
    assert not page.error
    assert _answer(page) in ("apple", "lemon", "lime")
    assert len(page.image) == 1


def _saved(picture: Image.Image, orientation: int = 1) -> bytes:
    """Return a PNG of these pixels that says how it is to be turned."""
    data, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    picture.save(data, "PNG", exif=exif)
    return data.getvalue()


def test_a_photo_is_shown_as_upright_as_it_is_seen(open_page, served, sample_folder):
    with Image.open(next((sample_folder / "lemon").iterdir())) as small:
        upright = small.convert("RGB").resize((600, 400))
    shown = []
    for picture in (
        _saved(upright),
        _saved(upright.transpose(Image.Transpose.ROTATE_90), orientation=6),  # turned by a camera
        _saved(upright.transpose(Image.Transpose.ROTATE_90)),
    ):
        page = _shown(open_page("use", run=served.run_id), picture)
        shown.append((page.image[0].value, _shares(page)))  # the address names the content
    assert shown[0] == shown[1]
    assert shown[0][0] != shown[2][0]


@pytest.mark.parametrize("mode", ["I;16", "LA", "P", "1", "L"])
def test_pictures_of_any_depth_are_shown(open_page, served, mode):
    data = io.BytesIO()
    Image.new(mode, (400, 300)).save(data, "PNG")
    page = _shown(open_page("use", run=served.run_id), data.getvalue(), "photo.png")
    assert len(page.image) == 1
    assert _answer(page) in ("apple", "lemon", "lime")


def test_the_camera(open_page, served, sample_folder):
    page = open_page("use", run=served.run_id)
    page.segmented_control(key="way").set_value("The camera").run()
    picture = next((sample_folder / "lemon").iterdir()).read_bytes()
    page.camera_input(key="camera").upload("photo.jpg", picture, "image/jpeg").run(timeout=120)
    assert not page.exception
    assert _answer(page) in ("apple", "lemon", "lime")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "'photo.jpg' is empty"),
        (b"no picture at all", "'photo.jpg' is named like a picture (.jpg) but holds none"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 500, "'photo.jpg' is damaged"),
    ],
)
def test_what_is_no_picture_is_told_and_the_model_can_still_be_taken(
    open_page, served, data, reason
):
    page = _shown(open_page("use", run=served.run_id), data)
    assert len(page.error) == 1
    assert reason in words(page)
    assert "data-answer" not in markup(page)
    assert _link(page)["download"] == "First.zip"


def test_the_model_is_offered_with_what_was_checked(open_page, served):
    page = open_page("use", run=served.run_id)
    checked = Run(served.home / "runs" / served.run_id).read("export")
    assert checked
    assert f"checked: the same answers on all {checked['checked']} pictures" in words(page)
    assert re.search(r"for a server or your own program, \d[\d.]* MB", words(page))
    link = _link(page)
    assert link["download"] == "First.zip"
    assert re.fullmatch(r"/api/downloads/[\w.-]+/First\.zip", link["href"])
    assert any("tf.saved_model.load" in code.value for code in page.code)
    over_http = [code.value for code in page.code if "curl" in code.value]
    assert any("serve first=FOLDER" in lines for lines in over_http)
    assert asking.with_tensorflow_serving("first") in over_http


@pytest.mark.parametrize(
    ("name", "served_as"),
    [
        ("Sample: drawn fruit, MobileNetV2 (2)", "sample-drawn-fruit-mobilenetv2-2"),
        ("Äpfel & $(Birnen)", "apfel-birnen"),
        ("花", "model"),
        ("a" * 39 + " b", "a" * 39),
    ],
)
def test_a_run_is_asked_by_a_name_that_can_be_served(name, served_as):
    assert publishing.checked_name(asking.served_name(name)) == served_as


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Fruit, Built-in", "Fruit-Built-in.zip"),
        ("../../etc/passwd", "etc-passwd.zip"),
        ("قطط 猫", "قطط-猫.zip"),
        ("???", "model.zip"),
        ('a"b<c>', "a-b-c.zip"),
        ("x" * 80, f"{'x' * 60}.zip"),
    ],
)
def test_the_file_is_called_like_the_run(open_page, served, name, file):
    run = _copied(served, "named")
    workshop.rename(run, name)
    link = _link(open_page("use", run="named"))
    assert link["download"] == file
    assert link["href"].endswith(f"/{file}")


def test_names_of_classes_and_runs_are_only_ever_text(open_page, odd, sample_folder):
    page = open_page("use", run=odd.folder.name)
    assert html.escape(HOSTILE[0]) in markup(page)
    assert harmless(page)
    answers = set()
    for label in ("apple", "lemon", "lime"):
        _shown(page, sorted((sample_folder / label).iterdir())[0].read_bytes())
        answers.add(_answer(page))
        assert harmless(page)
        for name in HOSTILE:
            assert f'<span class="name">{html.escape(name)}</span>' in markup(page)
    assert answers <= {*HOSTILE}
    assert len(answers) >= 2


def test_a_model_that_was_not_written_can_be_had(open_page, unchecked):
    page = open_page("use", run=unchecked.folder.name)
    assert "has not been written for taking away yet" in words(page)
    assert 'class="button"' not in markup(page)
    press(page, "export")
    assert [job.target for job in jobs.active()] == [unchecked.folder.name]
    assert "written and checked in a process of its own" in words(page)
    assert "export" not in {button.key for button in page.button}
    running(unchecked)
    unchecked.status("export", done=1, total=6, words="Checking", seconds_left=20)
    page.run()
    assert "process of its own, at most about 20 seconds" in words(page)
    unchecked.write("export", {"checked": 6, "max_difference": 0.0})
    page.run()
    assert not page.exception
    assert "checked: the same answers on all 6 pictures" in words(page)
    assert _link(page)["download"] == "First.zip"


def test_a_check_that_failed_says_why_and_can_be_tried_again(open_page, unchecked):
    workshop.go_on(unchecked)
    jobs.settle(running(unchecked), "failed", "The exported model *differs* by 0.3.")
    page = open_page("use", run=unchecked.folder.name)
    assert "The exported model *differs* by 0.3." in words(page)
    assert harmless(page)
    press(page, "export")
    assert "written and checked in a process of its own" in words(page)


def test_a_damaged_model_is_told_and_hides_nothing_else(open_page, served, sample_folder):
    run = _copied(served, "damaged")
    run.model_path.write_bytes(b"not a model")
    picture = next((sample_folder / "lime").iterdir()).read_bytes()
    page = _shown(open_page("use", run="damaged"), picture)
    assert len(page.error) == 1
    assert _link(page)["download"] == "First.zip"


def test_it_works_without_the_pictures_it_learned_from(
    open_page, served, sample_folder, tmp_path: Path
):
    kept = served.home / "datasets" / served.digest
    shutil.move(kept, tmp_path / "away")
    try:
        picture = next((sample_folder / "lime").iterdir()).read_bytes()
        page = _shown(open_page("use", run=served.run_id), picture)
        assert _answer(page) in ("apple", "lemon", "lime")
    finally:
        shutil.move(tmp_path / "away", kept)
