"""The upload routes in a real server: resuming, refusals, connections that break, and no traces."""

import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from app import jobs, tokens, uploads
from app.routes import uploads as routes
from tests.app.conftest import serving
from transfer import store
from transfer.dataset import library

GB = 1024**3
Answer = tuple[int, dict[str, Any]]


@pytest.fixture
def port() -> Iterator[int]:
    with serving(routes.routes()) as port:
        yield port


def request(
    port: int, method: str, path: str, body: Any = None, token: str | None = "", **headers: str
) -> Answer:
    """Ask the server: (status, JSON). The token: a right one, another one, or None for none."""
    if token is not None:
        headers[routes.TOKEN_HEADER] = token or routes.token()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, f"/api/uploads{path}", body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        assert "Traceback" not in text
        return response.status, json.loads(text)


def begin(port: int, name: str = "cats.zip", size: Any = 1000) -> Answer:
    return request(port, "POST", "", json.dumps({"name": name, "size": size}))


def half_sent(port: int, upload_id: str, announced: int, data: bytes) -> socket.socket:
    """A connection on which less comes than was announced."""
    connection = socket.create_connection(("127.0.0.1", port))
    head = (
        f"PUT /api/uploads/{upload_id}?offset=0 HTTP/1.1\r\nHost: localhost\r\n"
        f"{routes.TOKEN_HEADER}: {routes.token()}\r\nContent-Length: {announced}\r\n\r\n"
    )
    connection.sendall(head.encode() + data)
    return connection


def until(condition: Any) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_zip_goes_all_the_way(port, sample_zip):
    data = sample_zip.read_bytes()
    status, upload = begin(port, "fruit.zip", len(data))
    assert (status, upload["state"], upload["received"]) == (201, "receiving", 0)
    one = f"/{upload['id']}"
    for start in range(0, len(data), 100_000):
        piece = data[start : start + 100_000]
        status, answer = request(port, "PUT", f"{one}?offset={start}", piece)
        assert (status, answer) == (200, {"received": start + len(piece)})
    assert request(port, "GET", one)[1]["received"] == len(data)
    status, answer = request(port, "POST", f"{one}/finish")
    assert (status, answer["state"]) == (200, "queued")
    assert uploads.get(upload["id"]).data.read_bytes() == data
    assert [job.target for job in jobs.active()] == [upload["id"]]
    from app import importing

    done = importing.take_in(upload["id"])
    assert request(port, "GET", one)[1]["digest"] == done.digest
    assert len(library.open_dataset(done.digest or "").pictures) == 72


def test_the_same_files_go_on_where_they_were_broken_off(port):
    asked = json.dumps({"name": "cats.zip", "size": 1000, "mark": "abc", "label": " cat "})
    status, upload = request(port, "POST", "", asked)
    assert (status, upload["received"], upload["label"]) == (201, 0, "cat")
    request(port, "PUT", f"/{upload['id']}?offset=0", b"x" * 300)
    status, again = request(port, "POST", "", asked)
    assert (status, again["id"], again["received"]) == (201, upload["id"], 300)
    assert begin(port)[1]["id"] != upload["id"]


def test_adding_to_what_is_gone_is_refused_before_anything_is_sent(port, fruit):
    asked = {"name": "cats.zip", "size": 1000}
    status, answer = request(port, "POST", "", json.dumps({**asked, "into": fruit}))
    assert (status, answer["into"]) == (201, fruit)
    status, answer = request(port, "POST", "", json.dumps({**asked, "into": "0" * 32}))
    assert status == 400
    assert "no longer in the store" in answer["error"]


@pytest.mark.parametrize("aim", [{"label": 1}, {"mark": ["x"]}, {"into": {}}, {"label": "x" * 201}])
def test_an_aim_that_is_no_text_is_refused(port, aim):
    status, answer = request(port, "POST", "", json.dumps({"name": "a.zip", "size": 9, **aim}))
    assert (status, "200 characters" in answer["error"]) == (400, True)


@pytest.mark.parametrize("aim", [{}, {"label": "cat"}, {"mark": "abc"}, {"into": True}])
def test_what_does_not_fit_is_refused_before_anything_is_sent(fruit, aim):
    aim = {**aim, "into": fruit} if "into" in aim else aim
    with serving(routes.routes(free_bytes=lambda: 2 * GB)) as port:
        asked = json.dumps({"name": "folder.tar", "size": GB, **aim})
        status, answer = request(port, "POST", "", asked)
    assert (status, "2 GB are free on this machine" in answer["error"]) == (507, True)
    assert uploads.unfinished() == []
    assert not any((store.home() / "uploads").glob("*"))


