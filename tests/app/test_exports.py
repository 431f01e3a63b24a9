"""The further formats on the page "use": asked for, refused with a reason, taken away."""

import re
import sys
import zipfile

import pytest

from app import bundles, dispatcher, exports, jobs, workshop
from tests.app.conftest import harmless, markup, press, words
from transfer.errors import TransferError
from transfer.exporting import formats
from transfer.runs import Run

ONNX = formats.named("onnx")
CHECKED = {"checked": 12, "max_difference": 2e-6, "words": "Checked: the same answers on all 12"}


@pytest.fixture
def run(finished) -> Run:
    return Run(finished.home / "runs" / finished.run_id)


def _ready(run: Run) -> None:
    place = run.export_place("onnx")
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(b"x" * 2_000_000)
    (place / "example.py").write_text("print('how')")
    run.write("export-onnx", CHECKED)


def test_a_format_is_asked_for_and_its_progress_is_shown(open_page, shown):
    run = shown
    page = open_page("use", run="shown")
    for kind in exports.further():
        assert f"for {kind.purpose}" in words(page)
    press(page, "export_onnx")
    (job,) = [job for job in jobs.active() if job.kind == "export"]
    assert job.target == "shown.onnx"
    assert exports.offer(run, ONNX).word == "waiting"
    assert "export_onnx" not in {button.key for button in page.button}
    card = next(one.proto.body for one in page.get("html") if 'class-name">ONNX' in one.proto.body)
    assert "progress" in card  # in its own card, not in a pile with the others
    jobs.claim(job, "cpu")
    working = Run(run.export_place("onnx").parent)
    working.folder.mkdir(parents=True)
    working.status("export", done=6, total=12, words="Checking the exported model", seconds_left=9)
    assert "Checking the exported model" in words(page.run())
    jobs.forget("export", job.target)


def test_the_job_writes_into_the_folder_of_the_run(home):
    command = dispatcher.COMMANDS["export"]("20261122-101010-ab12.litert-int8")
    assert command[1:4] == ["-m", "transfer", "deliver"]
    assert command[0] == sys.executable
    assert command[4:] == [
        str((home / "runs" / "20261122-101010-ab12").absolute()),
        *("--format", "litert-int8", "--json"),
    ]


def test_a_refused_format_says_why(run):
    run.write("export-onnx", {"refused": "It *differs* by 0.3."})
    found = exports.offer(run, ONNX)
    assert (found.word, found.reason) == ("refused", "It *differs* by 0.3.")
    with pytest.raises(TransferError, match="not ready"):
        bundles.packed("model-onnx", run.folder.name)


def test_a_job_that_failed_says_why(run):
    exports.begin(run, ONNX)
    (job,) = [job for job in jobs.active() if job.kind == "export"]
    jobs.claim(job, "cpu")
    jobs.settle(job, "failed", "The disk is full.")
    assert exports.offer(run, ONNX).reason == "The disk is full."


def test_a_checked_format_is_taken_away_as_a_zip(run):
    _ready(run)
    assert exports.offer(run, ONNX).word == "ready"
    with zipfile.ZipFile(bundles.packed("model-onnx", run.folder.name)) as zipped:
        assert set(zipped.namelist()) == {"onnx/model.onnx", "onnx/example.py"}


def test_the_page_offers_it_with_its_check_and_its_snippet(open_page, shown):
    run = shown
    _ready(run)
    run.write("export-keras", {"refused": "It <b>differs</b>."})
    page = open_page("use", run="shown")
    assert harmless(page)
    assert "✓ Checked: the same answers on all 12" in words(page)
    assert re.search(r"for other languages and web pages, 2(\.\d)? MB", words(page))
    assert 'download="First-onnx.zip"' in markup(page)
    assert any(code.value == "print('how')" for code in page.code)
    assert "It <b>differs</b>." in words(page)


def test_a_deleted_run_takes_its_jobs_along(run):
    exports.begin(run, ONNX)
    workshop.delete(run)
    assert not jobs.active()
    assert not run.folder.exists()
