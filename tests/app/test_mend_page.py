"""The page "mend": what is changed, what that does, what is kept, and where it leads."""

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app import datasets, finds, mending, probing
from app.components import mending_gallery
from tests.app.conftest import harmless, markup, press, title, words
from transfer import store
from transfer.dataset import versions
from transfer.dataset.mending import Change
from transfer.feature_store import FeatureStore
from transfer.health import probe_files
from transfer.health.probe_files import Source


def _relabelled(digest: str, count: int = 2) -> str:
    """Change the class of some pictures; return the class that they have then."""
    index = datasets.index(digest)
    names = tuple(picture.name for picture in index.pictures[:count])
    versions.change(digest, Change("relabel", names, (), index.classes[-1]))
    return index.classes[-1]


def _checked(digest: str) -> None:
    """Put features into the store as a check does: such that the classes can be told apart."""
    index = datasets.index(digest)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(len(index.pictures), 24))
    rows[np.arange(len(rows)), index.class_numbers()] += 3.0
    kept = FeatureStore(store.home() / "features" / "net", 24)
    kept.append([picture.sha256 for picture in index.pictures], rows)
    folder = store.home() / "health" / f"{digest}-net-96"
    probe_files.write_source(folder, Source("features/net", 24, (0, 24), "net"))


def _data(page: Any) -> dict[str, Any]:
    (mounted,) = page.get("bidi_component")[-1:]
    return json.loads(mounted.proto.json)


def _answered(page: Any) -> Any:
    """Run the page until the quick check has answered."""
    deadline = time.monotonic() + 60
    while "The quick check looks at it" in words(page):
        assert time.monotonic() < deadline
        time.sleep(0.1)
        page.run()
        assert not page.exception
    return page


def test_nothing_is_changed_yet(open_page, fruit):
    page = open_page("mend", data=fruit)
    assert title(page) == "Put right what is wrong."
    assert "Fruit, version 1" in words(page)
    assert page.button(key="keep").disabled
    assert "Check the data first" in words(page)
    data = _data(page)
    assert (data["digest"], data["revision"]) == (fruit, 0)
    assert data["found"] == {"label": "", "positions": [], "hints": []}


def test_changes_are_listed_in_words_the_last_one_first(open_page, fruit):
    label = _relabelled(fruit)
    first = datasets.index(fruit).classes[0]
    versions.change(fruit, Change("rename", (), (first,), "<b>*x*</b>"))
    page = open_page("mend", data=fruit)
    assert title(page) == "2 changes, not kept yet."
    read = words(page)
    assert f"2 pictures moved from '{first}' to '{label}'" in read
    assert read.index("renamed to") < read.index("2 pictures moved")
    assert harmless(page)
    assert _data(page)["revision"] == 2


def test_the_last_change_is_taken_back(open_page, fruit):
    _relabelled(fruit)
    page = press(open_page("mend", data=fruit), "undo")
    assert versions.draft(fruit) == ()
    assert title(page) == "Put right what is wrong."


def test_all_changes_are_dropped_after_a_question(open_page, fruit):
    _relabelled(fruit)
    page = press(open_page("mend", data=fruit), "drop")
    assert "go for good" in words(page)
    assert len(versions.draft(fruit)) == 1
    page = press(page, "really")  # counts though the dialog is not drawn again just then
    assert versions.draft(fruit) == ()


def test_what_is_kept_is_a_new_version_and_the_page_goes_on_with_it(open_page, fruit):
    label = _relabelled(fruit)
    page = open_page("mend", data=fruit)
    assert page.button(key="keep").label == "Keep these changes as version 2"
    data = press(page, "keep")
    new = data.query_params["data"]
    assert new not in (fruit, [fruit])
    assert title(data) == "72 pictures in 3 classes."
    assert datasets.index(new).counts()[label] == 26
    assert datasets.index(fruit).counts()[label] == 24
    assert versions.draft(fruit) == ()
    assert title(open_page("mend", data=new)) == "Put right what is wrong."
    assert "version 2" in words(open_page("mend", data=new))


def test_the_data_page_leads_here_and_says_what_waits(open_page, fruit):
    page = open_page("data", data=fruit)
    assert "Mend" in page.button(key="mend").label
    _relabelled(fruit)
    page = open_page("data", data=fruit)
    assert "1 change not kept yet" in page.button(key="mend").label
    assert title(press(page, "mend")) == "1 change, not kept yet."