def test_tells_where_to_go_on(port):
    _, upload = begin(port)
    path = f"/{upload['id']}?offset="
    assert request(port, "PUT", f"{path}0", b"x" * 300)[0] == 200
    for offset in (0, 299, 301, 10**14):
        status, answer = request(port, "PUT", f"{path}{offset}", b"y" * 300)
        assert (status, answer["received"]) == (409, 300)
        assert "goes on at byte 300" in answer["error"]
    assert request(port, "PUT", f"{path}300", b"x" * 700) == (200, {"received": 1000})


def test_finishing_too_early_tells_what_is_missing(port):
    _, upload = begin(port)
    request(port, "PUT", f"/{upload['id']}?offset=0", b"x" * 999)
    status, answer = request(port, "POST", f"/{upload['id']}/finish")
    assert (status, answer["received"]) == (409, 999)


def test_a_wrong_offset_is_told_even_to_a_sender_that_sends_all_before_it_listens(port):
    _, upload = begin(port, size=GB)
    status, answer = request(port, "PUT", f"/{upload['id']}?offset=7", bytes(30 * 1024**2))
    assert (status, answer["received"]) == (409, 0)


def test_what_arrived_before_the_connection_broke_is_kept(port):
    data = os.urandom(8_000_000)
    _, upload = begin(port, size=len(data))
    with closing(half_sent(port, upload["id"], len(data), data[:3_456_789])):
        until(lambda: uploads.get(upload["id"]).received > 2_000_000)
    until(lambda: uploads.get(upload["id"]).received == 3_456_789)
    answer = request(port, "PUT", f"/{upload['id']}?offset=3456789", data[3_456_789:])
    assert answer == (200, {"received": len(data)})
    assert uploads.get(upload["id"]).data.read_bytes() == data


def test_others_are_served_while_one_sends_slowly(port):
    _, upload = begin(port, size=10_000_000)
    with closing(half_sent(port, upload["id"], 10_000_000, bytes(100))):
        begun = time.monotonic()
        assert begin(port)[0] == 201
        assert time.monotonic() - begun < 5


class TestToken:
    WAYS = (("POST", ""), ("PUT", "/{id}?offset=0"), ("GET", "/{id}"), ("POST", "/{id}/finish"),
            ("DELETE", "/{id}"))  # fmt: skip

    @pytest.mark.parametrize(("method", "path"), WAYS)
    def test_is_needed_for_everything(self, port, method, path):
        _, upload = begin(port)
        path = path.format(id=upload["id"])
        others = (None, "wrong", "a.b.c", "\xe4", tokens.sign("upload", "other"),
                  tokens.sign("download", "new"))  # fmt: skip
        for token in others:
            status, answer = request(port, method, path, b"x", token)
            assert (status, list(answer)) == (403, ["error"]), token
        assert uploads.get(upload["id"]).received == 0
        assert len(list((store.home() / "uploads").iterdir())) == 1

    def test_of_another_store_does_not_count(self, port, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setenv("TRANSFER_HOME", str(tmp_path))
            foreign = routes.token()
        assert request(port, "GET", "/" + "0" * 16, token=foreign)[0] == 403

    def test_is_a_header_which_foreign_pages_cannot_send(self, port):
        path = f"?{routes.TOKEN_HEADER}={routes.token()}"
        assert request(port, "POST", path, b"{}", None)[0] == 403


class TestLimits:
    def test_an_upload_beyond_the_limit(self, port):
        status, answer = begin(port, size=20 * GB + 1)
        assert status == 413
        assert "at most 20 GB" in answer["error"]

    def test_an_upload_beyond_the_disk(self):
        size = 2 * GB
        free = 3 * size + GB
        with serving(routes.routes(free_bytes=lambda: free - 1)) as port:
            status, answer = begin(port, size=size)
            assert status == 507
            assert "takes 7 GB of disk" in answer["error"]
        with serving(routes.routes(free_bytes=lambda: free)) as port:
            assert begin(port, size=size)[0] == 201

    def test_an_upload_beyond_the_real_disk(self, port):
        # As much as just does not fit, where the disk is not larger than the limit asks for.
        size = uploads.free_bytes() // 3
        assert begin(port, size=size)[0] == (413 if size > 20 * GB else 507)

    def test_a_full_disk_is_said_before_the_connection_closes(self, port):
        _, upload = begin(port, size=30 * 1024**2)
        data = uploads.get(upload["id"]).data
        data.unlink()
        data.symlink_to("/dev/full")
        status, answer = request(port, "PUT", f"/{upload['id']}?offset=0", bytes(30 * 1024**2))
        assert status == 507
        assert "is full" in answer["error"]

    def test_a_piece_that_says_its_size(self, port):
        _, upload = begin(port, size=GB)
        with closing(half_sent(port, upload["id"], 32 * 1024**2 + 1, b"")) as connection:
            assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
        assert uploads.get(upload["id"]).received == 0

    def test_a_piece_that_does_not(self, port):
        _, upload = begin(port, size=GB)
        endless = (bytes(2**20) for _ in range(33))
        path = f"/{upload['id']}?offset=0"
        status, answer = request(port, "PUT", path, endless)
        assert status == 413
        assert "at most 32 MB" in answer["error"]

    def test_the_largest_piece(self, port):
        _, upload = begin(port, size=GB)
        size = 32 * 1024**2
        answer = request(port, "PUT", f"/{upload['id']}?offset=0", bytes(size))
        assert answer == (200, {"received": size})

    def test_more_than_was_announced(self, port):
        _, upload = begin(port, size=10)
        status, answer = request(port, "PUT", f"/{upload['id']}?offset=0", b"x" * 11)
        assert status == 413
        assert "was said to have 10 bytes" in answer["error"]

    def test_a_long_beginning(self, port):
        assert request(port, "POST", "", b"[" * 100_000)[0] == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 60_000, b'{"name": "a", "size": "1"}',
     b'{"name": 1, "size": 1}', b'{"name": "a", "size": true}', b'{"name": "a", "size": 1.5}',
     b'{"name": "a", "size": 1e999}', b'{"name": "a", "size": 0}', b'{"name": "a", "size": -1}'],
)  # fmt: skip
def test_a_wrong_beginning_is_a_sentence(port, body):
    status, answer = request(port, "POST", "", body)
    assert (status, list(answer)) == (400, ["error"])


