"""Measurements in the queue: begun once, given up when nobody waits, gone with their data set."""

import pytest

from app import advising, dispatcher, jobs, storage, workshop
from app.advising import Subject
from tests.app import advices
from transfer.config import RunConfig
from transfer.errors import BackboneError


def _subject(digest: str, backbone: str = "builtin", size: int = 96) -> Subject:
    return Subject(digest, backbone, size)


def _settled(subject: Subject, state: jobs.State, error: str | None = None) -> None:
    job = jobs.latest("advise", subject.key)
    assert job is not None
    assert jobs.claim(job, "cpu")
    jobs.settle(job, state, error)


def test_the_job_is_the_measuring_of_its_folder(home):
    subject = Subject("0f" * 16, "MobileNetV2:0.35", 224)
    assert subject.key == f"{'0f' * 16}-MobileNetV2-0.35-224"
    assert subject.run.folder == home / "advice" / subject.key
    assert dispatcher.COMMANDS["advise"](subject.key)[1:] == [
        *("-m", "transfer", "measure", str(subject.run.folder), "--json")
    ]


def test_a_measurement_from_its_beginning_to_its_end(fruit):
    subject = _subject(fruit)
    assert advising.standing(subject).word == "none"
    advising.begin(subject)
    advising.begin(subject)
    assert [job.target for job in jobs.active()] == [subject.key]
    assert advising.standing(subject).word == "waiting"
    job = jobs.latest("advise", subject.key)
    assert job is not None
    jobs.claim(job, "cpu")
    subject.run.status("features", done=1, total=2)
    standing = advising.standing(subject)
    assert (standing.word, standing.alive, standing.status["done"]) == ("measuring", True, 1)
    advices.measure(subject, advices.advice())
    assert advising.standing(subject).word == "ready"


def test_a_size_that_the_network_does_not_take_begins_nothing(fruit):
    with pytest.raises(BackboneError):
        advising.begin(_subject(fruit, "InceptionV3", 40))
    assert jobs.active() == []


def test_what_failed_begins_anew_in_a_clean_folder(fruit):
    subject = _subject(fruit)
    advising.begin(subject)
    subject.run.write("advice", {"of": "another version"})
    _settled(subject, "done")
    assert advising.standing(subject).word == "failed"
    advising.begin(subject)
    assert advising.standing(subject).word == "waiting"
    assert subject.run.read("advice") is None


def test_a_folder_that_another_version_left_is_cleared(fruit):
    subject = _subject(fruit)
    subject.run.folder.mkdir(parents=True)
    (subject.run.folder / "config.json").write_text('{"old": 1}')
    advising.begin(subject)
    assert subject.run.config().strategy == "auto"


def test_others_give_way_and_those_of_other_pictures_stay(fruit):
    mine, old, other = _subject(fruit), _subject(fruit, size=128), _subject("a" * 32)
    for subject in (mine, old, other):
        advising.begin(subject)
    training = workshop.start(RunConfig(fruit, "builtin", 96), "t").folder.name
    advising.give_way(fruit, keep=mine)
    assert [job.target for job in jobs.active()] == [mine.key, other.key, training]
    advising.give_way(fruit)
    assert [job.target for job in jobs.active()] == [other.key, training]
    assert advising.standing(old).word == "none"


@pytest.mark.parametrize(
    ("strategy", "size", "word"),
    [("auto", 96, "training"), ("all", 96, "training"), ("linear_top", 96, "none"),
     ("auto", 128, "none")],
)  # fmt: skip
def test_a_training_under_way_that_measures(fruit, strategy, size, word):
    run = workshop.start(RunConfig(fruit, "builtin", size, strategy=strategy), "t")
    assert advising.standing(_subject(fruit)).word == word
    job = jobs.latest("train", run.folder.name)
    assert job is not None
    jobs.cancel(job)
    assert advising.standing(_subject(fruit)).word == "none"


def test_what_a_training_measured_stays_without_it(fruit):
    run = workshop.start(RunConfig(fruit, "builtin", 96), "t")
    run.write("advice", advices.advice("different", "lots"))
    assert advising.standing(_subject(fruit)).word == "ready"
    workshop.delete(run)
    assert advising.standing(_subject(fruit)).word == "ready"
    assert advising.standing(_subject(fruit, size=128)).word == "none"


def test_measurements_go_with_their_data_set(fruit, home):
    subject, other = _subject(fruit), _subject("a" * 32)
    advices.measure(subject, advices.advice())
    advising.begin(_subject(fruit, size=128))
    advices.measure(other, advices.advice())
    assert storage.data_set_size(fruit) > storage.size(home / "datasets" / fruit)
    assert storage.used()["advice"] == storage.size(home / "advice") > 0
    storage.delete_data_set(fruit)
    assert [path.name for path in advising.folders()] == [other.key]
    assert jobs.active() == []
    assert storage.runs_using(fruit) == []


def test_what_is_left_of_deleted_data_sets_is_freed(fruit, home):
    kept, left = _subject(fruit), _subject("a" * 32)
    for subject in (kept, left):
        advising.begin(subject)
        _settled(subject, "done")
        job = jobs.latest("advise", subject.key)
        assert job is not None
        jobs.file(job, "log").write_text("words")
    advising.begin(kept)
    storage.free()
    assert [path.name for path in advising.folders()] == [kept.key]
    assert jobs.latest("advise", left.key) is None
    assert [job.target for job in jobs.active()] == [kept.key]