def test_a_finding_is_shown_first_with_what_it_suggests(open_page, fruit):
    index = mending.base(fruit)
    rows = [
        {"file": index.pictures[i].name, "label": index.pictures[i].label, "suggested": "pear"}
        for i in (40, 3)
    ]
    strange = {"file": "gone.png", "label": "x", "suggested": "y"}
    report = {
        "suspect_labels": [*rows, strange, "odd"],
        "duplicates": [{"kind": "near", "files": [index.pictures[i].name for i in (1, 2)]}],
        "groups": {"bursts": [{"files": [index.pictures[7].name]}]},
        "flaws": [{"kind": "too_dark", "files": [index.pictures[9].name]}, {"kind": "x"}],
    }
    store.write_json(store.home() / "health" / f"{fruit}-net-96" / "health.json", report)
    page = open_page("mend", data=fruit, find="suspect_labels")
    assert _data(page)["found"] == {
        "label": "Perhaps in the wrong class", "positions": [40, 3], "hints": ["pear", "pear"],
    }  # fmt: skip
    for kind, positions in (("duplicates", (1, 2)), ("bursts", (7,)), ("too_dark", (9,))):
        assert finds.find(index, kind).positions == positions
    assert finds.find(index, "too_dark").label == "Too dark"
    assert finds.find(replace(index, digest="none"), "duplicates").positions == ()
    page = open_page("mend", data=fruit, find="conflicts")
    assert "found no such picture" in words(page)


@pytest.mark.parametrize("text", ["", "[]", "7", '{"suspect_labels": 3, "flaws": [[]]}'])
def test_a_report_that_cannot_be_read_finds_nothing(open_page, fruit, text):
    path = store.home() / "health" / f"{fruit}-net-96" / "health.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    for kind in ("suspect_labels", "too_dark", "bursts"):
        assert finds.find(mending.base(fruit), kind).positions == ()


def test_a_class_of_the_address_is_shown_first(open_page, fruit):
    name = datasets.index(fruit).classes[1]
    assert _data(open_page("mend", data=fruit, show=name))["first"] == name
    assert _data(open_page("mend", data=fruit, show="nothing"))["first"] is None
    chosen = _data(open_page("mend", data=fruit, show=name, view="all"))
    assert (chosen["first"], chosen["view"]) == (name, "all")


def test_the_difference_is_told_as_soon_as_it_is_known(open_page, fruit):
    _checked(fruit)
    page = _answered(open_page("mend", data=fruit))
    assert "The quick check is right on 9" in words(page)
    assert "72 pictures" in words(page)
    _relabelled(fruit, 10)  # wrong labels
    page = _answered(open_page("mend", data=fruit))
    assert "Worse by about" in markup(page)
    assert " before, " in markup(page)
    assert "points; " not in markup(page)  # what is harder to read waits behind "Why?"
    assert "The difference is -" in words(page)
    assert "that you left in their class" in words(page)
    assert "What is a point?" in words(page)
    versions.undo(fruit)
    page = _answered(open_page("mend", data=fruit))
    assert "Worse" not in words(page)
    assert "What is a point?" not in words(page)


def test_what_cannot_be_answered_is_said_and_the_page_stays_usable(open_page, fruit):
    _checked(fruit)
    first, second, _ = datasets.index(fruit).classes
    versions.change(fruit, Change("delete", (), (first, second)))
    page = _answered(open_page("mend", data=fruit))
    assert "at least 2 classes" in words(page)
    assert title(page) == "1 change, not kept yet."
    versions.undo(fruit)
    assert "is right on" in words(_answered(open_page("mend", data=fruit)))


def test_only_one_process_answers_and_a_newer_change_replaces_it(fruit):
    _checked(fruit)
    assert probing.standing(fruit).word == "working"
    (first,) = [work.process for work in probing._working.values() if work.process.poll() is None]
    _relabelled(fruit)
    assert probing.standing(fruit).word == "working"
    assert first.poll() is not None
    deadline = time.monotonic() + 60
    while (standing := probing.standing(fruit)).word == "working":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert standing.answer is not None
    assert standing.answer["fingerprint"] == probe_files.fingerprint(versions.draft(fruit))


