"""The page "health": before, while and after the pictures are checked; what leads there."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import checking, datasets, health, jobs, state
from app.checking import Subject
from app.components import honesty
from app.figures import Figures
from tests.app import healths
from tests.app.conftest import harmless, markup, press, title, words
from transfer.dataset import library, versions
from transfer.runs import Run

ODD = '<b onclick="x">**odd** &amp; $x$'


@pytest.fixture(autouse=True)
def _no_weights(keras_home: Path) -> None:
    """So the built-in network is the one that looks."""


def _job(subject: Subject) -> jobs.Job:
    job = jobs.latest("check", subject.key)
    assert job is not None
    return job


def _cards(page: Any) -> list[str]:
    return re.findall(r"<p class=\"verdict \w+\"><span>.</span>(.*?)</p><h2>", markup(page))


def _pictures(page: Any) -> list[str]:
    return re.findall(r"/192/(\w{64})\.jpg", markup(page))


def _leak(digest: str, count: int) -> list[dict[str, Any]]:
    pictures = healths.some(digest, 2 * count)
    return [
        {**healths.cluster(pictures[2 * i : 2 * i + 2]), "splits": ["train", "test"]}
        for i in range(count)
    ]


class TestBefore:
    def test_without_pictures(self, open_page):
        page = open_page("health")
        assert title(page) == "First the pictures."
        assert jobs.active() == []

    def test_pictures_that_are_gone(self, open_page):
        assert title(open_page("health", data="0f" * 16)) == "The pictures are not here."
        assert jobs.active() == []

    def test_opening_the_page_begins_the_check_once(self, open_page, fruit):
        page = open_page("health", data=fruit)
        assert title(page) == "Looking through 72 pictures."
        assert [(job.kind, job.target) for job in jobs.active()] == [
            ("check", checking.usual(fruit).key)
        ]
        assert "It begins in a moment." in words(page)
        page.run()
        assert len(jobs.active()) == 1

    def test_while_it_goes_on_it_says_how_far_it_is(self, open_page, fruit):
        page, subject = open_page("health", data=fruit), checking.usual(fruit)
        assert jobs.claim(_job(subject), "cpu")
        page.run()
        assert "Starting." in words(page)
        subject.run.status(
            "features", done=24, total=60, words="Looking at the pictures", seconds_left=40
        )
        page.run()
        assert "Looking at the pictures: 24 of 60 pictures, about 40 seconds left." in words(page)
        subject.run.status("check", done=2, total=6, words="Looking for copies")
        page.run()
        assert "Looking for copies." in words(page)
        healths.check(subject)
        page.run()
        assert title(page) == "Nothing wrong was found in 72 pictures."

    def test_what_failed_says_why_and_can_be_tried_again(self, open_page, fruit):
        page, subject = open_page("health", data=fruit), checking.usual(fruit)
        assert jobs.claim(_job(subject), "cpu")
        jobs.settle(_job(subject), "failed", "The disk is *full*.")
        page.run()
        assert title(page) == "The pictures could not be checked."
        assert "The disk is *full*." in re.sub(r"\\(\W)", r"\1", page.error[0].value)
        press(page, "check_again")
        assert title(page) == "Looking through 72 pictures."
        assert _job(subject).state == "queued"

    def test_the_bar_marks_the_data(self, open_page, fruit):
        page = open_page("health", data=fruit)
        labels = [link.label for link in page.get("page_link")]
        assert "**1 Data**" in labels
        assert "health" not in state.STEPS


class TestFindings:
    def test_nothing_wrong(self, open_page, fruit):
        healths.checked(fruit)
        page = open_page("health", data=fruit)
        assert title(page) == "Nothing wrong was found in 72 pictures."
        assert _cards(page) == []
        (folded,) = [box for box in page.expander if box.label.startswith("What was looked at")]
        assert "No picture is in two of your folders." in words(page)
        assert folded.label.endswith(f"({markup(page).count('<li>')})")
        assert title(press(page, "next")).startswith("Build on a network")

    def test_the_worst_first_with_what_to_do(self, open_page, fruit):
        dark = [one.name for one in healths.some(fruit, 2)]
        healths.checked(
            fruit, leaks=_leak(fruit, 2), flaws=[{"kind": "dark", "files": dark}],
            number=healths.number(0.71, 0.88, warn=True),
        )  # fmt: skip
        page = open_page("health", data=fruit)
        assert title(page) == "2 things to look at before you train."
        assert _cards(page) == ["Mend this first", "Look at this", "Good to know"]
        text = words(page)
        assert "And 1 remark below." in text
        assert "2 pictures are in your training folder and in your test folder" in text
        assert "The test would only repeat what it has learned by heart." in text
        assert text.count("What to do.") == 3
        assert len([m for m in page.markdown if "Barz and Denzler" in m.value]) == 1
        assert harmless(page)

    def test_pictures_of_one_group_stand_beside_each_other(self, open_page, fruit):
        healths.checked(fruit, leaks=_leak(fruit, 2))
        page = open_page("health", data=fruit)
        groups = re.findall(r'<div class="group".*?</div></div>', markup(page), re.DOTALL)
        assert [group.count("<img") for group in groups] == [2, 2]
        assert [one.sha256 for one in healths.some(fruit, 4)] == _pictures(page)
        assert "training</figcaption>" in groups[0]
        assert "test</figcaption>" in groups[0]

    def test_a_dozen_pictures_at_first_and_more_when_asked(self, open_page, fruit):
        names = [one.name for one in healths.some(fruit, 40)]
        healths.checked(fruit, flaws=[{"kind": "blurred", "files": names}])
        page = open_page("health", data=fruit)
        assert len(_pictures(page)) == 12
        assert page.button(key="more_0").label == "Show more (28 left)"
        press(page, "more_0")
        assert len(_pictures(page)) == 40
        assert not [button for button in page.button if button.key == "more_0"]

    def test_of_a_long_burst_a_few_are_shown(self, open_page, fruit):
        names = [one.name for one in healths.some(fruit, 20)]
        healths.checked(fruit, groups={"count": 50, "bursts": [{"files": names}]})
        page = open_page("health", data=fruit)
        assert len(_pictures(page)) == 6
        assert "and 14 more like these" in words(page)

    def test_the_page_for_mending_is_offered_where_there_is_one(
        self, open_page, fruit, monkeypatch
    ):
        healths.checked(fruit, leaks=_leak(fruit, 1))
        links = [link.label for link in open_page("health", data=fruit).get("page_link")]
        assert ("Mend these" in links) == ("mend" in state.PAGES)

    def test_names_and_words_from_elsewhere_are_shown_as_they_are(
        self, open_page, home, sample_folder, tmp_path
    ):
        folder = tmp_path / "set"
        for label in (ODD.replace("/", ""), "b"):
            (folder / label).mkdir(parents=True)
            for picture in sorted(sample_folder.rglob("*.*g"))[:5]:
                (folder / label / f"{ODD[:3]}{picture.name}").write_bytes(picture.read_bytes())
        digest = library.import_dataset(folder).digest
        guess = {**healths.GUESS, "example": ODD, "words": ODD}
        pictures = healths.some(digest, 4)
        suspect = {
            "file": pictures[0].name, "label": ODD, "suggested": ODD, "own": 0.1, "other": 0.9,
        }  # fmt: skip
        healths.checked(
            digest,
            conflicts=[{**healths.cluster(pictures[:2]), "labels": [ODD, "b"]}],
            suspect_labels=[suspect],
            shortcuts=[{"cue": ODD, "accuracy": 0.9, "low": 0.8, "high": 0.95, "chance": 0.5}],
            groups={"bursts": [], "guess": guess},
            number=healths.number(0.7, 0.9, warn=True, apart=[[ODD, "b"]]),
        )
        page = open_page("health", data=digest)
        assert harmless(page)
        assert ODD in words(page)
        assert harmless(open_page("data", data=digest))


class TestNumber:
    def test_both_numbers_and_the_sentence(self, open_page, fruit):
        number = healths.number(0.71, 0.88, warn=True, apart=[["apple", "pear"]])
        healths.checked(fruit, number=number)
        text = words(open_page("health", data=fruit)).replace("\u00a0", " ")
        assert "right on 71 % of your pictures (between 66 and 76 %)" in text
        assert "With groups torn apart it would seem to be 88 %" in text
        assert "‘\u2068apple\u2069’ and ‘\u2068pear\u2069’ cannot be told apart yet." in text

    def test_without_a_number(self, open_page, fruit):
        healths.checked(fruit)
        page = open_page("health", data=fruit)
        assert "How good would it be" not in words(page)

    def test_would_more_pictures_help(self, open_page, fruit):
        subject = healths.checked(fruit)
        assert "Would more pictures help?" not in words(open_page("health", data=fruit))
        subject.run.write("forecast", healths.CURVE)
        page = open_page("health", data=fruit)
        assert healths.CURVE["sentence"] in words(page)
        (chart,) = page.get("vega_lite_chart")
        spec = json.loads(chart.proto.spec)
        assert [layer["mark"]["type"] for layer in spec["layer"]] == ["area", "line"]


class TestGroups:
    def test_groups_that_the_names_seem_to_name(self, open_page, fruit):
        healths.checked(fruit, groups={"bursts": [], "named": False, "guess": healths.GUESS})
        page = open_page("health", data=fruit)
        assert healths.GUESS["words"] in words(page)
        healths.checked(fruit, groups={"guess": {**healths.GUESS, "words": ""}})
        text = words(open_page("health", data=fruit))
        assert "They seem to name 3 groups, for example apple." in text

    def test_keeping_them_together_makes_a_version(self, open_page, fruit):
        # The first letter of the file's name: every picture has one.
        guess = {**healths.GUESS, "pattern": r"([^/])[^/]*$"}
        healths.checked(fruit, groups={"bursts": [], "named": False, "guess": guess})
        page = press(open_page("health", data=fruit), "keep_together")
        digest = page.query_params["data"]
        assert digest != [fruit]
        digest = digest[0] if isinstance(digest, list) else digest
        assert digest != fruit
        assert all(one.group for one in datasets.index(digest).pictures)
        assert versions.draft(fruit) == ()
        assert _job(checking.usual(digest)).state == "queued"

    def test_groups_that_the_user_named_are_not_asked_for(self, open_page, fruit):
        healths.checked(fruit, groups={"bursts": [], "named": True, "guess": healths.GUESS})
        assert "Do your file names" not in words(open_page("health", data=fruit))


class TestTheLineOnTheDataPage:
    def _line(self, open_page: Any, digest: str) -> str:
        (line,) = [
            link.label
            for link in open_page("data", data=digest).get("page_link")
            if "heck" in link.label
        ]
        return line

    def test_before_while_and_after(self, open_page, fruit):
        assert self._line(open_page, fruit) == "Check these pictures for mistakes"
        assert jobs.active() == []  # looked through when somebody asks
        checking.begin(checking.usual(fruit))
        assert self._line(open_page, fruit) == "These pictures are being checked for mistakes"
        healths.checked(fruit, leaks=_leak(fruit, 1))
        found = "Checked: 1 thing to look at"
        assert self._line(open_page, fruit) == found
        report = checking.standing(checking.usual(fruit)).found
        assert report is not None
        assert health.line(health.findings(report, datasets.index(fruit))) == found


class TestResults:
    def _page(self, open_page: Any, finished: Any, **more: Any) -> Any:
        run = Run(finished.home / "runs" / finished.run_id)
        run.finish({**run.result(), **more})
        return open_page("results", run=finished.run_id)

    def test_bursts_are_warned_of(self, open_page, finished):
        plain = words(self._page(open_page, finished, honesty=None))
        assert "come in bursts" not in plain
        calm = healths.number(0.8, 0.82, warn=False)
        assert "come in bursts" not in words(self._page(open_page, finished, honesty=calm))
        number = healths.number(0.71, 0.88, warn=True)
        page = self._page(open_page, finished, honesty=number)
        text = words(page).replace("\u00a0", " ")
        assert "Your pictures come in bursts: counted fairly 71 %, with bursts torn" in text
        assert [one for one in page.markdown if "grouped cross-validation" in one.value]

    def test_classes_that_are_not_told_apart(self):
        classes, calm = ("a", "b", "c"), np.diag([20, 20, 20])
        mixed = np.array([[11, 9, 0], [10, 10, 0], [0, 0, 20]])
        assert honesty.apart(Figures("test", classes, calm, "")) == ""
        told = honesty.apart(Figures("test", classes, mixed, ""))
        assert "‘\u2068a\u2069’ and ‘\u2068b\u2069’ cannot be told apart yet." in told
