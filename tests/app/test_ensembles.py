"""What an ensemble gave, on the page of results; and the buttons that make one."""

import time
from dataclasses import replace
from typing import Any

import pytest

from app import ensembles, jobs, workshop
from app.dispatcher import Dispatcher
from tests.app.conftest import Store, markup, press, words
from transfer import wording
from transfer.ensembling import planning
from transfer.runs import Run


def share(accuracy: float, n: int = 100) -> dict[str, Any]:
    return {"accuracy": accuracy, "low": accuracy - 0.05, "high": min(1.0, accuracy + 0.05), "n": n}


def member(name: str, weight: float, accuracy: float, **more: Any) -> dict[str, Any]:
    test = share(accuracy)
    return {"name": name, "run": name, "kind": "linear", "weight": weight,
            "validation": test, "test": test,
            "milliseconds": 12.0, "megabytes": 9.1, **more}  # fmt: skip


def result(only_ensemble: int = 9, only_member: int = 1, p: float = 0.02) -> dict[str, Any]:
    members = [member("A, last stage", 0.3, 0.86), member("B, last stage", 0.7, 0.84),
               member("C, last stage", 0.0, 0.7)]  # fmt: skip
    gain = {"points": 8.0, "low": 2.0, "high": 14.0, "only_ensemble": only_ensemble,
            "only_member": only_member, "p": p}  # fmt: skip
    block = {"members": members, "best": 0, "part": "test", "gain": gain, "milliseconds": 21.0,
             "megabytes": 18.0, "chosen_by": 240, "left_out": ["D"], "networks": ["A", "B"],
             "refitted": True}  # fmt: skip
    return {"test": share(0.94), "validation": share(0.9), "ensemble": block}


def test_it_is_seen_at_a_glance():
    found = ensembles.read(result())
    assert found is not None
    assert ensembles.headline(found) == "2 networks together: +8.0 points"
    equal = replace(found, points=-0.01)
    assert ensembles.headline(equal) == "2 networks together: no difference"
    said = ensembles.sentence(found)
    assert "is better" in said
    assert "right on 9 pictures" in said.replace("\u00a0", " ")
    assert [row.name for row in found.rows] == ["B, last stage", "A, last stage"]
    drawn = ensembles.chart(found)
    assert drawn.index("All together") < drawn.index("B, last stage") < drawn.index("A, last stage")
    assert "C, last stage" not in drawn
    assert "21 ms a picture" in drawn
    assert "classifier on features · weight 70 %" in drawn
    assert "18.0 MB" in drawn
    assert "1 other was tried" in ensembles.notes(found)
    assert "no time for D" in ensembles.notes(found)
    assert (found.test.both, found.test.neither) == (85, 5)


def test_no_difference_is_said_to_be_none():
    found = ensembles.read(result(3, 2, 1.0))
    assert found is not None
    assert ensembles.sentence(found).startswith("No difference shown")


def test_each_kind_has_its_words_and_a_why():
    for kind in wording.MEMBER_KINDS.values():
        assert f"*{kind.removesuffix(' of weights')}*" in ensembles.ABOUT_KINDS
    assert tuple(ensembles.ASKED) == planning.KINDS
    earlier = result()
    del earlier["ensemble"]["members"][0]["kind"]
    found = ensembles.read(earlier)
    assert found is not None
    assert found.rows[1].kind == ""


def test_other_runs_have_none():
    assert ensembles.read({"ensemble": None}) is None
    assert ensembles.read({}) is None


def test_names_are_harmless():
    bad = result()
    bad["ensemble"]["members"][0]["name"] = "<script>"
    found = ensembles.read(bad)
    assert found is not None
    assert "<script>" not in ensembles.chart(found)


@pytest.fixture
def ensemble(finished: Store) -> Run:
    """The finished run as if it were an ensemble."""
    run = workshop.run(finished.run_id)
    known = run.result()
    block = result()["ensemble"]
    n = known["test"]["n"]
    for one in block["members"]:
        one["test"] = known["test"]
    right = round(known["test"]["accuracy"] * n)
    block["gain"] |= {"only_ensemble": min(1, right), "only_member": 0, "p": 1.0, "points": 1.0}
    run.finish({**known, "ensemble": block})
    return run


def test_the_page_shows_it(open_page: Any, ensemble: Run) -> None:
    page = open_page("results", run=ensemble.folder.name)
    assert "2 networks together" in markup(page)
    assert "No difference shown" in words(page)
    assert "several networks (A, B)" in words(page)


def test_members_that_train_are_asked_for(open_page: Any, finished: Store) -> None:
    page = open_page("results", run=finished.run_id)
    pills = next(one for one in page.get("button_group") if one.key == "improve_kinds")
    pills.set_value(["folds", "soup"])
    page = press(page, "improve_it")
    made = workshop.run(str(next(iter(jobs.active())).target))
    assert planning.read(made).kinds == ("folds", "soup")


def test_one_press_makes_an_ensemble_of_the_same_pictures(open_page: Any, finished: Store) -> None:
    page = press(open_page("results", run=finished.run_id), "improve_it")
    made = workshop.run(page.query_params["run"][0] if isinstance(page.query_params["run"], list)
                        else page.query_params["run"])  # fmt: skip
    assert made.folder.name != finished.run_id
    config = made.config()
    assert (config.strategy, config.budget) == ("ensemble", 300.0)
    assert "builtin" in planning.read(made).backbones
    assert made.read("split") == workshop.run(finished.run_id).read("split")
    assert [job.target for job in jobs.active()] == [made.folder.name]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_improve_it_goes_through_the_queue_to_a_page(open_page: Any, finished: Store) -> None:
    """By the process that the dispatcher starts: made, exported, checked and shown."""
    press(open_page("results", run=finished.run_id), "improve_it")
    (job,) = jobs.active()
    worker, deadline = Dispatcher(gpus=[]), time.monotonic() + 900
    while worker.step():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    made = workshop.run(job.target)
    standing = workshop.standing(made)
    assert (standing.word, standing.error) == ("finished", None)
    assert made.read("export")["max_difference"] <= 1e-4  # pyright: ignore[reportOptionalSubscript]
    page = open_page("results", run=made.folder.name)
    assert "All together" in markup(page)
    assert "classifier on features" in markup(page)
    assert made.read("calibration")["parts"]["test"]  # pyright: ignore[reportOptionalSubscript]
