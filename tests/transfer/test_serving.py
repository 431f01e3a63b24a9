"""The prediction process, asked over its socket: right answers, rubbish, limits and leaving."""

import io
import json
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from transfer import serving


@contextmanager
def _process(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "transfer", "serve", *arguments, "--json"],
        cwd=ROOT,
        env={**os.environ, "TRANSFER_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _until_ready(home: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while not (home / "predictor.json").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return json.loads((home / "predictor.json").read_text(encoding="utf-8"))


def _connect(home: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    announced = json.loads((home / "predictor.json").read_text(encoding="utf-8"))
    connection.connect(announced["socket"])
    return connection


def _raw(home: Path, data: bytes) -> dict[str, Any]:
    with _connect(home) as connection:
        connection.sendall(data)
        with connection.makefile("rb") as stream:
            (size,) = struct.unpack(">I", stream.read(4))
            return json.loads(stream.read(size))


def _message(question: Any, picture: bytes = b"") -> bytes:
    header = json.dumps(question).encode()
    return struct.pack(">I", len(header)) + header + picture


def _classify(home: Path, run: object, picture: bytes) -> dict[str, Any]:
    return _raw(home, _message({"run": run, "size": len(picture)}, picture))


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
    with _process(home) as process:
        yield _until_ready(home, process)["pid"]
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert json.loads(output.splitlines()[-1])["left"] == "it was told to end"
        assert not (home / "predictor.json").exists()


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
    pictures += [alpha, turned, large]

    _, predicted, _ = command("predict", home / "runs" / "a", *pictures)
    for path, expected in zip(pictures, predicted["predictions"], strict=True):
        answer = _classify(home, "a", path.read_bytes())
        named = dict(zip(answer["classes"], answer["probabilities"], strict=True))
        assert named == pytest.approx(expected["probabilities"], abs=1e-5), path


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
    answer = _classify(home, "a", picture)
    assert answer["kind"] == "DataError"
    assert words in answer["error"]
    assert answer["error"].endswith(".")
    assert _raw(home, _message({}))["pid"] == pid


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "language"),
        (struct.pack(">I", 5) + b"{]}[x", "language"),
        (_message([]), "language"),
        (_message({"run": "a", "size": -1}), "language"),
        (_message({"run": "a", "size": "many"}), "language"),
        (struct.pack(">I", 60000) + b"[" * 60000, "language"),
        (_message({"run": "a", "size": 65 * 2**20}), "at most 64 MB"),
    ],
    ids=["http", "no-json", "list", "negative", "word", "deep", "large"],
)
def test_what_is_no_question_gets_a_sentence(home, pid, data, words):
    assert words in _raw(home, data)["error"]
    assert _raw(home, _message({}))["pid"] == pid


@pytest.mark.parametrize(
    "run",
    ["", ".", "..", "../runs/a", "a/", "/etc", "b\\a", "a\0", "\ud800", "x" * 300, 7, None, ["a"]],
)
def test_a_run_is_named_by_a_plain_name(home, pid, run):
    answer = _classify(home, run, b"")
    assert answer == {
        "error": "That is not the id of a run. Choose one in the list of runs.",
        "kind": "RunError",
    }


def test_a_run_that_is_gone_or_not_finished_or_damaged_gets_a_sentence(home, pid):
    assert "not there any more" in _classify(home, "nobody", b"")["error"]
    run = home / "runs" / "e"
    shutil.copytree(home / "runs" / "a", run)
    assert "classes" in _raw(home, _message({"run": "e"}))
    (run / "model.keras").write_bytes(b"no model")
    assert "cannot be read" in _classify(home, "e", b"")["error"]
    (run / "model.keras").unlink()
    assert "not finished" in _classify(home, "e", b"")["error"]
    shutil.rmtree(run)
    assert "not there any more" in _classify(home, "e", b"")["error"]


def test_the_three_models_that_were_used_last_are_kept(home, pid):
    for run in "abcd":
        assert len(_raw(home, _message({"run": run}))["classes"]) == 3
    assert _raw(home, _message({}))["runs"] == ["b", "c", "d"]
    _raw(home, _message({"run": "b"}))
    assert _raw(home, _message({}))["runs"] == ["c", "d", "b"]


