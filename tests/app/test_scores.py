"""Many pictures in, a table out: from the page into the queue and back."""

import csv
import io
import zipfile
from collections import Counter

import pytest

from app import jobs, scores, workshop
from app.dispatcher import Dispatcher
from tests.app.conftest import press, words
from transfer.errors import DataError
from transfer.runs import Run


@pytest.fixture
def run(finished) -> Run:
    return Run(finished.home / "runs" / finished.run_id)


def _packed(sample_folder) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for path in sorted(sample_folder.rglob("*.jpg"))[::24]:
            zipped.write(path, path.parent.name + ".jpg")
        zipped.writestr("note.txt", "no picture")
    return packed.getvalue()


def test_a_zip_becomes_a_table_and_the_pictures_go(run, sample_folder):
    scores.begin(run, [("many.zip", io.BytesIO(_packed(sample_folder)))])
    assert scores.standing(run).word == "waiting"
    dispatcher = Dispatcher(gpus=[])
    while dispatcher.step():
        pass
    found = scores.standing(run)
    assert found.word == "ready", found
    assert found.table
    rows = list(csv.DictReader(found.table.read_text(encoding="utf-8").splitlines()))
    assert [row["file"] for row in rows] == ["apple.jpg", "lemon.jpg", "lime.jpg", "note.txt"]
    assert all(row["label"] for row in rows[:3])
    assert "is not a picture" in rows[3]["reason"]
    assert not (found.table.parent / "pictures").exists()
    counted = scores.summary(found.table)
    assert sum(counted.classes.values()) == 3
    assert counted.classes == Counter(row["label"] for row in rows[:3])
    assert counted.silent == sum(row["answers"] == "False" for row in rows)
    assert counted.left_out == 1


def test_two_files_of_one_name_stay_two(run):
    scores.begin(run, [("a/x.jpg", io.BytesIO(b"1")), ("x.jpg", io.BytesIO(b"2"))])
    (folder,) = run.scores_folder.iterdir()
    assert {path.name for path in (folder / "pictures").iterdir()} == {"x.jpg", "x-1.jpg"}
    (target,) = scores.targets(run)
    assert scores.command(target)[5] == str(folder / "pictures")
    with pytest.raises(DataError, match="no picture"):
        scores.begin(run, [])


def test_a_deleted_run_takes_its_tables_along(run):
    scores.begin(run, [("x.jpg", io.BytesIO(b"1"))])
    workshop.delete(run)
    assert not jobs.active()


def test_the_page_takes_pictures_and_shows_how_far_it_is(open_page, shown):
    run = shown
    page = open_page("use", run="shown")
    page.file_uploader(key="score_files").set_value([("x.jpg", b"1", "image/jpeg")]).run()
    press(page, "score")
    assert scores.standing(run).word == "waiting"
    (job,) = [job for job in jobs.active() if job.kind == "score"]
    jobs.claim(job, "cpu")
    (folder,) = run.scores_folder.iterdir()
    Run(folder).status("score", done=5, total=9, words="Looking at the pictures: 5 of 9")
    assert "Looking at the pictures: 5 of 9" in words(page.run())
    press(page, "score_stop")
    assert scores.standing(run).word == "none"


def test_the_page_says_what_is_in_the_table(open_page, shown):
    place = shown.scores_folder / "abcd1234"
    place.mkdir(parents=True)
    rows = ["apple,True,True,", "apple,False,True,", "lime,True,False,", ",,,it is not a picture"]
    lines = ["file,label,answers,known,reason", *(f"{n}.jpg,{row}" for n, row in enumerate(rows))]
    (place / "answers.csv").write_text("\n".join(lines), encoding="utf-8")
    text = words(open_page("use", run="shown")).replace("\u2068", "").replace("\u2069", "")
    assert "3 pictures answered: 2 ‘apple’ and 1 ‘lime’." in text
    assert "On 1 of them it is not sure enough" in text
    assert "1 looks like none of its classes. 1 file was left out: the table says why." in text
