"""The checks before a training in the queue: begun once, read back, gone with their data set."""

import pytest

from app import dispatcher, jobs, starting, storage
from app.starting import Subject
from transfer.config import RunConfig
from transfer.errors import SettingsError
from transfer.runs import Run

ANSWER = {
    "pictures": {
        "plain": ["checks/plain-00.png"], "augmented": ["checks/augmented-00.png"],
        "labels": ["apple"], "light": "green", "words": "The network sees pictures.",
    },
    "start_loss": {"loss": 1.12, "expected": 1.0986, "closed_form": 0.3, "light": "green",
                   "words": "As guessing has it."},
    "overfit": {"images": 20, "steps": 3, "losses": [1.1, 0.4, 0.1, 0.01], "accuracy": 1.0,
                "light": "green", "words": "By heart."},
    "rate_range": {"rates": [1e-7, 1e-6], "losses": [1.1, 1.1], "chosen": None, "planned": 1e-3,
                   "batch_size": 32, "light": "red", "words": "No rate helps."},
    "cost": {"seconds_a_step": 0.2, "steps": 500, "epochs": 20, "minutes": 2.5, "memory_mb": 300,
             "batch_size": 16, "halved_from": 32, "device": "CPU", "light": "amber",
             "words": "Halved."},
}  # fmt: skip


def _subject(digest: str, **settings) -> Subject:
    given = {"strategy": "finetune_few", **settings}
    return starting.of(RunConfig(digest, "builtin", 96, **given))


def _job(subject: Subject) -> jobs.Job:
    job = jobs.latest("rehearse", subject.key)
    assert job is not None
    return job


def test_the_job_is_that_of_its_folder(home):
    subject = _subject("0f" * 16)
    assert subject.run.folder.parent == home / "rehearsals"
    assert dispatcher.COMMANDS["rehearse"](subject.key)[1:] == [
        *("-m", "transfer", "rehearse", str(subject.run.folder), "--json")
    ]


def test_other_settings_are_other_checks():
    one, other = _subject("0f" * 16), _subject("0f" * 16, learning_rate=1e-2)
    assert one.key != other.key
    assert one.key == _subject("0f" * 16).key


def test_from_beginning_to_end(fruit):
    subject = _subject(fruit)
    assert starting.standing(subject).word == "none"
    assert starting.ahead() == 0
    starting.begin(subject)
    starting.begin(subject)
    assert [(job.kind, job.target) for job in jobs.active()] == [("rehearse", subject.key)]
    assert (starting.standing(subject).word, starting.ahead()) == ("waiting", 1)
    assert subject.run.config().strategy == "finetune_few"
    assert jobs.claim(_job(subject), "cpu")
    subject.run.status("checks", done=1, total=6)
    standing = starting.standing(subject)
    assert (standing.word, standing.alive, standing.status["done"]) == ("checking", True, 1)
    subject.run.write("checks", ANSWER)
    jobs.settle(_job(subject), "done")
    standing = starting.standing(subject)
    assert (standing.word, standing.alive) == ("ready", False)
    found = standing.found
    assert found is not None
    assert found.light == "red"
    assert [one.light for one in found.told] == ["green", "green", "green", "red", "amber"]
    assert found.pictures is not None
    assert found.pictures.plain == (subject.run.folder / "checks" / "plain-00.png",)
    assert found.cost is not None
    assert found.cost.halved_from == 32


def test_the_time_left_is_known_once_the_sample_is_taken(fruit):
    subject = _subject(fruit)
    starting.begin(subject)
    assert starting.seconds_left(starting.standing(subject), 0.0) is None
    assert jobs.claim(_job(subject), "cpu")
    began = _job(subject).started
    assert began is not None

    def left(done: float, phase: str = "checks") -> float | None:
        subject.run.status(phase, done=done, total=6, words="")
        return starting.seconds_left(starting.standing(subject), began + 40)

    assert (left(0), left(0.5), left(3, "weights")) == (None, None, None)
    assert left(1) == pytest.approx(40)  # the sample takes half of the time
    assert left(4) == pytest.approx(10)
    assert left(5.5) == pytest.approx(40 / 0.95 - 40)
    later = [left(done) or 0.0 for done in (1, 2, 3, 3.5, 4, 5)]
    assert later == sorted(later, reverse=True)  # ever less, the time being the same


def test_what_has_another_form_is_left_out_and_files_elsewhere_are_not_named(fruit):
    subject = _subject(fruit)
    starting.begin(subject)
    pictures = {**ANSWER["pictures"], "plain": ["../../secret.png"]}
    odd = {**ANSWER, "pictures": pictures, "overfit": {"images": "many"}, "cost": None}
    subject.run.write("checks", odd)
    found = starting.standing(subject).found
    assert found is not None
    assert (found.overfit, found.cost) == (None, None)
    assert found.pictures is not None
    assert found.pictures.plain == (subject.run.checks_folder / "secret.png",)


@pytest.mark.parametrize("value", [[], {}, {"cost": {"light": "blue", "words": ""}}])
def test_an_answer_without_any_part_is_none(fruit, value):
    subject = _subject(fruit)
    starting.begin(subject)
    subject.run.write("checks", value)
    assert jobs.claim(_job(subject), "cpu")
    jobs.settle(_job(subject), "done")
    standing = starting.standing(subject)
    assert (standing.word, "Try them again" in str(standing.error)) == ("failed", True)


def test_what_failed_says_why_and_begins_anew(fruit):
    subject = _subject(fruit)
    starting.begin(subject)
    assert jobs.claim(_job(subject), "cpu")
    jobs.settle(_job(subject), "failed", "The disk is full.")
    assert starting.standing(subject).error == "The disk is full."
    starting.begin(subject)
    assert starting.standing(subject).word == "waiting"
    jobs.cancel(_job(subject))
    assert starting.standing(subject).word == "none"


def test_they_go_with_their_data_set_and_are_counted(fruit, home):
    subject, left = _subject(fruit), _subject("a" * 32)
    for one in (subject, left):
        starting.begin(one)
        one.run.write("checks", ANSWER)
    assert storage.used()["rehearsals"] == storage.size(home / "rehearsals") > 0
    assert "Checks of trainings on data sets that were deleted" in [
        rest.what for rest in storage.unused()
    ]
    storage.free()
    assert [path.name for path in starting.folders()] == [subject.key]
    storage.delete_data_set(fruit)
    assert starting.folders() == []
    assert jobs.active() == []


def test_settings_that_cannot_be_used_begin_nothing():
    with pytest.raises(SettingsError):
        _subject("0f" * 16, epochs=0)
    assert not Run(starting.folder()).exists
