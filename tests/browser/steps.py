"""What a person does on the pages, in the words that stand there."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

LONG = 240_000  # milliseconds: a training on a busy machine


def send(page: Page, files: Path | Sequence[Path], area: Locator | None = None) -> None:
    """Give files, or one folder, to an upload area: the first one of the page."""
    given = [files] if isinstance(files, Path) else list(files)
    kind = "folder" if given[0].is_dir() else "files"
    (area or page.locator(".uploader").first).locator(f".input-{kind}").set_input_files(given)


def upload(page: Page, files: Path | Sequence[Path]) -> None:
    """Give files or a folder to the upload area, and wait for what was made of them."""
    send(page, files)
    page.wait_for_url(lambda url: "data=" in url, timeout=LONG)
    expect(main_button(page)).to_have_text("Go on: choose a network")


def main_button(page: Page) -> Locator:
    """Return the one button to press."""
    return page.get_by_test_id("stBaseButton-primary")


def to_advice(page: Page) -> None:
    """Go from the pictures to the choice of a network."""
    main_button(page).click()
    page.wait_for_url("**/advice?*")


def start_training(page: Page, *, fine_tuning: bool = False, side: int | None = None) -> None:
    """Go from the pictures to a training.

    Args:
        page: Shows the pictures.
        fine_tuning: Whether the network learns too, which takes longer.
        side: Of the pictures in pixels; more take longer.
    """
    to_advice(page)
    if fine_tuning:
        page.locator(".st-key-way_finetune_few").get_by_role("button").click()
        expect(page.get_by_text("Your choice: Retrain its last part")).to_be_visible()
    if side:
        page.get_by_text("More settings").click()
        field = page.get_by_role("spinbutton", name="Input size in pixels")
        field.fill(str(side))
        field.press("Enter")
    expect(main_button(page)).to_have_text("Start training")
    main_button(page).click()
    page.wait_for_url("**/train?*run=*")


def await_result(page: Page) -> None:
    """Wait on the page of a training until there is a result."""
    expect(main_button(page)).to_have_text("See the results", timeout=LONG)


def await_model(page: Page) -> None:
    """Wait on the page of a training until the model was checked too."""
    expect(page.locator("h1")).to_have_text("It has learned.", timeout=LONG)


def data_in(page: Page) -> str:
    """Return the data set that the address names."""
    return parse_qs(urlsplit(page.url).query)["data"][0]


def run_in(page: Page) -> str:
    """Return the run that the address names."""
    return parse_qs(urlsplit(page.url).query)["run"][0]


def figures(page: Page) -> list[list[str]]:
    """Return the rows of the table below "Show the figures", which is opened for it."""
    expander = page.get_by_test_id("stExpander").filter(has_text="Show the figures")
    expander.locator("summary").click()
    cells = expander.locator('[role="grid"] tbody tr')
    cells.first.wait_for(state="attached")
    return [row.locator("td").all_text_contents() for row in cells.all()]
