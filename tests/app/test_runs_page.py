"""The page of all runs, as a person uses it; and how two runs are compared."""

import html
import json
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app import (
    bundles,
    comparison,
    datasets,
    importing,
    jobs,
    overview,
    packing,
    storage,
    tokens,
    uploads,
    workshop,
)
from app.components import disk
from app.routes import downloads
from tests.app import run_files
from tests.app.conftest import Store, checked, markup, press, running, title, words
from transfer.runs import Run


@pytest.fixture(autouse=True)
def _fresh_look() -> None:
    """Let no test see the figures of another."""
    disk.forget()


@pytest.fixture(scope="session")
def bundle(learned: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the finished run; do not write into it."""
    return run_files.packed(learned, tmp_path_factory.mktemp("bundle"))


def copied(run: Run, name: str, **settings: object) -> Run:
    """Another finished run, with the same answers and some other settings."""
    copy = workshop.run(workshop.new_id())
    shutil.copytree(run.folder, copy.folder)
    copy.write("config", {**run.config().to_json(), **settings})
    copy.write("about", {"name": name, "created": time.time()})
    return copy


def answering(run: Run, right: list[bool]) -> None:
    """Make a run right on just these of its test pictures, in their order."""
    index = datasets.usable(run.config().dataset)
    positions, _ = run.answers("test") or pytest.fail("no answers")
    classes = list(index.classes)
    probabilities = np.zeros((len(positions), len(classes)), np.float32)
    for row, (position, is_right) in enumerate(zip(positions, right, strict=True)):
        truth = classes.index(index.pictures[position].label)
        probabilities[row, truth if is_right else (truth + 1) % len(classes)] = 1
    run.save_answers(test=(tuple(positions), probabilities))


def said(page) -> list[str]:
    """The sentences that tell what was done, as they are read."""
    elements = [*page.success, *page.toast]
    return [re.sub(r"\\(.)", r"\1", str(element.value)) for element in elements]


class TestList:
    def test_without_runs_it_says_what_would_be_here(self, open_page):
        page = open_page("runs")
        assert title(page) == "No runs yet."
        assert "Here each training will stand with its result" in words(page)
        assert page.selectbox == []
        assert press(page, "fill").query_params == {}

    def test_a_finished_run(self, open_page, finished):
        page = open_page("runs")
        assert title(page) == "1 run."
        text = words(page).replace("\u00a0", " ")
        result = workshop.run(finished.run_id).result()["test"]
        right = round(result["accuracy"] * result["n"])
        assert (
            "all" if right == result["n"] else f"{100 * result['accuracy']:.0f} % right"
        ) in text
        assert f"between {100 * result['low']:.0f} and" in text
        assert f"{result['n']} test pictures" in text
        assert "✓ Finished" in text
        for fact in ("Fruit", "Built-in network", "Read the network's last impression", " MB"):
            assert fact in text  # the spaces of which do not break
        (link,) = [one for one in page.get("page_link") if "First" in one.proto.label]
        assert link.proto.page == "results"
        assert f"run={finished.run_id}" in link.proto.query_string
        assert page.selectbox == []  # nothing to compare it with

    @pytest.mark.parametrize(
        ("name", "rest"),
        [
            ("Fruit, version 1, Built-in", []),
            ("Fruit, version 1, Built-in network (2)", []),
            ("Fruit, version 1, by night", ["Built-in network"]),
            ("Fruit, version 10", ["Fruit, version 1", "Built-in network"]),
        ],
    )
    def test_what_the_name_says_is_not_said_again(
        self, open_page, finished, name, rest, monkeypatch
    ):
        monkeypatch.setattr(datasets, "name", lambda _: "Fruit, version 1")
        workshop.rename(workshop.run(finished.run_id), name)
        (facts,) = re.findall(
            r'run-facts.*?"quiet"> · (.*?)</span>', html.unescape(markup(open_page("runs")))
        )
        assert facts.split(" · ")[: len(rest) + 1] == [*rest, "Read the network's last impression"]

    def test_each_standing_in_words(self, open_page, queued):
        others = [workshop.start(queued.config(), name) for name in ("Runs", "Fails", "Stops")]
        running(others[0])
        jobs.settle(running(others[1]), "failed", "an error")
        workshop.stop(others[2])
        page = open_page("runs")
        assert title(page) == "4 runs, 0 finished."
        facts = re.findall(r"run-facts[^>]*><span[^>]*>(.*?)</span>", markup(page))
        by_name = {
            overview.line(run).name: fact
            for run, fact in zip(workshop.listed(), facts, strict=True)
        }
        assert by_name == {
            "Fruit, first try": "○ Waiting for its turn", "Runs": "● Learning",
            "Fails": "✕ Failed", "Stops": "■ Stopped",
        }  # fmt: skip
        links = {one.proto.label: one.proto.page for one in page.get("page_link")}
        assert links["**Fails**"] == "train"

    def test_how_long_a_running_one_takes(self, open_page, queued):
        running(queued)
        queued.status("head", done=1, total=2, words="Learning", seconds_left=200.0)
        assert "● Learning, at most about 3 minutes left" in words(open_page("runs"))

    def test_a_run_of_another_version(self, open_page, queued):
        queued.write("config", {**queued.read("config"), "unheard_of": 1})
        page = open_page("runs")
        assert "made by another version of this app" in words(page)
        assert "first try" in words(page)
        press(page, f"change_{queued.folder.name}")
        press(page, f"delete_{queued.folder.name}")
        press(page, f"really_{queued.folder.name}")
        assert workshop.listed() == []

    def test_another_model_was_kept_than_was_asked_for(self, open_page, finished):
        run = workshop.run(finished.run_id)
        run.write("config", {**run.config().to_json(), "strategy": "finetune_few"})
        run.write("result", {**run.result(), "requested": "finetune_few"})
        text = words(open_page("runs"))
        assert "Retrain its last part · kept: Read the network's last impression" in text

    def test_without_test_pictures(self, open_page, finished):
        run = workshop.run(finished.run_id)
        run.write("result", {**run.result(), "test": None, "test_report": None})
        assert "validation pictures" in words(open_page("runs"))

    def test_names_are_only_ever_text(self, open_page, finished):
        name = "<img src=x onerror=alert(1)> [a](javascript:b) *c* $d$"
        workshop.rename(workshop.run(finished.run_id), name)
        datasets.rename(finished.digest, "<script>e</script>")
        page = open_page("runs")
        press(page, f"change_{finished.run_id}")
        assert "<img" not in markup(page)
        assert "<script" not in markup(page)
        (link,) = [one for one in page.get("page_link") if "onerror" in one.proto.label]
        assert r"\[a\]\(javascript\:b\)" in link.proto.label
        page = press(page, f"delete_{finished.run_id}")
        page = press(page, f"really_{finished.run_id}")
        assert r"\[a\]\(javascript" in page.toast[0].value

    def test_many_runs(self, open_page, queued):
        for _ in range(24):
            shutil.copytree(queued.folder, workshop.run(workshop.new_id()).folder)
        page = open_page("runs")
        assert len([button for button in page.button if button.label == "More"]) == 20
        press(page, "all")
        assert len([button for button in page.button if button.label == "More"]) == 25

    def test_their_order(self, open_page, finished):
        copied(workshop.run(finished.run_id), "a newer copy")
        other = workshop.start(workshop.run(finished.run_id).config(), "Zebras")
        copy = copied(workshop.run(finished.run_id), "better than all")
        result = copy.result()
        share = {**result["test"], "accuracy": 0.99}
        copy.write("result", {**result, "test": share})
        page = open_page("runs")

        def shown() -> list[str]:
            links = [one.proto.label for one in page.get("page_link")]
            return [one.strip("*") for one in links if one.startswith("**") and one != "**Runs**"]

        newest = ["better than all", "Zebras", "a newer copy", "First"]
        assert shown() == newest
        page.selectbox(key="order").select(overview.BEST).run()
        assert shown() == ["better than all", "a newer copy", "First", "Zebras"]
        page.selectbox(key="order").select(overview.BY_NAME).run()
        assert shown() == ["a newer copy", "better than all", "First", "Zebras"]
        workshop.stop(other)

    def test_a_new_training(self, open_page, finished):
        page = press(open_page("runs", data=finished.digest), "new")
        assert "network" in title(page)
        assert title(press(open_page("runs"), "new")).startswith("Show me")


class TestRename:
    def test_under_its_name(self, open_page, finished):
        page = press(open_page("runs"), f"change_{finished.run_id}")
        page.text_input(key=f"name_{finished.run_id}").set_value("  Fruit,   second try ").run()
        checked(page)
        assert workshop.run(finished.run_id).about()["name"] == "Fruit, second try"
        assert "Fruit, second try" in words(page)
        press(page, f"change_{finished.run_id}")
        assert page.text_input == []

    def test_without_a_name(self, open_page, finished):
        page = press(open_page("runs"), f"change_{finished.run_id}")
        page.text_input(key=f"name_{finished.run_id}").set_value("  ").run()
        assert "A run needs a name" in words(checked(page))
        assert workshop.run(finished.run_id).about()["name"] == "First"


class TestTakeAway:
    def test_a_link_to_one_file(self, open_page, finished):
        page = press(open_page("runs"), f"change_{finished.run_id}")
        (link,) = re.findall(r'href="(/api/downloads/[^"]+)"', markup(page))
        token, name = html.unescape(link).removeprefix("/api/downloads/").split("/")
        assert tokens.read("downloads", token) == f"run/{finished.run_id}"
        assert name == "First.transfer-run.zip"
        size = bundles.size(finished.run_id)
        assert f"One file of {size / 1e6:.1f} MB" in words(page)
        assert not packing.run_file(finished.run_id).exists()  # made when asked for

    @pytest.mark.parametrize(
        ("name", "file"),
        [("Fruit, Built-in", "Fruit-Built-in.zip"), ("../../x", "x.zip"),
         ("äöü 日本", "äöü-日本.zip"), ("...", "model.zip"), ("x" * 99, "x" * 60 + ".zip"),
         ('a"<b>', "a-b.zip")],
    )  # fmt: skip
    def test_its_name(self, name, file):
        assert downloads.file_name(name, ".zip") == file

    def test_an_unfinished_one_cannot_be(self, open_page, queued):
        page = press(open_page("runs"), f"change_{queued.folder.name}")
        assert "This run is not finished, so there is nothing to take away yet" in words(page)
        assert "/api/downloads/" not in markup(page)

    def test_one_without_its_pictures_cannot_be(self, open_page, finished):
        datasets.delete(finished.digest)
        page = press(open_page("runs"), f"change_{finished.run_id}")
        assert "The pictures of this run are no longer in the store" in words(page)
        assert "a data set that was deleted" in words(page)


class TestDelete:
    def test_says_what_goes_and_asks_once_more(self, open_page, finished):
        bundles.packed("run", finished.run_id)
        size = storage.run_size(finished.run_id)
        page = press(open_page("runs"), f"change_{finished.run_id}")
        page = press(page, f"delete_{finished.run_id}")
        assert workshop.run(finished.run_id).exists
        (warning,) = [str(one.value) for one in page.warning]
        for part in ("its settings, curves and figures (", "its model (", "the exported model (",
                     "files made for downloading (", "The pictures stay."):  # fmt: skip
            assert part in warning
        assert page.button(key=f"really_{finished.run_id}").proto.type == "secondary"
        assert f"It frees {size / 1e6:.1f} MB" in warning
        page = press(page, f"keep_{finished.run_id}")
        assert not page.warning
        page = press(page, f"delete_{finished.run_id}")
        page = press(page, f"really_{finished.run_id}")
        assert title(page) == "No runs yet."
        assert any("‘First’ is deleted." in sentence for sentence in said(page))
        assert list((finished.home / "runs").iterdir()) == []
        assert not packing.run_file(finished.run_id).exists()
        assert len(datasets.listed()) == 1
        assert said(checked(page.run())) == []  # once

    def test_what_is_made_for_downloading_meanwhile_is_announced_and_freed(
        self, open_page, finished
    ):
        page = press(open_page("runs"), f"change_{finished.run_id}")
        page = press(page, f"delete_{finished.run_id}")
        assert "files made for downloading" not in str(page.warning[0].value)
        bundles.packed("model", finished.run_id)
        bundles.packed("run", finished.run_id)
        page = checked(page.run())  # as the page does by itself
        (announced,) = re.findall(r"It frees (.*?)\. The pictures", str(page.warning[0].value))
        assert "files made for downloading (" in str(page.warning[0].value)
        page = press(page, f"really_{finished.run_id}")
        assert said(page) == [f"‘First’ is deleted. {announced} are free again."]

    def test_one_at_work_is_stopped_first(self, open_page, queued):
        page = press(open_page("runs"), f"change_{queued.folder.name}")
        page = press(page, f"delete_{queued.folder.name}")
        assert "It is stopped first." in page.warning[0].value
        press(page, f"really_{queued.folder.name}")
        assert jobs.active() == []
        assert not queued.folder.exists()

    def test_one_that_another_process_holds_stays(self, open_page, finished):
        page = press(open_page("runs"), f"change_{finished.run_id}")
        page = press(page, f"delete_{finished.run_id}")
        with workshop.run(finished.run_id).locked():
            page = press(page, f"really_{finished.run_id}")
        assert "still at work" in words(page)
        assert workshop.run(finished.run_id).finished


class TestCompare:
    def choose(self, open_page, one: Run, other: Run):
        page = open_page("runs")
        page.selectbox(key="compare One run").set_value(one.folder.name)
        page.selectbox(key="compare Another run").set_value(other.folder.name)
        return checked(page.run())

    @pytest.fixture
    def pair(self, finished) -> tuple[Run, Run]:
        first = workshop.run(finished.run_id)
        return first, copied(first, "Second", dropout=0.5, budget=60.0)

    def test_the_same_answers(self, open_page, pair):
        page = self.choose(open_page, *pair)
        found = comparison.paired(*pair)
        assert isinstance(found, comparison.Paired)
        assert comparison.sentence(found, "First", "Second") in words(page)
        assert "= Right on the same pictures" in words(page)
        (table,) = re.findall(r"<table.*?compared.*?</table>", markup(page))
        rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("</tr>")]
        assert [name.split(" · ")[0] for name in rows[0]] == ["", "First", "Second"]
        assert all(re.search(r" · \d+ \w+ \d{4}, \d\d:\d\d$", name) for name in rows[0][1:])
        assert ["Dropout", "0.2", "0.5"] in rows
        assert ["Time limit", "no limit", "a minute"] in rows
        assert [row[0] for row in rows if row][1] == "Right"
        assert not [row for row in rows if row and row[0] in ("Pictures", "Network", "Seed")]

    def test_a_difference_that_means_something(self, open_page, pair):
        first, second = pair
        answering(first, [True] * 10 + [False] * 2)
        answering(second, [True, True] + [False] * 9 + [True])
        page = self.choose(open_page, first, second)
        text = words(page)
        assert "✓ A real difference" in text
        assert "‘\u2068First\u2069’ is better: it was right on 8 pictures" in text
        assert "both right on 2, only the first on 8, only the second on 1, neither on 1" in text
        assert "McNemar's exact test: p = 0.039." in text
        assert "McNemar" not in markup(page)  # it stands in the Why
        assert "in 4 of 100 tests" in text
        other_way = words(self.choose(open_page, second, first))
        assert "‘\u2068First\u2069’ is better" in other_way

    def test_a_difference_that_may_be_luck(self, open_page, pair):
        answering(pair[0], [True] * 9 + [False] * 3)
        answering(pair[1], [True] * 10 + [False] * 2)
        text = words(self.choose(open_page, *pair))
        assert "≈ Too close to call" in text
        assert "No difference shown: ‘\u2068First\u2069’ alone was right on" in text
        assert "in nearly all tests" in text

    def test_different_test_pictures(self, open_page, pair):
        first, second = pair
        positions, probabilities = second.answers("test") or pytest.fail("no answers")
        others = second.answers("validation") or pytest.fail("no answers")
        moved = (int(others[0][0]), *map(int, positions[1:]))
        second.save_answers(test=(moved, probabilities))
        text = words(self.choose(open_page, first, second))
        assert "cannot be compared fairly" in text
        assert "another seed" in text
        assert "McNemar's exact test:" not in text

    def test_test_pictures_against_validation_pictures(self, open_page, pair):
        pair[1].write("result", {**pair[1].result(), "test": None, "test_report": None})
        text = words(self.choose(open_page, *pair))
        assert "cannot be compared fairly: one was judged by test pictures" in text

    def test_both_by_validation_pictures(self, open_page, pair):
        for run in pair:
            run.write("result", {**run.result(), "test": None, "test_report": None})
        text = words(self.choose(open_page, *pair))
        assert "These pictures chose the models too, which flatters." in text

    def test_pictures_that_are_gone(self, open_page, pair):
        datasets.delete(pair[0].config().dataset)
        text = words(self.choose(open_page, *pair))
        assert "cannot be compared picture by picture" in text

    def test_a_run_with_itself(self, open_page, pair):
        assert "the same run twice" in words(self.choose(open_page, pair[0], pair[0]))

    def test_runs_of_one_name_are_told_apart(self, open_page, finished):
        first = workshop.run(finished.run_id)
        twin = copied(first, "First")
        twin.write("about", {"name": "First", "created": 1e9})
        options = open_page("runs").selectbox(key="compare One run").options
        assert len(set(options)) == 2
        assert all(option.startswith("First · ") for option in options)
        assert "2001" in options[1]

    def test_runs_of_one_name_and_minute_can_be_compared(self, open_page, finished):
        first = workshop.run(finished.run_id)
        twin, third = copied(first, "First"), copied(first, "First")
        for run in (twin, third):
            run.write("about", first.about())
        page = self.choose(open_page, first, third)
        options = page.selectbox(key="compare One run").options
        assert len(set(options)) == 3
        assert "same run twice" not in words(page)
        assert "= Right on the same pictures" in words(page)

    def test_two_of_one_name_are_told_apart_in_what_is_found(self, open_page, finished):
        first = workshop.run(finished.run_id)
        twin = copied(first, "First")
        twin.write("about", {"name": "First", "created": 1e9})
        answering(first, [True] * 12)
        answering(twin, [False] * 12)
        page = self.choose(open_page, first, twin)
        better, worse = page.selectbox(key="compare One run").options
        assert "2001" in worse
        assert f"‘\u2068{better}\u2069’ is better: it was right on 12 pictures" in words(page)
        assert f"<th>{better}</th><th>{worse}</th>" in markup(page)

    @pytest.mark.parametrize(
        ("both", "neither", "sentence"),
        [(8, 0, "No difference shown: both were right on all 8; 8 are too few to tell them apart."),
         (0, 1, "No difference shown: both were wrong on all 1; 1 is too few to tell them apart."),
         (30, 6, "No difference shown: both were right on the same 30 of 36 pictures, and wrong on"
          " the same 6.")],
    )  # fmt: skip
    def test_nothing_that_tells_them_apart(self, both, neither, sentence):
        found = comparison.Paired(both, 0, 0, neither, p=1.0)
        assert comparison.sentence(found, "a", "b") == sentence

    @pytest.mark.parametrize(
        ("one", "other", "p"),
        [(0, 0, 1.0), (1, 0, 1.0), (3, 3, 1.0), (5, 0, 0.0625), (0, 6, 0.03125), (1, 8, 0.0390625),
         (2, 9, 0.0654296875), (59, 41, 0.0886261)],
    )  # fmt: skip
    def test_mcnemar(self, one, other, p):
        """The last two as `scipy.stats.binomtest` tells them."""
        assert comparison.mcnemar(one, other) == pytest.approx(p, rel=1e-4)
        assert comparison.mcnemar(other, one) == comparison.mcnemar(one, other)

    def test_mcnemar_of_very_many_pictures(self):
        assert comparison.mcnemar(5000, 5200) == pytest.approx(0.04878796312682)
        assert comparison.mcnemar(0, 5000) == 0.0


class TestBringIn:
    def sent(self, path: Path) -> uploads.Upload:
        upload = uploads.begin(path.name, path.stat().st_size, uploads.Aim("run"))
        shutil.copy(path, upload.data)
        return uploads.finish(upload.id)

    def test_the_area_takes_one_file_and_the_page_warns(self, open_page):
        page = open_page("runs")
        assert bundles.TRUST in words(page)
        areas = [json.loads(one.proto.json) for one in page.get("bidi_component") if one.proto.json]
        (area,) = [area for area in areas if area.get("key") == "run"]
        assert (area["aim"]["purpose"], area["accept"]) == ("run", ".zip")
        assert area["texts"]["parts"]["choose-files"] == "Choose the file of a run"
        assert "no_run" in area["texts"]

    def test_a_run_on_its_way(self, open_page, bundle):
        upload = self.sent(bundle)
        page = open_page("runs", upload=upload.id)
        assert "Waiting for its turn" in words(page)
        uploads.save(replace(upload, state="reading", done=30, total=72))
        assert "30 of 72 pictures looked through" in words(checked(page.run()))
        importing.take_in(upload.id)
        checked(page.run())
        assert said(page) == ["‘First’ is here now. Its model is being checked."]
        assert title(page) == "1 run."
        assert "upload" not in page.query_params
        assert said(checked(page.run())) == []

    def test_a_run_that_was_here_already(self, open_page, finished, bundle):
        upload = self.sent(bundle)
        importing.take_in(upload.id)
        page = open_page("runs", upload=upload.id)
        assert said(page) == ["‘First’ was here already."]
        assert title(page) == "1 run."

    def test_a_refused_one(self, open_page, bundle, tmp_path):
        bad = run_files.rewritten(bundle, tmp_path / "bad.zip", {"run/config.json": b"{}"})
        upload = self.sent(bad)
        importing.take_in(upload.id)
        page = open_page("runs", upload=upload.id)
        assert r"is not what was packed\. Nothing of it was taken in" in page.error[0].value
        assert title(page) == "No runs yet."

    @pytest.mark.parametrize("upload", ["0" * 16, "x", "../x"])
    def test_an_upload_that_is_gone(self, open_page, upload):
        page = open_page("runs", upload=upload)
        assert title(page) == "No runs yet."
        assert not page.error


class TestDisk:
    def test_how_much_is_used(self, open_page, finished):
        text = words(open_page("runs"))
        for kind, size in storage.used().items():
            assert (storage.KINDS[kind] in text) == (size > 0)
        assert "are free on this disk" in text
        assert "all of it is needed" in text

    def test_freeing(self, open_page, finished):
        bundles.packed("run", finished.run_id)
        page = open_page("runs")
        free = page.button(key="free")
        size = packing.run_file(finished.run_id).stat().st_size
        assert free.label in (f"Free {size / 1e6:.1f} MB", f"Free {size / 1e6:.0f} MB")
        assert "Files made for taking away" in words(page)
        page = press(page, "free")
        assert said(page) == [f"{free.label.removeprefix('Free ')} are free again."]
        assert "all of it is needed" in words(page)
        assert workshop.run(finished.run_id).finished
        assert not packing.run_file(finished.run_id).exists()

    def test_a_data_set_that_no_run_needs(self, open_page, fruit):
        page = open_page("runs")
        assert "Data sets that no run here learned from" in words(page)
        page = press(page, f"delete_{fruit}")
        assert "Its 72 pictures go from this machine for good" in page.warning[0].value
        page = press(page, f"keep_{fruit}")
        assert not page.warning
        page = press(press(page, f"delete_{fruit}"), f"really_{fruit}")
        assert "‘Fruit’ is deleted." in said(page)[0]
        assert datasets.listed() == []
        assert "no run here learned from" not in words(page)

    def test_a_data_set_that_a_run_began_to_need_meanwhile(self, open_page, fruit):
        page = press(open_page("runs"), f"delete_{fruit}")
        config = {"dataset": fruit, "backbone": "builtin", "image_size": 96}
        run = workshop.run("late")
        run.folder.mkdir(parents=True)
        run.write("config", config)
        page = press(page, f"really_{fruit}")
        assert "'Fruit' was not deleted: 'late' learned from these pictures" in words(page)
        assert len(datasets.index(fruit).pictures) == 72
