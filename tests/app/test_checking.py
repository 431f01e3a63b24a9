"""Checks in the queue: begun once, gone with their data set, counted in the store."""

import pytest

from app import advising, checking, dispatcher, jobs, storage
from app.checking import Subject
from tests.app import healths
from tests.app.conftest import put_weights
from transfer.config import RunConfig
from transfer.errors import BackboneError


def _subject(digest: str, backbone: str = "builtin", size: int = 96) -> Subject:
    return Subject(digest, backbone, size)


def _job(subject: Subject) -> jobs.Job:
    job = jobs.latest("check", subject.key)
    assert job is not None
    return job


def _settled(subject: Subject, state: jobs.State, error: str | None = None) -> None:
    assert jobs.claim(_job(subject), "cpu")
    jobs.settle(_job(subject), state, error)


def test_the_job_is_the_check_of_its_folder(home):
    subject = Subject("0f" * 16, "MobileNetV2:0.35", 224)
    assert subject.run.folder == home / "health" / f"{'0f' * 16}-MobileNetV2-0.35-224"
    assert dispatcher.COMMANDS["check"](subject.key)[1:] == [
        *("-m", "transfer", "check", str(subject.run.folder), "--json")
    ]


def test_the_network_of_a_check_is_always_here(fruit, keras_home):
    assert checking.usual(fruit).backbone == "builtin"
    put_weights("MobileNetV2")
    assert checking.usual(fruit) == Subject(fruit, "MobileNetV2", 224)


def test_a_check_from_its_beginning_to_its_end(fruit):
    subject = _subject(fruit)
    assert checking.standing(subject).word == "none"
    checking.begin(subject)
    checking.begin(subject)
    assert [(job.kind, job.target) for job in jobs.active()] == [("check", subject.key)]
    assert checking.standing(subject).word == "waiting"
    assert subject.run.config() == RunConfig(fruit, "builtin", 96, strategy="auto")
    assert jobs.claim(_job(subject), "cpu")
    subject.run.status("features", done=1, total=2)
    standing = checking.standing(subject)
    assert (standing.word, standing.alive, standing.status["done"]) == ("checking", True, 1)
    healths.check(subject)
    standing = checking.standing(subject)
    assert (standing.word, standing.alive) == ("ready", False)
    assert standing.found is not None


def test_an_advice_is_given_before_a_check_and_a_check_before_a_training(fruit):
    (lane, *_) = dispatcher._LANES
    first = ["advise", "check", "rehearse", "export", "score", "views", "train", "search"]
    assert list(lane) == first


def test_a_damaged_status_is_no_harm(fruit):
    subject = _subject(fruit)
    checking.begin(subject)
    (subject.run.folder / "status.json").write_text("{")
    assert checking.standing(subject).status == {}


def test_a_size_that_the_network_does_not_take_begins_nothing(fruit):
    with pytest.raises(BackboneError):
        checking.begin(_subject(fruit, "InceptionV3", 40))
    assert jobs.active() == []


def test_what_failed_says_why_and_begins_anew_in_a_clean_folder(fruit):
    subject = _subject(fruit)
    checking.begin(subject)
    _settled(subject, "failed", "The disk is full.")
    assert checking.standing(subject).error == "The disk is full."
    subject.run.write("health", ["of", "another", "version"])
    checking.begin(subject)
    assert checking.standing(subject).word == "waiting"
    assert subject.run.read("health") is None


def test_a_job_that_left_no_report_has_failed(fruit):
    subject = _subject(fruit)
    checking.begin(subject)
    _settled(subject, "done")
    standing = checking.standing(subject)
    assert (standing.word, "Try it again" in str(standing.error)) == ("failed", True)


def test_a_folder_that_another_version_left_is_cleared(fruit):
    subject = _subject(fruit)
    subject.run.folder.mkdir(parents=True)
    (subject.run.folder / "config.json").write_text('{"old": 1}')
    checking.begin(subject)
    assert subject.run.config().strategy == "auto"


def test_what_was_cancelled_is_as_if_nobody_had_asked(fruit):
    subject = _subject(fruit)
    checking.begin(subject)
    jobs.cancel(_job(subject))
    assert checking.standing(subject).word == "none"


def test_checks_go_with_their_data_set_and_are_counted(fruit, home):
    other = _subject("a" * 32)
    before = storage.data_set_size(fruit)
    healths.check(_subject(fruit))
    healths.check(other)
    assert storage.used()["health"] == storage.size(home / "health") > 0
    assert storage.data_set_size(fruit) == before + storage.size(_subject(fruit).run.folder)
    checking.begin(_subject(fruit, size=128))
    advising.begin(advising.Subject(fruit, "builtin", 96))
    storage.delete_data_set(fruit)
    assert [path.name for path in checking.folders()] == [other.key]
    assert jobs.active() == []


def test_what_is_left_of_deleted_data_sets_is_freed(fruit):
    kept, left = _subject(fruit), _subject("a" * 32)
    for subject in (kept, left):
        checking.begin(subject)
        _settled(subject, "done")
        jobs.file(_job(subject), "log").write_text("words")
    checking.begin(kept)
    log = jobs.file(_job(kept), "log")
    log.write_text("words")
    assert "Checks of data sets that were deleted" in [rest.what for rest in storage.unused()]
    storage.free()
    assert [path.name for path in checking.folders()] == [kept.key]
    assert jobs.latest("check", left.key) is None
    assert log.is_file()
    assert [job.target for job in jobs.active()] == [kept.key]
