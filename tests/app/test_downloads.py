"""What can be taken away over HTTP, from a real server: the model and the run, by signed links."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from app import tokens
from app.routes import downloads
from tests.app.conftest import get, serving
from transfer.runs import Run


@pytest.fixture
def port() -> Iterator[int]:
    with serving(downloads.routes()) as port:
        yield port


def test_the_model_comes_as_a_zip_that_holds_what_was_checked(port, finished):
    status, headers, body = get(port, downloads.link("model", finished.run_id, "fruit.zip"))
    assert (status, headers["Content-Type"]) == (200, "application/zip")
    assert "fruit.zip" in headers["Content-Disposition"]
    assert headers["Content-Disposition"].startswith("attachment")
    exported = Run(finished.home / "runs" / finished.run_id).export_folder
    with zipfile.ZipFile(io.BytesIO(body)) as zipped:
        assert zipped.testzip() is None
        inside = {name.removeprefix("savedmodel/"): name for name in zipped.namelist()}
        files = [path for path in exported.rglob("*") if path.is_file()]
        assert inside.keys() == {str(path.relative_to(exported)) for path in files}
        for path in files:
            assert zipped.read(inside[str(path.relative_to(exported))]) == path.read_bytes()


def test_the_example_in_the_zip_is_a_program(port, finished):
    _, _, body = get(port, downloads.link("model", finished.run_id, "m.zip"))
    with zipfile.ZipFile(io.BytesIO(body)) as zipped:
        example = zipped.read("savedmodel/example.py").decode()
        labels = json.loads(zipped.read("savedmodel/labels.json"))
    assert labels == ["apple", "lemon", "lime"]
    compiled = subprocess.run(
        [sys.executable, "-c", "import sys; compile(sys.stdin.read(), 'example.py', 'exec')"],
        input=example, text=True, timeout=60,
    )  # fmt: skip
    assert compiled.returncode == 0


def test_a_part_of_the_file_can_be_asked_for_to_go_on_with_a_download(port, finished):
    link = downloads.link("model", finished.run_id, "m.zip")
    whole = get(port, link)[2]
    status, headers, body = get(port, link, Range="bytes=100-299")
    assert status == 206
    assert headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    assert body == whole[100:300]


def test_the_run_comes_as_a_whole(port, finished):
    status, _, body = get(port, downloads.link("run", finished.run_id, "run.zip"))
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(body)) as zipped:
        names = zipped.namelist()
    assert {"run/config.json", "run/result.json", "run/model.keras", "dataset/index.json"} <= {
        *names
    }
    assert sum(name.startswith("dataset/images/") for name in names) == 72


@pytest.mark.parametrize("name", ["猫.zip", "قطط.zip", "a b.zip", 'a"b.zip', "a\r\nX-Evil: 1"])
def test_the_name_of_the_file_is_only_a_name(port, finished, name):
    link = downloads.link("model", finished.run_id, quote(name))
    status, headers, _ = get(port, link)
    assert status == 200
    assert "X-Evil" not in headers
    assert (
        quote(name, safe="") in headers["Content-Disposition"]
        or name in (headers["Content-Disposition"])
    )


@pytest.mark.parametrize("token", ["x", "a.b.c", "..%2f.."])
def test_a_made_up_token_opens_nothing(port, finished, token):
    status, _, body = get(port, f"/api/downloads/{token}/m.zip")
    assert status in (403, 404)
    assert b"Traceback" not in body
    if status == 403:
        assert "expired" in json.loads(body)["error"]


def test_a_token_of_another_purpose_opens_nothing(port, finished):
    token = tokens.sign("pictures", f"model/{finished.run_id}")
    assert get(port, f"/api/downloads/{token}/m.zip")[0] == 403


@pytest.mark.parametrize("run_id", ["deleted", "..", "a b"])
def test_a_run_that_is_not_there_is_told_as_such(port, finished, run_id):
    status, _, body = get(port, downloads.link("model", run_id, "m.zip"))
    assert (status, "no such run" in json.loads(body)["error"]) == (404, True)


def test_an_unfinished_run_has_nothing_to_take_away(port, queued):
    status, _, body = get(port, downloads.link("model", queued.folder.name, "m.zip"))
    assert (status, "not finished" in json.loads(body)["error"]) == (404, True)


def test_a_model_that_was_not_checked_is_not_given_away(port, finished):
    (finished.home / "runs" / finished.run_id / "export.json").unlink()
    status, _, body = get(port, downloads.link("model", finished.run_id, "m.zip"))
    assert (status, "not ready" in json.loads(body)["error"]) == (404, True)


def test_another_kind_is_refused(port, finished):
    status, _, body = get(port, downloads.link("everything", finished.run_id, "m.zip"))
    assert (status, "Open the page again" in json.loads(body)["error"]) == (404, True)