@pytest.mark.parametrize("offset", ["", "?offset=", "?offset=-1", "?offset=x", "?offset=%C2%B2",
                                    "?offset=" + "9" * 5000])  # fmt: skip
def test_a_wrong_offset_is_a_sentence(port, offset):
    _, upload = begin(port)
    status, answer = request(port, "PUT", f"/{upload['id']}{offset}", b"x")
    assert (status, list(answer)) == (400, ["error"])


@pytest.mark.parametrize("name", ["0" * 16, "..", "x", "%2e%2e", "..%5c..", "%00", "a" * 5000])
@pytest.mark.parametrize(
    ("method", "way"), [("GET", ""), ("PUT", "?offset=0"), ("DELETE", ""), ("POST", "/finish")]
)
def test_an_unknown_upload_is_not_found(port, name, method, way):
    status, answer = request(port, method, f"/{name}{way}", b"x" if method == "PUT" else None)
    assert (status, list(answer)) == (404, ["error"])


def test_a_cancelled_upload_is_gone(port):
    _, upload = begin(port)
    one = f"/{upload['id']}"
    request(port, "PUT", f"{one}?offset=0", b"x" * 1000)
    request(port, "POST", f"{one}/finish")
    assert request(port, "DELETE", one) == (200, {})
    assert (jobs.active(), list((store.home() / "uploads").iterdir())) == ([], [])
    assert request(port, "GET", one)[0] == 404


def test_an_upload_may_be_cancelled_while_it_is_being_sent(port):
    _, upload = begin(port, size=30_000_000)
    with closing(half_sent(port, upload["id"], 30_000_000, bytes(5_000_000))) as connection:
        until(lambda: uploads.get(upload["id"]).received > 1_000_000)
        assert request(port, "DELETE", f"/{upload['id']}") == (200, {})
        connection.sendall(bytes(25_000_000))
        assert connection.recv(100).startswith(b"HTTP/1.1 404 ")
    assert list((store.home() / "uploads").iterdir()) == []


def test_what_nobody_thought_of_is_a_sentence_and_in_the_log(port, caplog):
    (store.home() / "uploads").write_text("a file in the way")
    status, answer = begin(port)
    assert (status, list(answer)) == (500, ["error"])
    assert "Nothing that arrived was lost" in answer["error"]
    assert "FileExistsError" in caplog.text or "NotADirectoryError" in caplog.text
