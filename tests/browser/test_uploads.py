"""What people give: folders, rubbish, and good pictures among bad files."""

import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import steps
from tests.browser.app_server import AppServer
from tests.browser.conftest import Browsing

pytestmark = pytest.mark.browser


@pytest.fixture
def mixed_folder(sample_folder: Path, tmp_path: Path) -> Path:
    """The sample with one picture less, and with files that cannot be of use."""
    folder = tmp_path / "my fruit"
    shutil.copytree(sample_folder, folder)
    first = sorted(path for path in folder.iterdir() if path.is_dir())[0]
    picture = sorted(first.glob("*.jpg"))[0]
    picture.write_bytes(picture.read_bytes()[:300])
    (first / "empty.jpg").touch()
    (first / "notes.txt").write_text("These are from my garden.", encoding="utf-8")
    (folder / ".DS_Store").write_bytes(b"\0" * 64)
    return folder


@pytest.fixture
def mixed_zip(mixed_folder: Path, tmp_path: Path) -> Path:
    """The same as a zip."""
    return Path(shutil.make_archive(str(tmp_path / "garden"), "zip", mixed_folder))


@pytest.fixture
def zip_of_texts(tmp_path: Path) -> Path:
    """A zip without any picture."""
    path = tmp_path / "letters.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(5):
            archive.writestr(f"letters/{number}.txt", "Dear Sir or Madam")
    return path


@pytest.fixture
def damaged_zip(sample_zip: Path, tmp_path: Path) -> Path:
    """A zip that breaks off within its first picture: of more, what is whole would be taken in."""
    path = tmp_path / "damaged.zip"
    path.write_bytes(sample_zip.read_bytes()[:200])
    return path


def _refusal(page: Page) -> str:
    """Return the sentence that says why an upload could not be taken in."""
    expect(page.locator("h1")).to_have_text("These pictures could not be taken in.")
    expect(page.get_by_text("Nothing else was lost.")).to_be_visible()
    return page.get_by_test_id("stAlert").inner_text()


def _left_out(page: Page) -> dict[str, str]:
    """Return the files that were left out, with the reasons."""
    expander = page.get_by_test_id("stExpander").filter(has_text="left out: why?")
    expander.locator("summary").click()
    rows = expander.locator('[role="grid"] tbody tr')
    rows.first.wait_for(state="attached")
    return {
        str(file): str(reason)
        for file, reason in (row.locator("td").all_text_contents() for row in rows.all())
    }


def test_a_folder_goes_in_as_a_whole(page: Page, sample_folder: Path):
    steps.upload(page, sample_folder)
    expect(page.locator("h1")).to_have_text("72 pictures in 3 classes.")
    # With its version, where another test has made a second one of the same pictures.
    named = re.compile(r"^fruit(, version 1)?: look them over, then go on\.$")
    expect(page.get_by_text(named)).to_be_visible()
    for kind in sample_folder.iterdir():
        expect(page.locator(".class-name", has_text=re.compile(f"^{kind.name}$"))).to_be_visible()
    expect(page.get_by_text("none was left out")).to_be_visible()


@pytest.mark.parametrize(
    "given", [pytest.param("mixed_folder", marks=pytest.mark.slow), "mixed_zip"]
)
def test_bad_files_are_left_out_with_reasons_and_the_rest_goes_on(
    page: Page, request: pytest.FixtureRequest, given: str
):
    steps.upload(page, request.getfixturevalue(given))
    expect(page.locator("h1")).to_have_text("71 pictures in 3 classes.")
    reasons = _left_out(page)
    bad = {Path(file).name: reason for file, reason in reasons.items()}
    assert {"000.jpg", "empty.jpg"} <= bad.keys()
    assert all(len(reason.split()) > 1 for reason in bad.values()), bad
    expect(steps.main_button(page)).to_be_enabled()
    steps.to_advice(page)
    expect(page.locator(".purpose")).to_contain_text("your 71 teach it")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(
            "zip_of_texts",
            "found no picture that can be used. 5 files were left out",
            marks=pytest.mark.slow,
        ),
        ("damaged_zip", "'damaged.zip' is damaged"),
    ],
)
def test_rubbish_is_refused_with_a_reason_and_what_was_there_stays(
    page: Page, request: pytest.FixtureRequest, sample_zip: Path, given: str, reason: str
):
    steps.upload(page, sample_zip)
    kept = page.url
    page.goto(page.url.partition("?")[0])
    steps.send(page, request.getfixturevalue(given))
    assert reason in _refusal(page)
    page.goto(kept)
    expect(page.locator("h1")).to_have_text("72 pictures in 3 classes.")


@pytest.mark.slow
def test_after_rubbish_the_same_area_takes_good_pictures(
    page: Page, damaged_zip: Path, sample_zip: Path
):
    steps.send(page, damaged_zip)
    _refusal(page)
    steps.upload(page, sample_zip)
    expect(page.locator("h1")).to_have_text("72 pictures in 3 classes.")


