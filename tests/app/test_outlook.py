"""What more pictures would give: as a figure, in words, as a table; damaged files."""

from typing import Any

import pytest

from app import outlook
from app.outlook import Forecast
from tests.app import healths
from transfer.config import RunConfig
from transfer.runs import Run


@pytest.fixture
def run(tmp_path) -> Run:
    made = Run(tmp_path / "check")
    made.start(RunConfig("0f" * 16, "builtin", 96))
    return made


def _read(run: Run, **parts: Any) -> Forecast:
    run.write("forecast", {**healths.CURVE, **parts})
    found = outlook.read(run)
    assert found is not None
    return found


def test_the_dashed_line_goes_on_from_the_last_that_was_measured(run):
    spec = outlook.chart(_read(run), "dark")
    rows = [(row["x"], row["kind"]) for row in spec["data"]["values"]]
    assert rows == [(18, "measured"), (36, "measured"), (72, "measured"),
                    (72, "forecast"), (144, "forecast")]  # fmt: skip
    assert all(row["low"] <= row["y"] <= row["high"] for row in spec["data"]["values"])
    light = outlook.chart(_read(run), "light")
    assert light["layer"][1]["encoding"]["color"] != spec["layer"][1]["encoding"]["color"]


def test_without_a_forecast_only_what_was_measured_is_drawn(run):
    found = _read(run, forecast=None, sentence=None)
    kinds = {row["kind"] for row in outlook.chart(found, "light")["data"]["values"]}
    assert kinds == {"measured"}
    assert outlook.sentence(found) == ""
    assert outlook.in_words(found).endswith("to 70\u00a0% after 72.")


def test_in_words(run):
    found = _read(run, sentence="")
    assert outlook.sentence(found).replace("\u00a0", " ") == (
        "With 144 pictures instead of 72 it would be right on about 76 % (between 70 and 82 %)"
        " instead of 70 %."
    )
    assert outlook.sentence(_read(run)) == healths.CURVE["sentence"]
    assert "forecast for 144: 76\u00a0%" in outlook.in_words(found)


def test_the_tables(run):
    found = _read(run)
    assert [row["kind"] for row in outlook.table(found)] == ["measured"] * 3 + ["forecast"]
    rows = outlook.classes(found)
    assert [(row["class"], row["twice the pictures add"]) for row in rows] == [
        ("b", 0.1), ("a", None),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "[]", '{"curve": 3}', '{"curve": [{"images": "x"}]}'])
def test_what_is_no_forecast(run, text):
    assert outlook.read(run) is None
    (run.folder / "forecast.json").write_text(text)
    assert outlook.read(run) is None


def test_a_step_without_a_band_is_its_own_band(run):
    found = _read(run, curve=[{"images": 9, "accuracy": 0.4}], forecast=[3, None], per_class="x")
    assert (found.curve[0].low, found.curve[0].high) == (0.4, 0.4)
    assert (found.forecast, found.per_class) == ((), ())