def test_a_model_that_was_trained_again_is_loaded_anew(home, pid, command, sample_folder):
    import keras

    picture = sorted(sample_folder.rglob("*.jpg"))[0]
    before = _classify(home, "d", picture.read_bytes())["probabilities"]
    path = home / "runs" / "d" / "model.keras"
    model: Any = keras.saving.load_model(path, compile=False)
    bias = next(value for value in model.trainable_weights if value.path.endswith("head/bias"))
    bias.assign(keras.ops.convert_to_numpy(bias) + np.array([-9.0, 9.0, 0.0]))
    model.save(path)
    after = _classify(home, "d", picture.read_bytes())["probabilities"]
    assert np.abs(np.subtract(after, before)).max() > 0.01
    _, predicted, _ = command("predict", home / "runs" / "d", picture)
    expected = predicted["predictions"][0]["probabilities"].values()
    assert after == pytest.approx(list(expected), abs=1e-5)


def test_who_stalls_does_not_block_the_others_for_long(home, pid, sample_folder):
    picture = sorted(sample_folder.rglob("*.jpg"))[0].read_bytes()
    _classify(home, "a", picture)
    with ExitStack() as stack:
        for _ in range(serving._ASKING_AT_ONCE):
            stalling = stack.enter_context(_connect(home))
            stalling.sendall(_message({"run": "a", "size": 10**6}, b"only the beginning"))
        began = time.monotonic()
        assert "probabilities" in _classify(home, "a", picture)
        assert time.monotonic() - began < serving._SECONDS_TO_ASK + 3


def test_a_second_process_leaves_before_it_loads_anything(home, pid):
    with _process(home) as second:
        output, words = second.communicate(timeout=20)
    assert second.returncode == 2
    assert "running already" in json.loads(output)["error"]
    assert "Ready" not in words
    assert _raw(home, _message({}))["pid"] == pid


def test_it_leaves_when_nobody_asks(tmp_path):
    with _process(tmp_path, "--idle", "0.5") as process:
        output, _ = process.communicate(timeout=60)
    assert json.loads(output) == {"answered": 0, "left": "nobody asked for 0.5 s"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictor.lock"]


@contextmanager
def _server_here(home: Path, most_memory_mb: float) -> Iterator[serving._Server]:
    """Serve from a thread of this process, which has TensorFlow loaded already."""
    from transfer import models

    loaded = models.Models(home / "runs", lambda _: None)
    with serving._server(home, loaded, most_memory_mb) as server:
        thread = threading.Thread(target=server.serve, args=(60,))
        thread.start()
        try:
            while not (home / "predictor.json").exists():
                time.sleep(0.01)
            yield server
        finally:
            server.leave("the test is over")
            thread.join(10)
    assert not thread.is_alive()


def test_it_leaves_when_the_store_no_longer_names_it(tmp_path):
    with _server_here(tmp_path, 10**6) as server:
        assert _raw(tmp_path, _message({}))["runs"] == []
        (tmp_path / "predictor.json").write_text('{"socket": "elsewhere", "pid": 1}')
        _wait_for_leaving(server)
    assert "names another" in server.leaving
    assert "elsewhere" in (tmp_path / "predictor.json").read_text()  # is not its own to delete


def test_above_its_memory_it_answers_and_then_leaves(home, sample_folder, tmp_path):
    shutil.copytree(home / "runs" / "a", tmp_path / "runs" / "a")
    picture = sorted(sample_folder.rglob("*.jpg"))[0].read_bytes()
    with _server_here(tmp_path, 100) as server:
        assert "probabilities" in _classify(tmp_path, "a", picture)
        _wait_for_leaving(server)
    assert "more than 100" in server.leaving
    assert not (tmp_path / "predictor.json").exists()


def test_who_asks_while_it_leaves_is_sent_on(tmp_path):
    with _server_here(tmp_path, 10**6) as server:
        server.leave("it was told to end")
        assert _raw(tmp_path, _message({"run": "a"})) == {"leaving": True}


def _wait_for_leaving(server: serving._Server) -> None:
    deadline = time.monotonic() + 10
    while not server.leaving:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_dropping_models_leaves_the_one_last_used(home, sample_folder):
    from transfer import models

    picture = sorted(sample_folder.rglob("*.jpg"))[0].read_bytes()
    log: list[str] = []
    kept = models.Models(home / "runs", log.append)
    before = [kept.get(run).probabilities(picture) for run in ("b", "a")]
    kept.keep(1)
    assert kept.names() == ["a"]
    assert kept.get("a").probabilities(picture) == before[1]
    assert [line.split(" in ")[0] for line in log] == ["Loaded 'b'", "Loaded 'a'"]
