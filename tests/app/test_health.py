"""What a check found, in sentences; reports that are damaged or of another version."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app import checked, finds, health, honest, remedies
from app.checked import Cluster, Report
from app.health import Finding
from tests.app import healths
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.runs import Run

PICTURES = healths.index(
    *((f"train/shirt/{i}.jpg", "shirt", "train") for i in range(20)),
    *((f"train/dress/{i}.jpg", "dress", "train") for i in range(8)),
    *((f"test/shirt/{i}.jpg", "shirt", "test") for i in range(4)),
)


@pytest.fixture
def run(tmp_path) -> Run:
    made = Run(tmp_path / "check")
    made.start(RunConfig("0f" * 16, "builtin", 96))
    return made


def _read(run: Run, **parts: Any) -> Report:
    run.write("health", {**healths.CLEAN, **parts})
    report = checked.read(run)
    assert report is not None
    return report


def _found(run: Run, pictures: ImageIndex = PICTURES, **parts: Any) -> tuple[Finding, ...]:
    return health.findings(_read(run, **parts), pictures)


def _plain(text: str) -> str:
    """Without what keeps names apart from the words around them, and with plain spaces."""
    return text.replace("\u2068", "").replace("\u2069", "").replace("\u00a0", " ")


def _cluster(*names: str, kind: str = "exact") -> dict[str, Any]:
    named = {one.name: one for one in PICTURES.pictures}
    return healths.cluster([named[name] for name in names], kind)


def _shortcut(cue: str, accuracy: float = 0.96, **more: Any) -> dict[str, Any]:
    return {
        "cue": cue, "accuracy": accuracy, "low": accuracy - 0.03, "high": accuracy + 0.02,
        "chance": 0.5, "compared": None, "labels": ["dress", "shirt"], **more,
    }  # fmt: skip


LEAK = _cluster("train/shirt/0.jpg", "test/shirt/0.jpg")
CONFLICT = _cluster("train/shirt/1.jpg", "train/dress/0.jpg", kind="near")
COPIES = _cluster("train/shirt/2.jpg", "train/shirt/3.jpg", "train/shirt/4.jpg")
SUSPECT = {"file": "train/dress/3.jpg", "label": "dress", "suggested": "shirt", "own": 0.1,
           "other": 0.8, "score": 0.9}  # fmt: skip


class TestSentences:
    @pytest.mark.parametrize(
        ("parts", "headline", "severity"),
        [
            ({"leaks": [LEAK]}, "1 picture is in your training folder and in your test folder",
             "red"),
            ({"leaks": [LEAK] * 9},
             "9 pictures are in your training folder and in your test folder", "red"),
            ({"leaks": [{**LEAK, "splits": ["train", "val"]}, LEAK]},
             "2 pictures are in several of your folders", "red"),
            ({"conflicts": [CONFLICT]}, "The same picture is called ‘dress’ and ‘shirt’", "red"),
            ({"conflicts": [CONFLICT] * 3}, "3 pictures are called ‘dress’ and ‘shirt’", "red"),
            ({"conflicts": [CONFLICT, CONFLICT, {**CONFLICT, "labels": ["shirt", "hat"]}]},
             "3 pictures are in several classes, most often ‘dress’ and ‘shirt’", "red"),
            ({"shortcuts": [_shortcut("camera")]},
             "Your classes differ in camera, not only in subject: from the camera's name alone one"
             " can tell 96 % (chance: 50 %)", "red"),
            ({"shortcuts": [_shortcut("border", 0.82, compared=0.61, labels=["dress"])]},
             "‘dress’ differs from the other classes in background, not only in subject: from the"
             " border of the pictures alone one can tell 82 % (chance: 50 %; as much of the middle:"
             " 61 %)", "amber"),
            ({"shortcuts": [_shortcut("colour", 0.97, compared=0.94, level="note")]},
             "Your classes differ in colour and light: from their mean colour and light alone one"
             " can tell 97 % (chance: 50 %; form and sharpness: 94 %)", "note"),
            ({"shortcuts": [_shortcut("moon_phase", 0.8)]},
             "Your classes differ in moon phase, not only in subject: from this (moon phase) alone"
             " one can tell 80 % (chance: 50 %)", "amber"),
            ({"suspect_labels": [SUSPECT]}, "1 picture looks more like another class", "amber"),
            ({"suspect_labels": [SUSPECT] * 24}, "24 pictures look more like another class",
             "amber"),
            ({"suspect_labels": [SUSPECT, {**SUSPECT, "flagged": False}]},
             "1 picture looks more like another class, and 1 perhaps", "amber"),
            ({"duplicates": [COPIES]}, "1 picture is here more than once", "amber"),
            ({"duplicates": [{**COPIES, "kind": "near"}]},
             "1 picture is here more than once, slightly changed", "amber"),
            ({"duplicates": [COPIES, {**COPIES, "kind": "near"}]},
             "2 pictures are here more than once, 1 of them slightly changed", "amber"),
            ({"flaws": [{"kind": "few", "files": [], "values": [8], "labels": ["dress"]}]},
             "There are only 8 pictures of ‘dress’", "amber"),
            ({"flaws": [{"kind": "few", "files": [], "values": [8, 9],
                         "labels": ["dress", "shirt"]}]},
             "There are few pictures of ‘dress’ and ‘shirt’", "amber"),
            ({"flaws": [{"kind": "imbalance", "files": [], "values": [3.0],
                         "labels": ["shirt", "dress"]}]},
             "There are 3 times as many pictures of ‘shirt’ as of ‘dress’", "amber"),
            ({"flaws": [{"kind": "dark", "files": ["train/shirt/5.jpg"], "values": [9.0],
                         "labels": ["shirt"]}]}, "1 picture is too dark to show much", "note"),
            ({"flaws": [{"kind": "blurred", "files": [f"train/shirt/{i}.jpg" for i in range(6)],
                         "values": [], "labels": []}]}, "6 pictures are blurred", "amber"),
            ({"flaws": [{"kind": "upside_down", "files": ["train/shirt/5.jpg"]}]},
             "1 picture is upside down", "note"),
            ({"number": healths.number(0.71, 0.88, warn=True),
              "groups": {"bursts": [{"files": ["train/shirt/1.jpg", "train/shirt/2.jpg"]}]}},
             "Your pictures come in bursts: counted fairly 71 %, with bursts torn apart 88 %",
             "amber"),
            ({"number": healths.number(0.71, 0.88, warn=True)},
             "Your pictures come in groups: counted fairly 71 %, with groups torn apart 88 %",
             "amber"),
            ({"groups": {"bursts": [{"files": ["train/shirt/1.jpg", "train/shirt/2.jpg"]}]}},
             "2 pictures come in 1 burst", "note"),
        ],
    )  # fmt: skip
    def test_each_kind_of_finding(self, run, parts, headline, severity):
        (found,) = _found(run, **parts)
        assert (_plain(found.headline), found.severity) == (headline, severity)
        assert found.meaning.endswith(".")
        assert found.meaning.count(". ") == 0  # one sentence
        assert len(found.remedy) > 20
        assert found.why

    def test_the_number_of_small_sets_is_the_repeated_one(self, run):
        number = healths.number(0.71, 0.88, warn=True, repeated=healths.share(0.73))
        (found,) = _found(run, number=number)
        assert "counted fairly 73" in found.headline

    def test_the_honest_number(self, run):
        number = _read(run, number=healths.number(0.82, 0.84, warn=False)).number
        assert number is not None
        assert _plain(honest.sentence(number)) == (
            "A quick classifier is right on 82 % of your pictures (between 77 and 87 %), measured"
            " on 312 pictures that it had not learned from."
        )
        assert "no difference that matters" in str(honest.torn(number))
        warned = _read(run, number=healths.number(0.7, 0.84, warn=True)).number
        assert warned is not None
        assert "too good to be true" in str(honest.torn(warned))
        without_groups = healths.number(0.8, 0.8, warn=False, repeated=healths.share(0.81))
        for value in ({"grouped": healths.share(0.8)}, without_groups):
            alone = _read(run, number=value).number
            assert alone is not None
            assert honest.torn(alone) is None

    def test_which_classes_cannot_be_told_apart(self):
        assert honest.not_apart([]) is None
        assert _plain(str(honest.not_apart([("a", "b")]))) == (
            "‘a’ and ‘b’ cannot be told apart yet."
        )
        assert _plain(str(honest.not_apart([("a", "b"), ("c", "d")]))) == (
            "These cannot be told apart yet: ‘a’ and ‘b’; ‘c’ and ‘d’."
        )
        assert str(honest.not_apart([("a", "b")] * 5)).endswith(", and 2 pairs more.")

    def test_every_kind_has_its_own_words(self):
        texts = [(one.fine, one.remedy) for one in remedies.KINDS.values()]
        assert len({fine for fine, _ in texts}) == len(texts)
        assert remedies.kind("unheard of") is remedies.OTHER


class TestOrder:
    def test_the_worst_first(self, run):
        found = _found(
            run, duplicates=[COPIES, LEAK, CONFLICT], leaks=[LEAK], conflicts=[CONFLICT],
            suspect_labels=[SUSPECT], shortcuts=[_shortcut("camera"), _shortcut("size", 0.8)],
            flaws=[{"kind": "dark", "files": ["train/shirt/5.jpg"]},
                   {"kind": "few", "files": [], "labels": ["dress"]}],
        )  # fmt: skip
        assert [one.kind for one in found] == [
            "leaks", "conflicts", "shortcut", "shortcut", "suspects", "few", "duplicates", "dark",
        ]  # fmt: skip
        assert [one.severity for one in found] == ["red"] * 3 + ["amber"] * 4 + ["note"]
        assert health.title(found, 32) == "7 things to look at before you train."
        assert health.line(found) == "Checked: 7 things to look at"

    def test_copies_that_are_told_elsewhere_are_told_once(self, run):
        found = _found(run, duplicates=[LEAK, CONFLICT], leaks=[LEAK], conflicts=[CONFLICT])
        assert [one.kind for one in found] == ["leaks", "conflicts"]

    def test_copies_in_a_row_are_no_burst(self, run):
        bursts = [{"files": COPIES["files"][:2]}]
        found = _found(run, duplicates=[COPIES], groups={"bursts": bursts})
        assert [one.kind for one in found] == ["duplicates"]
        (found,) = _found(run, groups={"bursts": bursts})
        assert found.kind == "bursts"

    def test_remarks_alone_are_nothing_serious(self, run):
        found = _found(run, flaws=[{"kind": "dark", "files": ["train/shirt/5.jpg"]}])
        assert health.title(found, 32) == "Nothing serious was found in 32 pictures."
        assert health.line(found) == "Checked: nothing serious was found"

    def test_nothing_at_all(self, run):
        report = _read(run, number=healths.number(0.8, 0.8, warn=False))
        assert health.findings(report, PICTURES) == ()
        assert health.title((), 312) == "Nothing wrong was found in 312 pictures."
        assert health.line(()) == "Checked: nothing wrong was found"
        fine = health.in_order(report, ())
        expected = set(remedies.KINDS)
        assert fine == tuple(dict.fromkeys(fine))
        assert set(fine) == {remedies.kind(kind).fine for kind in expected}

    def test_what_was_not_looked_at_is_not_in_order(self, run):
        run.write("health", {"leaks": [], "number": None})
        report = checked.read(run)
        assert report is not None
        assert health.in_order(report, ()) == ("no picture is in two of your folders",)


class TestPictures:
    def test_copies_stand_together_with_their_parts(self, run):
        (found,) = _found(run, leaks=[LEAK])
        assert found.paired
        assert [one.caption for one in found.groups[0]] == ["shirt, training", "shirt, test"]
        assert found.pictures == (PICTURES.pictures[0].sha256, PICTURES.pictures[28].sha256)

    def test_the_part_is_told_only_where_it_differs(self, run):
        (found,) = _found(run, conflicts=[CONFLICT])
        assert [one.caption for one in found.groups[0]] == ["shirt", "dress"]

    def test_suspects_say_what_they_look_like(self, run):
        (found,) = _found(run, suspect_labels=[SUSPECT])
        assert not found.paired
        assert [_plain(one.caption) for one in found.groups[0]] == ["dress; looks like ‘shirt’"]

    def test_a_name_that_is_there_twice_is_told_by_its_label(self, run):
        twice = healths.index(("a.jpg", "dress"), ("a.jpg", "shirt"))
        (found,) = _found(run, twice, suspect_labels=[{**SUSPECT, "file": "a.jpg"}])
        assert found.pictures == (twice.pictures[0].sha256,)

    def test_pictures_that_are_gone_are_left_out(self, run):
        (found,) = _found(run, flaws=[{"kind": "dark", "files": ["gone.jpg"]}])
        assert found.groups == ()

    def test_the_filter_of_the_page_for_mending(self, run):
        found = _found(
            run,
            leaks=[LEAK],
            suspect_labels=[SUSPECT],
            shortcuts=[_shortcut("camera")],
            flaws=[{"kind": "few", "files": [], "labels": ["dress"]}],
        )
        assert {one.kind: one.find for one in found} == {
            "leaks": "leaks", "shortcut": None, "suspects": "suspect_labels", "few": None,
        }  # fmt: skip


class TestReading:
    def test_nothing_there(self, run):
        assert checked.read(run) is None

    @pytest.mark.parametrize("text", ["", "{", "[]", "3", '"health"'])
    def test_what_is_no_report(self, run, text):
        (run.folder / "health.json").write_text(text)
        assert checked.read(run) is None

    @pytest.mark.parametrize("junk", [None, 3, "x", [3], [{}], {"a": 1}, [{"files": [3]}]])
    @pytest.mark.parametrize("part", [key for key in healths.CLEAN if key != "seconds"])
    def test_a_part_of_another_form_is_passed_by(self, run, part, junk):
        assert _found(run, **{part: junk}) == ()

    def test_lists_that_do_not_fit_each_other(self, run):
        (found,) = _found(run, leaks=[{**LEAK, "labels": ["shirt"], "splits": ["train"]}])
        assert [one.caption for one in found.groups[0]] == ["shirt", "shirt"]

    def test_more_keys_do_no_harm(self, run):
        one = json.loads(json.dumps(SUSPECT)) | {"new": 1}
        assert len(_found(run, suspect_labels=[one], more={"x": 1})) == 1


class TestSpare:
    def test_the_largest_of_copies_stays_and_what_a_person_must_decide_is_left(self):
        index = healths.index(("a/1", "a"), ("a/2", "a"), ("b/1", "b"), ("a/3", "a"), ("b/2", "b"))
        large = [replace(one, width=90) if one.name == "a/2" else one for one in index.pictures]
        index = replace(index, pictures=tuple(large))
        both = {"kind": "near", "files": ["a/3", "b/1"], "labels": ["a", "b"]}
        same = {"kind": "exact", "files": ["a/1", "a/2"], "labels": ["a", "a"]}
        report = Report(frozenset(), duplicates=tuple(map(_copies, (same, both))),
                        conflicts=(_copies(both),))  # fmt: skip
        assert health.spare(report, index) == ("a/1",)


def _copies(value):
    return Cluster(value["kind"], tuple(value["files"]), tuple(value["labels"]), ())


class TestWorthALook:
    def test_less_sure_ones_follow_where_some_are_sure(self):
        listed = [{"file": str(i), "flagged": i < 2} for i in range(40)]
        found = finds.worth_a_look(listed)
        assert [one["file"] for one in found] == [str(i) for i in range(12)]
        assert finds.worth_a_look(listed[2:]) == []

    def test_as_many_again_as_are_sure(self):
        listed = [{"file": str(i), "flagged": i < 30} for i in range(100)]
        assert len(finds.worth_a_look(listed)) == 60
