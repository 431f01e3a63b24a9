"""The page "data": nothing yet, being read, refused, taken in, with warnings, with odd names."""

import csv
import html
import io
import json
import os
import re
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app import datasets, importing, jobs, uploads, workshop
from app.uploads import Upload
from tests.app.conftest import harmless, markup, press, title, words
from transfer import store
from transfer.config import RunConfig
from transfer.dataset import library

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "![x](https://example.org/x.png)",
    "**bold** $x$",
    "قطط",
    "猫",
]


def _picture(seed: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 30), (seed % 256, seed * 7 % 256, 90)).save(data, "PNG")
    return data.getvalue()


def _zip(
    path: Path, classes: dict[str, int], *, labels: dict[str, str] | None = None, junk: bool = False
) -> Path:
    """Write a zip of so many pictures a folder; `labels` (a CSV) says what the folders hold."""
    with zipfile.ZipFile(path, "w") as archive:
        table = io.StringIO()
        rows = csv.writer(table)
        rows.writerow(["file", "label"])
        for number, (folder, count) in enumerate(classes.items()):
            for i in range(count):
                archive.writestr(f"{folder}/{i}.png", _picture(number * 50 + i))
                rows.writerow([f"{folder}/{i}.png", (labels or {}).get(folder, folder)])
        if labels:
            archive.writestr("labels.csv", table.getvalue())
        if junk:
            archive.writestr("cat/readme.txt", "no picture")
            archive.writestr("cat/broken.png", _picture(1)[:40])
    return path


def _uploaded(path: Path) -> Upload:
    """An upload that has arrived; its job waits in the queue."""
    upload = uploads.begin(path.name, path.stat().st_size)
    upload.data.write_bytes(path.read_bytes())
    return uploads.finish(upload.id)


def _areas(page: AppTest) -> set[str]:
    """Return the areas of the page that take pictures."""
    names = {str(element.proto.component_name) for element in page.get("bidi_component")}
    return names & {"transfer_uploader", "transfer_camera"}


def _offered(page: AppTest) -> dict[str, str]:
    """Return for each data set or upload in the list its label."""
    every = {str(button.key): button.label for button in page.button}
    return {key[5:]: label for key, label in every.items() if key.startswith("open:")}


def test_nothing_yet(open_page):
    page = open_page("data")
    assert title(page) == "Show me what to tell apart."
    assert "Everything stays on this machine" in words(page)
    assert _areas(page) == {"transfer_uploader"}
    assert [button.label for button in page.button] == ["Try it with sample pictures"]
    assert _offered(page) == {}


def test_the_camera_is_offered_beside_the_upload(open_page):
    page = open_page("data")
    page.segmented_control(key="way:first").set_value("The camera").run()
    assert not page.exception
    assert _areas(page) == {"transfer_camera"}


def test_what_is_here_already_is_a_click_away(open_page, fruit):
    page = open_page("data")
    assert _offered(page) == {fruit: "**Fruit** · 72 pictures, 3 classes"}
    press(page, f"open:{fruit}")
    assert title(page) == "72 pictures in 3 classes."
    assert page.query_params == {"data": fruit}


def test_a_good_data_set(open_page, fruit):
    page = open_page("data", data=fruit)
    assert title(page) == "72 pictures in 3 classes."
    assert "All files could be read; none was left out." in words(page)
    assert not page.warning
    assert not page.error
    assert not page.button(key="next").disabled
    for name in ("apple", "lemon", "lime"):
        assert f'<span class="class-name">{name}</span>' in markup(page)
    assert markup(page).count("<img") == 3 * 12
    assert not page.expander[0].label.endswith("why?")


def test_more_pictures_of_a_class(open_page, fruit):
    page = press(open_page("data", data=fruit), "more:lemon")
    assert markup(page).count("<img") == 12 + 24 + 12
    shas = re.findall(r"/192/(\w+)\.jpg", markup(page))
    assert {p.sha256 for p in datasets.by_class(fruit)["lemon"]} <= set(shas)
    assert {button.key for button in page.button} >= {"more:apple", "more:lime"}
    assert "more:lemon" not in {button.key for button in page.button}


