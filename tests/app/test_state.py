"""What the address says: which data set and run a page is about."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import state, workshop
from tests.app.conftest import checked, press, title
from tests.conftest import ROOT

SCRIPT = """
import json
import streamlit as st
from app import state
run = state.current_run()
arguments = json.loads(st.session_state.get("moved", "{}"))
st.json({
    "here": state.here().query(),
    "run": run and run.folder.name,
    "moved": state.moved(**arguments).query(),
})
"""


def _told(moved: dict[str, str] | None = None, **query: str | list[str]) -> dict[str, Any]:
    script = AppTest.from_string(SCRIPT)
    script.query_params.update(query)
    script.session_state["moved"] = json.dumps(moved or {})
    return json.loads(checked(script.run()).json[0].value)


def test_an_address_without_anything_is_nowhere():
    assert _told() == {"here": {}, "run": None, "moved": {}}


def test_a_run_brings_its_data_set_with_it(queued):
    name = queued.folder.name
    place = {"data": queued.config().dataset, "run": name}
    assert _told(run=name) == {"here": place, "run": name, "moved": place}
    assert _told(run=name, data=place["data"])["here"] == place


@pytest.mark.parametrize(
    "nonsense",
    ["deleted", "..", "../..", "a/b", "", " ", "a" * 65, "猫", "<script>", "%00", "-", "--help"],
)
def test_a_run_that_is_not_there_is_no_run(queued, nonsense):
    assert _told(run=nonsense) == {"here": {}, "run": None, "moved": {}}


@pytest.mark.parametrize("nonsense", ["..", "../../etc", "a/b", "a" * 65, "<b>", "a b"])
def test_what_cannot_be_a_data_set_is_none(nonsense):
    assert _told(data=nonsense)["here"] == {}


def test_a_deleted_run_leaves_the_data_set(queued):
    digest = queued.config().dataset
    workshop.delete(queued)
    assert _told(run=queued.folder.name, data=digest)["here"] == {"data": digest}


def test_another_data_set_leaves_the_run_behind(queued):
    run, digest = queued.folder.name, queued.config().dataset
    assert _told({"data": "0" * 32}, run=run)["moved"] == {"data": "0" * 32}
    assert _told({"data": digest}, run=run)["moved"] == {"data": digest, "run": run}


def test_another_run_brings_its_data_set(queued):
    run, digest = queued.folder.name, queued.config().dataset
    assert _told({"run": run}, data="0" * 32)["moved"] == {"data": digest, "run": run}
    assert _told({"run": run, "data": digest})["moved"] == {"data": digest, "run": run}


def test_each_page_has_its_file():
    for page in state.PAGES:
        assert (ROOT / "app" / state.file_of(page)).is_file()
    assert set(state.STEPS) < set(state.PAGES)


def test_the_address_goes_along_from_page_to_page(open_page, queued):
    run, digest = queued.folder.name, queued.config().dataset
    page = press(open_page("data", run=run), "next")
    assert title(page).startswith("Build on a network")
    assert page.query_params == {"data": digest, "run": run}
