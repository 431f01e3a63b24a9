"""What people give: folders, rubbish, and good pictures among bad files."""

import re
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps

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
    """A zip of which the second half is missing."""
    path = tmp_path / "damaged.zip"
    path.write_bytes(sample_zip.read_bytes()[: sample_zip.stat().st_size // 2])
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
    expect(page.get_by_text("fruit: look them over, then go on.")).to_be_visible()
    for kind in sample_folder.iterdir():
        expect(page.locator(".class-name", has_text=re.compile(f"^{kind.name}$"))).to_be_visible()
    expect(page.get_by_text("none was left out")).to_be_visible()


@pytest.mark.parametrize("given", ["mixed_folder", "mixed_zip"])
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
        ("zip_of_texts", "found no picture that can be used. 5 files were left out"),
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
    steps.send(page, pictures[:3])
    expect(problem).to_contain_text("Nothing says which class each of these pictures belongs to.")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "letter.txt").write_text("Dear Sir or Madam", encoding="utf-8")
    (tmp_path / "texts" / "reply.txt").write_text("Dear Sir or Madam", encoding="utf-8")
    steps.send(page, tmp_path / "texts")
    expect(problem).to_contain_text("None of the 2 files is a picture.")
    expect(page.locator("h1")).to_have_text("Show me what to tell apart.")