def test_many_classes_come_in_portions(open_page, tmp_path):
    source = _zip(tmp_path / "many.zip", {f"class {i:02d}": 4 for i in range(30)})
    digest = library.import_dataset(source).digest
    page = open_page("data", data=digest)
    assert markup(page).count("class-name") == 24
    assert "class 29" not in markup(page)
    page.pagination[0].set_value(2).run()
    assert not page.exception
    assert markup(page).count("class-name") == 6
    assert "class 29" in markup(page)


@pytest.mark.parametrize("digest", ["nonsense", "0" * 32])
def test_a_data_set_that_is_not_here(open_page, fruit, digest):
    page = open_page("data", data=digest)
    assert title(page) == "These pictures are not here."
    assert "no longer in the store" in words(page)
    assert "transfer_uploader" in {e.proto.component_name for e in page.get("bidi_component")}
    press(page, f"open:{fruit}")
    assert page.query_params == {"data": fruit}


def test_what_was_left_out_is_named_with_its_reason(open_page, tmp_path):
    digest = library.import_dataset(
        _zip(tmp_path / "p.zip", {"cat": 5, "dog": 5}, junk=True)
    ).digest
    page = open_page("data", data=digest)
    assert title(page) == "10 pictures in 2 classes."
    assert "2 files left out: the reasons are below." in words(page)
    assert page.expander[0].label == "2 files left out: why?"
    table = page.expander[0].dataframe[0].value
    rows = dict(zip(table["File"], table["Why it was left out"], strict=True))
    assert rows.keys() == {"cat/readme.txt", "cat/broken.png"}
    assert all(len(reason) > 10 for reason in rows.values())
    assert not page.button(key="next").disabled


def test_a_small_class_is_warned_of_and_one_can_go_on(open_page, tmp_path):
    digest = library.import_dataset(_zip(tmp_path / "p.zip", {"cat": 5, "dog": 5, "emu": 2})).digest
    page = open_page("data", data=digest)
    (warning,) = page.warning
    assert "Class 'emu' has 2 pictures; add at least 2 more" in words(page)
    assert warning.value
    assert not page.button(key="next").disabled


@pytest.mark.parametrize(
    ("classes", "remedy"),
    [
        ({"cat": 5, "dog": 2}, "found 1. 'dog' has 2, add 2 more."),
        ({"cat": 5}, "found 1. Add pictures of another class."),
        ({"cat": 1, "dog": 2}, "found 0. 'cat' has 1, add 3 more and 'dog' has 2, add 2 more."),
    ],
)
def test_what_is_missing_is_said_once_with_its_remedy_on_the_button(
    open_page, tmp_path, classes, remedy
):
    source = _zip(tmp_path / "p.zip", classes)
    digest = library.import_dataset(source, minimum_per_class=1, minimum_classes=1).digest
    page = open_page("data", data=digest)
    assert not page.warning
    (error,) = page.error
    expected = f"Expected at least 2 classes with 4 or more pictures each; {remedy}"
    assert words(page).count(expected) == 1
    assert error.value
    assert "next" not in {button.key for button in page.button}
    assert page.button(key="add").label == "Add pictures"
    press(page, "add")
    assert _adds_to(page, digest)


def _adds_to(page: AppTest, digest: str) -> bool:
    """Whether the page has an area for pictures that are to be added to a data set."""
    told = [json.loads(one.proto.json) for one in page.get("bidi_component")]
    return {"purpose": "data", "into": digest} in [data.get("aim") for data in told]


