"""The API on a port: many at a time, several pictures at once, limits, OpenAPI, its end."""

import json
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.transfer import asking
from transfer.serving import api, limits, process, sockets
from transfer.serving.sources import Named


@pytest.fixture(scope="module")
def service(trained) -> Any:
    """What answers for one finished run, called 'fruit'."""
    from transfer.serving.models import Models
    from transfer.serving.service import Service

    return Service(Models(Named.parsed([f"fruit={trained[0]}"]), lambda _: None))


@pytest.fixture(scope="module")
def port(service) -> Iterator[int]:
    with sockets.port("127.0.0.1", 0) as listening:
        server = process.Server(api.application(service, ["127.0.0.1"]), service, 10**6)
        with asking.in_a_thread(server, listening, None):
            yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def pictures(sample_folder) -> list[Path]:
    return sorted(sample_folder.rglob("*.jpg"))[::3]


def test_200_requests_with_8_at_a_time_give_the_answers_of_the_app(
    port, service, trained, pictures
):
    from transfer import prediction
    from transfer.runs import Run

    expected = prediction.predict_files(prediction.load(Run(trained[0])), pictures)
    files = [pictures[i % len(pictures)] for i in range(200)]
    answered, batches = service.answered, dict(service.batcher.sizes)
    with ThreadPoolExecutor(8) as pool:
        said = list(
            pool.map(lambda f: asking.ask(port, "/models/fruit/predict", f.read_bytes()), files)
        )
    assert {status for status, _ in said} == {200}
    received = np.array([answer["predictions"][0]["probabilities"] for _, answer in said])
    wanted = np.array([expected[i % len(pictures)] for i in range(200)])
    assert np.abs(received - wanted).max() < 1e-5
    assert service.answered - answered == 200
    done = {size: n - batches.get(size, 0) for size, n in service.batcher.sizes.items()}
    assert sum(size * n for size, n in done.items()) == 200
    assert sum(done.values()) < 200  # some were put together