def test_what_cannot_be_of_use_is_not_even_sent(page: Page, sample_folder: Path, tmp_path: Path):
    problem = page.locator(".uploader .problem")
    pictures = sorted(sample_folder.rglob("*.jpg"))
    steps.send(page, pictures[0])
    expect(problem).to_contain_text(f"'{pictures[0].name}' is a single picture.")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "letter.txt").write_text("Dear Sir or Madam", encoding="utf-8")
    (tmp_path / "texts" / "reply.txt").write_text("Dear Sir or Madam", encoding="utf-8")
    steps.send(page, tmp_path / "texts")
    expect(problem).to_contain_text("None of the 2 files is a picture.")
    expect(page.locator("h1")).to_have_text("Show me what to tell apart.")


@pytest.mark.slow
def test_loose_pictures_become_a_class_and_others_are_added_to_it(page: Page, sample_folder: Path):
    steps.send(page, sorted((sample_folder / "apple").glob("*.jpg"))[:5])
    naming = page.locator(".naming").first
    expect(naming).to_contain_text("Nothing says yet which class these are (5 files). Which one?")
    naming.get_by_role("combobox").fill("red")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "data=" in url, timeout=steps.LONG)
    expect(page.locator("h1")).to_have_text("5 pictures in 1 class.")
    expect(page.get_by_test_id("stAlert")).to_contain_text("Add pictures of another class.")
    expect(steps.main_button(page)).to_contain_text("Add pictures")
    first = page.url

    steps.main_button(page).click()
    steps.send(page, sample_folder / "lime", page.locator(".st-key-add_area .uploader"))
    naming = page.locator(".st-key-add_area .naming")
    expect(naming.get_by_role("combobox")).to_have_value("lime")  # what their folder is called
    naming.get_by_role("button", name="Use this class").click()
    expect(page.locator("h1")).to_have_text("29 pictures in 2 classes.", timeout=steps.LONG)
    expect(page.get_by_text("24 pictures added: this is version 2.")).to_be_visible()
    page.wait_for_url(lambda url: "data=" in url and url != first and "upload=" not in url)
    expect(steps.main_button(page)).to_have_text("Go on: choose a network")

    page.get_by_role("button", name="Add pictures").click()
    steps.send(
        page,
        sorted((sample_folder / "apple").glob("*.jpg"))[5],
        page.locator(".st-key-add_area .uploader"),
    )
    page.locator(".st-key-add_area .known").get_by_role("button", name="red").click()
    expect(page.locator("h1")).to_have_text("30 pictures in 2 classes.", timeout=steps.LONG)
    expect(page.get_by_text("1 picture added: this is version 3.")).to_be_visible()


def test_after_a_reload_the_same_file_goes_on_where_it_was(
    browsing: Browsing, server: AppServer, sample_zip: Path
):
    page = browsing.open(server.url)
    large = sample_zip.with_name("large.zip")
    shutil.copy(sample_zip, large)
    with zipfile.ZipFile(large, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("fruit/noise.raw", os.urandom(5 * 2**20))
    page.on("dialog", lambda dialog: dialog.accept())  # "Leave this page?"
    sent: list[int] = []

    def cut(route: Route) -> None:
        """Let one piece through, then nothing any more."""
        if route.request.method == "PUT" and not sent:
            sent.append(len(route.request.post_data_buffer or b""))
            route.continue_()
        elif route.request.method == "POST" and not sent:
            route.continue_()
        else:
            route.abort()

    page.route("**/api/uploads**", cut)
    steps.send(page, large)
    expect(page.locator(".uploader .left").first).to_contain_text("trying again")
    page.reload()
    page.unroute("**/api/uploads**")
    offsets: list[str] = []
    page.on("request", lambda one: offsets.append(one.url) if one.method == "PUT" else None)
    steps.upload(page, large)
    expect(page.locator("h1")).to_have_text("72 pictures in 3 classes.")
    assert sent == [2**20]
    assert offsets[0].endswith(f"?offset={2**20}")


def test_what_does_not_fit_on_the_disk_is_not_even_sent(
    browsing: Browsing, full_server: AppServer, sample_zip: Path, sample_folder: Path
):
    page = browsing.open(full_server.url)
    pieces: list[str] = []
    page.on("request", lambda one: pieces.append(one.url) if one.method == "PUT" else None)
    problem = page.locator(".uploader .problem")
    for given in (sample_zip, sample_folder, sorted(sample_folder.rglob("*.jpg"))[:5]):
        steps.send(page, given)
        if isinstance(given, list):
            page.locator(".naming .typed-class").fill("kiwi")
            page.locator(".naming .use-name").click()
        name = "kiwi" if isinstance(given, list) else given.stem
        expect(problem).to_contain_text(f"'{name}.")
        expect(problem).to_contain_text("100 MB are free on this machine. Delete data sets or runs")
    assert pieces == []