def test_pictures_are_added_on_request(open_page, fruit):
    page = open_page("data", data=fruit)
    assert not _adds_to(page, fruit)
    press(page, "add")
    assert _adds_to(page, fruit)
    page.segmented_control(key=f"way:add:{fruit}").set_value("The camera").run()
    assert not page.exception
    assert _adds_to(page, fruit)
    assert "transfer_camera" in _areas(page)
    press(page, "add_close")
    assert not _adds_to(page, fruit)


def _added(path: Path, into: str) -> Upload:
    """Pictures in no folder that have arrived, to be added as a class of their own."""
    upload = uploads.begin(path.name, path.stat().st_size, uploads.Aim(into=into, label="kiwi"))
    upload.data.write_bytes(path.read_bytes())
    return uploads.finish(upload.id)


def _loose(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.png", _picture(number + 200))
    return path


def test_after_adding_the_page_says_how_many_and_which_version_it_is(open_page, fruit, tmp_path):
    upload = _added(_loose(tmp_path / "kiwi.zip"), fruit)
    page = open_page("data", data=fruit, upload=upload.id)
    digest = importing.take_in(upload.id).digest
    page.run()
    assert not page.exception
    assert page.query_params == {"data": digest}
    assert title(page) == "75 pictures in 4 classes."
    assert [told.value for told in page.success] == ["3 pictures added: this is version 2."]
    assert f"{datasets.name(str(digest))}: look them over" in words(page)
    assert not page.run().success


def test_adding_the_same_again_says_that_nothing_is_new(open_page, fruit, tmp_path):
    first = _added(_loose(tmp_path / "kiwi.zip"), fruit)
    digest = str(importing.take_in(first.id).digest)
    again = _added(tmp_path / "kiwi.zip", digest)
    page = open_page("data", data=digest, upload=again.id)
    importing.take_in(again.id)
    page.run()
    assert page.query_params == {"data": digest}
    assert "Nothing was added: the same pictures were there already" in page.success[0].value


def test_what_could_not_be_added_leads_back_to_the_data_set(open_page, fruit, tmp_path):
    path = tmp_path / "broken.zip"
    path.write_bytes(b"no zip at all")
    upload = _added(path, fruit)
    importing.take_in(upload.id)
    page = open_page("data", data=fruit, upload=upload.id)
    assert title(page) == "These pictures could not be taken in."
    assert _adds_to(page, fruit)
    press(page, f"open:{fruit}")
    assert title(page) == "72 pictures in 3 classes."


def test_an_upload_that_was_broken_off_says_how_it_goes_on(open_page, tmp_path):
    upload = uploads.begin("*big*.zip", 4 * 1024**2, uploads.Aim(mark="1f"))
    upload.data.write_bytes(bytes(1024**2))
    assert "was broken off" not in words(open_page("data"))  # it may still be coming
    then = time.time() - 120
    for file in (*upload.folder.iterdir(), upload.folder):
        os.utime(file, (then, then))
    page = open_page("data")
    assert "*big*.zip was broken off: 1 MB of 4 MB have arrived" in words(page).replace("**", "")
    assert harmless(page)
    press(page, f"drop:{upload.id}")
    assert not upload.folder.exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_the_name_of_a_class_is_only_ever_text(open_page, tmp_path, name):
    labels = {"a": name, "c": f"{name}2"}
    source = _zip(tmp_path / "p.zip", {"a": 4, "b": 4, "c": 1}, labels=labels)
    digest = library.import_dataset(source).digest
    assert datasets.index(digest).counts() == {name: 4, "b": 4, f"{name}2": 1}
    page = open_page("data", data=digest)
    assert f'<span class="class-name">{html.escape(name)}</span>' in markup(page)
    assert f'alt="{html.escape(f"{name}: a/0.png")}"' in markup(page)
    assert f"Class '{name}2' has 1 picture" in words(page)
    assert harmless(page)
    advice = press(page, "next")
    assert html.escape(name) in markup(advice)
    assert harmless(advice)


@pytest.mark.parametrize("name", ["<b>*x*</b>", "![x](https://example.org/x.png)", "قطط 猫"])
def test_the_name_of_a_data_set_is_only_ever_text(open_page, fruit, name):
    datasets.rename(fruit, name)
    assert f"**{name}** · 72 pictures, 3 classes" in words(open_page("data"))
    assert harmless(open_page("data"))
    page = open_page("data", data=fruit)
    assert html.escape(name) in markup(page)
    assert harmless(page)
    press(page, "delete")
    assert f"'{name}' goes from this machine for good" in words(page)
    assert harmless(page)


def _name_box(page: AppTest) -> Any:
    (box,) = [box for box in page.text_input if box.label == "Name"]
    return box


def test_renaming(open_page, fruit):
    page = open_page("data", data=fruit)
    assert _name_box(page).value == "Fruit"
    _name_box(page).set_value("Green ones").run()
    assert not page.exception
    assert datasets.name(fruit) == "Green ones"
    assert "Green ones: look them over" in words(page)


@pytest.mark.parametrize("typed", ["Fruit ", "  Fruit", "Fr\u00a0uit"])
def test_a_name_with_odd_spaces_settles(open_page, fruit, typed):
    page = open_page("data", data=fruit)
    _name_box(page).set_value(typed).run(timeout=10)
    assert not page.exception
    assert datasets.name(fruit) == " ".join(typed.split())


def test_an_empty_name_is_refused_and_the_old_one_stays(open_page, fruit):
    page = open_page("data", data=fruit)
    _name_box(page).set_value("   ").run()
    assert "needs a name" in words(page)
    assert datasets.name(fruit) == "Fruit"


def test_deleting_says_what_goes_and_leaves_for_the_first_page(open_page, fruit):
    page = open_page("data", data=fruit)
    press(page, "delete")
    assert "'Fruit' goes from this machine for good and frees" in words(page)
    assert (store.home() / "datasets" / fruit).is_dir()
    page.button(key="delete").click()  # keeps the dialog open, as it is for a browser
    press(page, "really")
    assert not (store.home() / "datasets" / fruit).exists()
    assert title(page) == "Show me what to tell apart."
    assert page.query_params == {}
    assert _offered(page) == {}


def test_a_press_in_the_dialog_counts_though_the_page_is_drawn_anew_just_then(open_page, fruit):
    page = open_page("data", data=fruit)
    press(page, "delete")
    press(page, "really")  # the dialog is not drawn again
    assert not (store.home() / "datasets" / fruit).exists()
    assert title(page) == "Show me what to tell apart."


def test_pictures_that_a_run_needs_by_now_stay_and_the_page_says_why(open_page, fruit):
    page = open_page("data", data=fruit)
    press(page, "delete")
    workshop.start(RunConfig(dataset=fruit, backbone="builtin", image_size=96), "My run")
    press(page, "really")
    assert (store.home() / "datasets" / fruit).is_dir()
    assert any("My run" in error.value for error in page.error)


def test_pictures_that_a_run_needs_are_not_deleted(open_page, fruit):
    workshop.start(RunConfig(dataset=fruit, backbone="builtin", image_size=96), "My run")
    page = open_page("data", data=fruit)
    assert "'My run' learned from these pictures and needs them" in words(page)
    assert page.button(key="delete").disabled


def test_an_upload_that_waits_says_so_and_then_how_far_it_is(open_page, sample_zip):
    upload = _uploaded(sample_zip)
    page = open_page("data", upload=upload.id)
    assert title(page) == "Reading fruit.zip"
    assert "Waiting for its turn: place 1 of 1." in words(page)
    job = jobs.latest("import", upload.id)
    assert job
    jobs.claim(job, "import 1")
    page.run()
    assert "Unpacking and looking for pictures" in words(page)
    began = time.time()
    upload = uploads.save(replace(upload, state="reading", done=1, total=72, reading=began))
    page.run()
    assert "1 of 72 pictures." in words(page)  # unpacking says nothing of how fast it goes
    uploads.save(replace(upload, done=18, reading=began - 10))
    page.run()
    assert "18 of 72 pictures, about 30 seconds left." in words(page)
    assert 'aria-valuenow="25"' in markup(page)


def test_an_upload_that_is_being_read_is_found_again_on_the_first_page(open_page, sample_zip):
    upload = _uploaded(sample_zip)
    page = open_page("data")
    assert "Being read now: fruit.zip" in words(page)
    press(page, f"open:{upload.id}")
    assert title(page) == "Reading fruit.zip"
    assert page.query_params == {"upload": upload.id}


def test_when_it_is_read_the_page_shows_it(open_page, sample_zip):
    upload = _uploaded(sample_zip)
    page = open_page("data", upload=upload.id)
    digest = importing.take_in(upload.id).digest
    page.run()
    assert not page.exception
    assert page.query_params == {"data": digest}
    assert title(page) == "72 pictures in 3 classes."
    assert "fruit: look them over" in words(page)


def test_an_upload_that_is_refused_says_why_and_offers_another(open_page, tmp_path):
    path = tmp_path / "*odd*.zip"
    path.write_bytes(b"no zip at all")
    upload = _uploaded(path)
    page = open_page("data", upload=upload.id)
    importing.take_in(upload.id)
    page.run()
    assert not page.exception
    assert title(page) == "These pictures could not be taken in."
    assert "*odd*.zip" in words(page)
    assert "*" not in re.sub(r"\\.", "", str(page.error[0].value))
    assert "transfer_uploader" in {e.proto.component_name for e in page.get("bidi_component")}


def test_a_zip_of_loose_pictures_waits_for_its_class(open_page, tmp_path):
    upload = _uploaded(_loose(tmp_path / "phone.zip"))
    assert importing.take_in(upload.id).state == "unlabelled"
    job = jobs.latest("import", upload.id)
    assert job is not None
    assert jobs.claim(job, "cpu")
    page = open_page("data", upload=upload.id)
    assert title(page) == "Reading phone.zip"  # its process has not ended yet
    jobs.settle(job, "failed", "lies outside the class folders")
    page.run()
    assert title(page) == "Which class are these?"
    press(page, "name_class")
    assert "no name yet" in words(page)
    page.text_input(key="label").set_value(" kiwi ")
    press(page, "name_class")
    assert title(page) == "Reading phone.zip"
    digest = str(importing.take_in(upload.id).digest)
    page.run()
    assert page.query_params == {"data": digest}
    assert datasets.index(digest).counts() == {"kiwi": 3}
    assert not uploads.get(upload.id).source.exists()


def test_an_upload_whose_reading_died_does_not_wait_for_ever(open_page, sample_zip):
    upload = _uploaded(sample_zip)
    uploads.save(replace(upload, state="reading", done=3, total=72))
    job = jobs.latest("import", upload.id)
    assert job
    jobs.claim(job, "import 1")
    page = open_page("data", upload=upload.id)
    jobs.settle(job, "failed", "This computer ran out of memory.")
    page.run()
    assert not page.exception
    assert title(page) == "These pictures could not be taken in."
    assert "ran out of memory" in words(page)


@pytest.mark.parametrize("upload_id", ["nonsense", "0" * 16, "../runs", "<b>"])
def test_an_upload_that_is_gone(open_page, upload_id):
    page = open_page("data", upload=upload_id)
    assert title(page) == "This upload is gone."
    assert "no longer known" in words(page)
    assert "transfer_uploader" in {e.proto.component_name for e in page.get("bidi_component")}


def test_a_cancelled_upload_ends_the_waiting(open_page, sample_zip):
    upload = _uploaded(sample_zip)
    page = open_page("data", upload=upload.id)
    uploads.cancel(upload.id)
    page.run()
    assert not page.exception
    assert title(page) == "This upload is gone."
    assert _offered(open_page("data")) == {}