def test_several_pictures_of_a_form_are_answered_in_their_order(port, pictures):
    files = [(path.name, path.read_bytes()) for path in pictures[:5]]
    status, answer = asking.ask(port, "/models/fruit/predict", *asking.form(files))
    assert status == 200
    assert [one["file"] for one in answer["predictions"]] == [name for name, _ in files]
    for (_, data), one in zip(files, answer["predictions"], strict=True):
        alone = asking.ask(port, "/models/fruit/predict", data)[1]["predictions"][0]
        assert one["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)
        assert one["label"] == alone["label"] in answer["classes"]
        assert sum(one["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert one["outputs"]["confidence"] == pytest.approx(max(one["probabilities"]))
        assert one["outputs"]["answers"] in (True, False)


def test_a_file_of_a_form_that_is_no_picture_is_named(port, pictures):
    body = asking.form([("good.jpg", pictures[0].read_bytes()), ("bad.jpg", b"rubbish")])
    status, answer = asking.ask(port, "/models/fruit/predict", *body)
    assert (status, answer["kind"]) == (422, "DataError")
    assert answer["error"].startswith("'bad.jpg' is not a picture")


@pytest.mark.parametrize(
    ("headers", "body", "status", "words"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415, "Expected a picture"),
        ({"Content-Type": "text/plain; charset=utf-8"}, b"x", 415, "'text/plain'"),
        ({"Content-Length": str(65 * 2**20)}, b"x", 413, "at most 64 MB"),
        ({"Content-Length": str(300 * 2**20), "Content-Type": "multipart/form-data; boundary=a"},
         b"x", 413, "at most 256 MB"),
        ({"Content-Type": "multipart/form-data"}, b"x", 400, "cannot be read"),
        ({"Content-Type": "multipart/form-data; boundary=a"}, b"--a--\r\n", 422, "no file"),
    ],
    ids=["json", "text", "large", "large-form", "no-boundary", "no-file"],
)  # fmt: skip
def test_what_is_not_taken_gets_its_status_and_a_sentence(port, headers, body, status, words):
    said, answer = asking.ask(port, "/models/fruit/predict", body, headers)
    assert said == status
    assert words in answer["error"]
    assert answer["error"].endswith(".")


def test_more_than_it_says_is_not_read(port):
    connection = asking.connection(port)
    connection.request("POST", "/models/fruit/predict", iter([bytes(2**20)] * 66),
                       {"Transfer-Encoding": "chunked"}, encode_chunked=True)  # fmt: skip
    response = connection.getresponse()
    assert response.status == 413
    assert "at most 64 MB" in json.loads(response.read())["error"]
    connection.close()


def test_too_many_pictures_at_once_are_refused(port, pictures):
    files = [(f"{n}.jpg", pictures[0].read_bytes()) for n in range(limits.MOST_PICTURES + 1)]
    status, answer = asking.ask(port, "/models/fruit/predict", *asking.form(files))
    assert status == 413
    assert f"At most {limits.MOST_PICTURES} pictures" in answer["error"]


def test_unknown_models_and_addresses_get_404(port):
    status, answer = asking.ask(port, "/models/nobody/predict", b"x")
    assert (status, answer["kind"]) == (404, "RunError")
    assert "Those that can be asked are: fruit." in answer["error"]
    status, answer = asking.ask(port, "/elsewhere")
    assert status == 404
    assert "/docs" in answer["error"]
    assert asking.ask(port, "/preview", b"{}")[0] == 404  # only for the app


def test_where_too_much_waits_already_it_says_so(port, pictures, monkeypatch):
    monkeypatch.setattr(limits, "MOST_REQUESTS", 0)
    status, answer = asking.ask(port, "/models/fruit/predict", pictures[0].read_bytes())
    assert (status, answer["kind"]) == (503, "ServiceError")
    assert "Too many" in answer["error"]


def test_the_name_of_another_host_is_refused(port):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/models")
    request.add_header("Host", "elsewhere.example")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=60)


def test_further_outputs_of_a_model_are_told(port, service, pictures, monkeypatch):
    loaded = service.models.get("fruit")
    computed = loaded.compute

    def more(prepared: Any) -> dict[str, np.ndarray]:
        n = len(prepared)
        return computed(prepared) | {
            "known": np.full(n, np.nan, np.float32), "features": np.ones((n, 2), np.float32)
        }  # fmt: skip

    monkeypatch.setattr(loaded, "compute", more)
    _, answer = asking.ask(port, "/models/fruit/predict", pictures[0].read_bytes())
    told = answer["predictions"][0]["outputs"]
    assert (told["known"], told["features"]) == (None, [1.0, 1.0])
    assert set(told) == {"answers", "confidence", "features", "known", "strangeness"}


def test_openapi_describes_what_is_there_and_nothing_comes_from_elsewhere(port):
    status, schema = asking.ask(port, "/openapi.json")
    assert status == 200
    assert set(schema["paths"]) == {
        "/health", "/models", "/models/{name}", "/models/{name}/predict"
    }  # fmt: skip
    predict = schema["paths"]["/models/{name}/predict"]["post"]
    assert set(predict["requestBody"]["content"]) >= {"image/*", "multipart/form-data"}
    assert {"200", "404", "413", "415", "422", "503"} <= set(predict["responses"])
    for name in ("Answer", "Prediction", "Problem", "Health", "Listing", "Described"):
        assert name in schema["components"]["schemas"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/docs", timeout=60) as response:
        page = response.read().decode()
    assert "POST /models/{name}/predict" in page
    assert "curl --data-binary @photo.jpg" in page
    assert not re.search(r"<script|<link|src=|@import|https?://(?!ADDRESS)", page)


def _answers_to_the_schema(schema: dict[str, Any], name: str, answer: dict[str, Any]) -> bool:
    shape = schema["components"]["schemas"][name]
    return set(shape["required"]) <= set(answer) <= set(shape["properties"])


def test_answers_are_as_openapi_says(port, pictures):
    _, schema = asking.ask(port, "/openapi.json")
    _, answer = asking.ask(port, "/models/fruit/predict", pictures[0].read_bytes())
    assert _answers_to_the_schema(schema, "Answer", answer)
    assert _answers_to_the_schema(schema, "Prediction", answer["predictions"][0])
    assert _answers_to_the_schema(schema, "Health", asking.ask(port, "/health")[1])
    assert _answers_to_the_schema(schema, "Described", asking.ask(port, "/models/fruit")[1])
    assert _answers_to_the_schema(schema, "Listed", asking.ask(port, "/models")[1]["models"][0])
    assert _answers_to_the_schema(schema, "Problem", asking.ask(port, "/models/x")[1])


def test_the_command_answers_until_it_is_told_to_end(trained, pictures, tmp_path):
    with asking.process(tmp_path, f"one={trained[0]}", "--port", "0") as started:
        port = _port(started)
        with socket.socket() as elsewhere:  # only this machine's own address answers
            elsewhere.settimeout(5)
            with pytest.raises(OSError):
                elsewhere.connect(("127.0.0.2", port))
        status, answer = asking.ask(port, "/models/one/predict", pictures[0].read_bytes())
        assert (status, len(answer["predictions"])) == (200, 1)
        started.send_signal(signal.SIGTERM)
        output, words = started.communicate(timeout=60)
    assert started.returncode == 0
    assert json.loads(output) == {"answered": 1, "left": "it was told to end"}
    assert "Traceback" not in words


def _port(started: subprocess.Popen[str]) -> int:
    assert started.stderr is not None
    for line in started.stderr:
        if found := re.match(r"Answering at http://127\.0\.0\.1:(\d+) ", line):
            return int(found[1])
    raise AssertionError(started.communicate())


def test_a_port_that_is_in_use_is_said(command, trained):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        status, answer, _ = command("serve", trained[0], "--port", number)
    assert status == 2
    assert f"cannot listen on port {number}" in answer["error"]
    assert "--port" in answer["error"]


def test_a_folder_without_a_model_is_said(command, tmp_path):
    status, answer, _ = command("serve", tmp_path)
    assert status == 2
    assert f"no model in '{tmp_path}'" in answer["error"]
