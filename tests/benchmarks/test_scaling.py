import hashlib
import json
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from benchmarks import drawing, scaling
from benchmarks.drawing import Curve, Line, Panel


def measured(pictures: int) -> dict:
    command = {"seconds": 10 + pictures / 100, "peak_memory_mb": 700 + pictures / 100}
    return {"pictures": pictures, "train": command, "advise": command}


def test_a_line_is_found_and_a_curve_is_not_taken_for_one():
    line = Line.through([1, 10, 100], [12, 30, 210])
    assert (line.intercept, line.slope, line.r_squared) == pytest.approx((10, 2, 1))
    assert Line.through([1, 3, 6, 10], [1, 9, 36, 100]).r_squared < 0.97


def test_fits_are_a_thousand_pictures():
    found = scaling.fits([measured(n) for n in (1_000, 10_000, 100_000)])
    assert found["train_seconds"] == {"intercept": 10.0, "each_thousand": 10.0, "r_squared": 1.0}


def test_the_drawing_has_every_point_within_it():
    picture = drawing.svg(
        [Panel("Time <s>", "pictures", "s", [Curve("a", [1, 50, 100], [3, 5, 170])], ("no", 200))]
    )
    root = ElementTree.fromstring(picture)
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 3
    for circle in circles:
        assert 0 < float(circle.attrib["cx"]) < drawing._WIDTH
        assert 0 < float(circle.attrib["cy"]) < drawing._HEIGHT
    heights = [float(circle.attrib["cy"]) for circle in circles]
    assert heights == sorted(heights, reverse=True)


def test_generated_pictures_differ_and_come_again(tmp_path):
    def contents(name: str) -> list[str]:
        scaling.write_pictures(tmp_path / name, 60)
        files = sorted(path for path in (tmp_path / name).rglob("*.*") if path.is_file())
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]

    first = contents("a")
    assert len(set(first)) == 60
    assert contents("b") == first
    with Image.open(next((tmp_path / "a" / "class-0").iterdir())) as picture:
        assert picture.size == (32, 32)


def test_phases_add_up_to_the_run(tmp_path):
    events = [{"time": t, "event": "phase", "phase": p} for t, p in ((5, "features"), (9, "head"))]
    events += [
        {"time": 9.5, "event": "search"},
        {"time": 10, "event": "phase", "phase": "finished"},
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert scaling.phase_seconds(path, 7.0) == {"before": 2.0, "features": 4.0, "head": 1.0}