def _answer(**more: Any) -> dict[str, Any]:
    share = {"low": 0.8, "high": 0.9, "n": 5000}
    return {
        "pictures": 5000,
        "before": {"accuracy": 0.84, **share},
        "after": {"accuracy": 0.88, **share},
        "difference": {"value": 0.04, "low": 0.01, "high": 0.07},
        "untouched": None, "classes": [], "class_count": [4, 4], "unseen": 0, **more,
    }  # fmt: skip


_SAME = {"value": 0.004, "low": -0.014, "high": 0.022}


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.041, 0.01, 0.07, "Better by about 4 points."),
        (-0.012, -0.02, -0.003, "Worse by about 1 point."),
        (0.004, 0.001, 0.007, "Better by less than 1 point."),
        (0.1, 0.0, 0.2, "No clear difference yet."),
        (0.0, 0.0, 0.0, "No clear difference yet."),
    ],
)
def test_the_headline_is_plain(value: float, low: float, high: float, said: str):
    answer = _answer(difference={"value": value, "low": low, "high": high})
    assert probing.headline(answer, True) == said


def test_the_sentences_of_the_quick_check():
    answer = _answer()
    assert probing.figures(answer, True) == (
        "Quick check: right on 84 % before, 88 % now, of 5,000 pictures."
    )
    assert probing.headline(answer, False) == "The quick check is right on 88 %."
    assert probing.figures(answer, False).startswith(
        "Between 80 and 90 %, measured on 5,000 pictures."
    )
    (interval,) = probing.remarks(answer)
    assert "+4.0 points" in interval
    assert "between +1.0 and +7.0" in interval
    nearly = {**_answer()["after"], "accuracy": 0.998}
    assert "99 % now, of" in probing.figures(_answer(after=nearly), True)
    fewer = _answer(class_count=[4, 3], unseen=1)
    assert "84 % before with 4 classes, 88 % now with 3, of" in probing.figures(fewer, True)
    _, easier, unseen = probing.remarks(fewer)
    assert "fewer classes" in easier
    assert "easier" in easier
    assert unseen == "1 picture was not checked yet and does not count here."


def test_labels_that_were_put_right_are_never_said_to_be_for_nothing():
    same = {"pictures": 4000, **{key: _answer()[key] for key in ("before", "after")}}
    untouched = {**same, "difference": _SAME}
    assert probing.caution(_answer(difference=_SAME)) is None
    none = probing.caution(_answer(difference=_SAME, untouched=untouched))
    assert none is not None
    assert none.startswith("Right labels are worth having all the same")
    assert probing.caution(_answer(untouched=untouched)) == (
        "On the pictures that you left in their class: no clear difference yet."
    )
    better = {**same, "difference": _answer()["difference"]}
    assert probing.caution(_answer(untouched=better)) is None
    fairer = probing.remarks(_answer(untouched=untouched))[1]
    assert "On the 4,000 pictures that you left in their class" in fairer
    assert "between -1.4 and +2.2" in fairer


def test_an_address_without_pictures_leads_to_them(open_page):
    page = open_page("mend")
    assert title(page) == "There is nothing to mend yet."
    assert title(press(page, "fill")) == "Show me what to tell apart."


def test_pictures_that_are_gone(open_page):
    page = open_page("mend", data="0" * 32)
    assert title(page) == "These pictures are not here."
    assert "no longer in the store" in words(page)


def test_the_script_finds_every_text_and_every_part():
    import re
    from pathlib import Path

    folder = Path(mending_gallery.__file__).parent
    script = "\n".join((folder / name).read_text() for name in mending_gallery._SCRIPTS)
    texts = mending_gallery._TEXTS
    named = set(re.findall(r"\btexts\.(\w+)", script)) | {"undo", "redo"}
    named |= {f"part_{part}" for part in ("train", "val", "test")} - {"part_"}
    assert named - {"part_"} == set(texts)
    classes = set(" ".join(re.findall(r'class="([^"]+)"', mending_gallery._HTML)).split())
    parts = set(re.findall(r'\b(?:part|write|on)\("([\w-]+)"', script)) | set(texts["parts"])
    assert parts <= classes
