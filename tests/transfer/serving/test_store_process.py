"""The prediction process of a store, asked over its socket: answers, rubbish, limits, leaving."""

import io
import json
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from tests.transfer import asking
from transfer.serving import sockets
from transfer.serving.sources import StoreRuns


def _classify(home: Path, run: str, picture: bytes) -> dict[str, Any]:
    return asking.ask(home, f"/models/{quote(run, safe='')}/predict", picture)[1]


def _probabilities(home: Path, run: str, picture: bytes) -> list[float]:
    return _classify(home, run, picture)["predictions"][0]["probabilities"]


def _health(home: Path) -> dict[str, Any]:
    return asking.ask(home, "/health")[1]


@pytest.fixture(scope="module")
def home(trained, tmp_path_factory) -> Path:
    """A store with four finished runs, whose path is too long for a socket."""
    folder = tmp_path_factory.mktemp("store") / ("a-long-name-" * 9)
    for name in ("a", "b", "c", "d"):
        shutil.copytree(trained[0], folder / "runs" / name)
    return folder


@pytest.fixture(scope="module")
def pid(home) -> Iterator[int]:
    """The number of a process that answers for all tests of this file."""
    with asking.process(home, "--store") as process:
        yield asking.until_ready(home, process)["pid"]
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert json.loads(output.splitlines()[-1])["left"] == "it was told to end"
        assert not (home / "predictor.json").exists()


@pytest.fixture(scope="module")
def picture(sample_folder) -> bytes:
    return sorted(sample_folder.rglob("*.jpg"))[0].read_bytes()


def test_its_socket_is_for_its_user_alone(home, pid):
    path = Path(json.loads((home / "predictor.json").read_text())["socket"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.parent != home  # too long for a socket


def test_it_answers_as_predict_does(home, pid, command, sample_folder, tmp_path):
    rng = np.random.default_rng(5)
    pictures = sorted(sample_folder.rglob("*.jpg"))[::9]
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = tmp_path / "alpha.png"
    Image.fromarray(rng.integers(0, 255, (300, 200, 4), dtype=np.uint8)).save(alpha)
    turned = tmp_path / "turned.jpg"
    Image.open(pictures[0]).save(turned, exif=exif)
    large = tmp_path / "large.webp"
    Image.open(pictures[1]).resize((2100, 1600)).save(large, lossless=True)
    tiff = tmp_path / "grey.tiff"
    Image.open(pictures[2]).convert("L").save(tiff)
    pictures += [alpha, turned, large, tiff]

    _, predicted, _ = command("predict", home / "runs" / "a", *pictures)
    for path, expected in zip(pictures, predicted["predictions"], strict=True):
        answer = _classify(home, "a", path.read_bytes())
        (said,) = answer["predictions"]
        named = dict(zip(answer["classes"], said["probabilities"], strict=True))
        assert named == pytest.approx(expected["probabilities"], abs=1e-5), path
        assert said["label"] == expected["label"]


def _cut_jpeg() -> bytes:
    own = io.BytesIO()
    Image.effect_noise((200, 200), 50).save(own, "JPEG")
    return own.getvalue()[:2000]


def _bomb() -> bytes:
    own = io.BytesIO()
    Image.new("1", (20000, 20000)).save(own, "PNG")
    return own.getvalue()


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (b"", "empty"),
        (b"rubbish" * 1000, "not a picture"),
        (b"PK\x03\x04" + bytes(100), "archive"),
        (_cut_jpeg(), "damaged"),
        (_bomb(), "million pixels"),
    ],
    ids=["nothing", "rubbish", "archive", "cut", "bomb"],
)
def test_what_is_no_picture_gets_a_sentence_and_the_process_lives(home, pid, picture, words):
    status, answer = asking.ask(home, "/models/a/predict", picture)
    assert (status, answer["kind"]) == (422, "DataError")
    assert words in answer["error"]
    assert answer["error"].endswith(".")
    assert _health(home)["pid"] == pid


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"rubbish\r\n\r\n", b" 400 "), (b"GET /" + b"a" * 100_000, b" 400 "),
     (b"POST /models/a/predict HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", b" 400 ")],
    ids=["rubbish", "long", "size"],
)  # fmt: skip
def test_what_is_no_http_is_refused_and_the_process_lives(home, pid, data, status):
    announced = json.loads((home / "predictor.json").read_text(encoding="utf-8"))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(announced["socket"])
        connection.sendall(data)
        assert status in connection.recv(100)
    assert _health(home)["pid"] == pid


@pytest.mark.parametrize(
    "run", [".", "..", "../runs/a", "a/", "/etc", "b\\a", "a\0", "x" * 300, "a/predict"]
)
def test_a_run_is_named_by_a_plain_name(home, pid, run):
    status, answer = asking.ask(home, f"/models/{quote(run, safe='')}/predict", b"x")
    assert (status, answer["kind"]) == (404, "RunError")
    assert answer["error"] == "That is not the id of a run. Choose one in the list of runs."


def test_a_run_that_is_gone_or_not_finished_or_damaged_gets_a_sentence(home, pid):
    assert "not there any more" in _classify(home, "nobody", b"")["error"]
    run = home / "runs" / "e"
    shutil.copytree(home / "runs" / "a", run)
    assert "classes" in asking.ask(home, "/models/e")[1]
    (run / "model.keras").write_bytes(b"no model")
    status, answer = asking.ask(home, "/models/e")
    assert (status, answer["kind"]) == (500, "RunError")
    assert "cannot be read" in answer["error"]
    (run / "model.keras").unlink()
    assert "not finished" in _classify(home, "e", b"")["error"]
    shutil.rmtree(run)
    assert "not there any more" in _classify(home, "e", b"")["error"]


def test_the_three_models_that_were_used_last_are_kept(home, pid):
    for run in "abcd":
        assert len(asking.ask(home, f"/models/{run}")[1]["classes"]) == 3
    assert _health(home)["models"] == ["b", "c", "d"]
    asking.ask(home, "/models/b")
    assert _health(home)["models"] == ["c", "d", "b"]
    listed = asking.ask(home, "/models")[1]["models"]
    assert [(one["name"], one["loaded"]) for one in listed] == [
        ("a", False), ("b", True), ("c", True), ("d", True)
    ]  # fmt: skip


def test_a_model_that_was_trained_again_is_loaded_anew(home, pid, command, picture, tmp_path):
    import keras

    before = _probabilities(home, "d", picture)
    path = home / "runs" / "d" / "model.keras"
    model: Any = keras.saving.load_model(path, compile=False)
    bias = next(value for value in model.trainable_weights if value.path.endswith("head/bias"))
    bias.assign(keras.ops.convert_to_numpy(bias) + np.array([-9.0, 9.0, 0.0]))
    model.save(path)
    after = _probabilities(home, "d", picture)
    assert np.abs(np.subtract(after, before)).max() > 0.01
    (tmp_path / "one.jpg").write_bytes(picture)
    _, predicted, _ = command("predict", home / "runs" / "d", tmp_path / "one.jpg")
    expected = predicted["predictions"][0]["probabilities"].values()
    assert after == pytest.approx(list(expected), abs=1e-5)


def test_who_stalls_does_not_block_the_others(home, pid, picture):
    _classify(home, "a", picture)
    with ExitStack() as stack:
        for _ in range(12):
            stalling = stack.enter_context(closing(asking.connection(home)))
            stalling.putrequest("POST", "/models/a/predict")
            stalling.putheader("Content-Length", "1000000")
            stalling.endheaders(b"only the beginning")
        began = time.monotonic()
        assert "predictions" in _classify(home, "a", picture)
        assert time.monotonic() - began < 5


def test_a_second_process_leaves_before_it_loads_anything(home, pid):
    with asking.process(home, "--store") as second:
        output, words = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "running already" in json.loads(output)["error"]
    assert "Ready" not in words
    assert _health(home)["pid"] == pid


def test_it_leaves_when_nobody_asks(tmp_path):
    with asking.process(tmp_path, "--store", "--idle", "0.5") as process:
        output, _ = process.communicate(timeout=120)
    assert json.loads(output) == {"answered": 0, "left": "nobody asked for 0.5 s"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictor.lock"]


@contextmanager
def _server_here(home: Path, most_memory_mb: float) -> Iterator[Any]:
    from transfer.serving import process
    from transfer.serving.models import Models
    from transfer.serving.service import Service

    service = Service(Models(StoreRuns(home / "runs"), lambda _: None))
    with sockets.private(home) as listening:
        server = process.store_server(home, service, most_memory_mb)
        with asking.in_a_thread(server, listening, 60):
            yield service


def _wait_for_leaving(service: Any) -> None:
    deadline = time.monotonic() + 20
    while not service.leaving:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_leaves_when_the_store_no_longer_names_it(tmp_path):
    with _server_here(tmp_path, 10**6) as service:
        assert _health(tmp_path)["models"] == []
        (tmp_path / "predictor.json").write_text('{"socket": "elsewhere", "pid": 1}')
        _wait_for_leaving(service)
    assert "names another" in service.leaving
    assert "elsewhere" in (tmp_path / "predictor.json").read_text()  # is not its own to delete


def test_above_its_memory_it_answers_and_then_leaves(home, picture, tmp_path):
    shutil.copytree(home / "runs" / "a", tmp_path / "runs" / "a")
    with _server_here(tmp_path, 100) as service:
        assert "predictions" in _classify(tmp_path, "a", picture)
        _wait_for_leaving(service)
    assert "more than 100" in service.leaving
    assert not (tmp_path / "predictor.json").exists()


def test_who_asks_while_it_leaves_is_sent_on(tmp_path):
    with _server_here(tmp_path, 10**6) as service:
        service.leave("it was told to end")
        status, answer = asking.ask(tmp_path, "/models/a")
        assert (status, answer["leaving"]) == (503, True)


def test_dropping_models_leaves_the_one_last_used(home, picture):
    from transfer.serving.models import Models

    log: list[str] = []
    kept = Models(StoreRuns(home / "runs"), log.append)

    def answer(run: str) -> list[float]:
        model = kept.get(run)
        return model.compute([model.prepare(picture)])["probabilities"][0].tolist()

    before = [answer(run) for run in ("b", "a")]
    kept.keep(1)
    assert kept.names() == ["a"]
    assert answer("a") == before[1]
    assert [line.split(" in ")[0] for line in log] == ["Loaded 'b'", "Loaded 'a'"]
