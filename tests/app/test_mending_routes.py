"""The draft over HTTP, from a real server: read, changed, taken back, and what is refused."""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from app import datasets, mending, tokens
from app.routes import mending as routes
from tests.app.conftest import get, serving
from transfer.dataset import versions
from transfer.dataset.mending import Change


@pytest.fixture
def port() -> Iterator[int]:
    with serving(routes.routes()) as port:
        yield port


def _path(digest: str, more: str = "") -> str:
    return f"/api/datasets/{digest}/draft{more}"


def _post(
    port: int, digest: str, value: Any, more: str = "", token: str | None = None
) -> tuple[int, dict[str, Any]]:
    headers = {routes.TOKEN_HEADER: routes.token(digest) if token is None else token}
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        connection.request("POST", _path(digest, more), body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def _read(port: int, digest: str) -> dict[str, Any]:
    token = {routes.TOKEN_HEADER: routes.token(digest)}
    status, _, body = get(port, _path(digest), **token)
    assert status == 200
    return json.loads(body)


def test_everything_is_there_in_the_order_of_the_data_set(port, fruit):
    index = datasets.index(fruit)
    found = _read(port, fruit)
    pictures, draft = found["pictures"], found["draft"]
    assert pictures["names"] == [picture.name for picture in index.pictures]
    assert pictures["contents"] == [picture.sha256 for picture in index.pictures]
    assert [pictures["classes"][i] for i in pictures["labels"]] == [
        picture.label for picture in index.pictures
    ]
    assert pictures["splits"] == "r" * 72
    assert draft == {
        "classes": list(index.classes), "labels": pictures["labels"], "splits": "r" * 72,
        "changes": [], "undo": None, "redo": None,
    }  # fmt: skip


def test_a_large_answer_is_packed_for_who_can_read_it(port, fruit):
    token = {routes.TOKEN_HEADER: routes.token(fruit)}
    _, plain_headers, plain = get(port, _path(fruit), **token)
    _, headers, packed = get(port, _path(fruit), **token, **{"Accept-Encoding": "gzip, br"})
    assert plain_headers["Content-Encoding"] is None
    if headers["Content-Encoding"] is None:
        assert len(plain) <= routes._WORTH_PACKING
    else:
        assert json.loads(gzip.decompress(packed)) == json.loads(plain)


def test_a_change_is_made_taken_back_and_made_again(port, fruit):
    apple = datasets.index(fruit).pictures[0]
    other = datasets.index(fruit).classes[-1]
    status, draft = _post(port, fruit, {"do": "relabel", "pictures": [0, 1], "to": other})
    assert status == 200
    assert [draft["classes"][i] for i in draft["labels"][:3]] == [other, other, apple.label]
    assert draft["changes"] == [draft["undo"]]
    assert "2 pictures moved" in draft["undo"]
    assert mending.drafted(fruit).counts()[other] == 26
    assert versions.draft(fruit)[0].pictures == (apple.name, datasets.index(fruit).pictures[1].name)
    status, draft = _post(port, fruit, {}, "/undo")
    assert (status, draft["changes"], draft["undo"]) == (200, [], None)
    assert "2 pictures moved" in draft["redo"]
    status, draft = _post(port, fruit, {}, "/redo")
    assert (status, len(draft["changes"]), draft["redo"]) == (200, 1, None)
    assert _read(port, fruit)["draft"] == draft


def test_deleted_pictures_are_gone_and_the_others_keep_their_place(port, fruit):
    _, draft = _post(port, fruit, {"do": "delete", "pictures": [3, 70]})
    assert [i for i, label in enumerate(draft["labels"]) if label == mending.GONE] == [3, 70]
    first = datasets.index(fruit).classes[0]
    _, draft = _post(port, fruit, {"do": "delete", "classes": [first]})
    assert draft["labels"][:24] == [mending.GONE] * 24
    assert first not in draft["classes"]


@pytest.mark.parametrize(
    "change",
    [
        {"do": "rename", "to": "Renamed"},
        {"do": "merge", "to": "Merged"},
        {"do": "split_off", "pictures": [5, 6], "to": "New"},
        {"do": "move", "pictures": [5], "to": "test"},
    ],
)
def test_every_kind_of_change_of_the_gallery_arrives(port, fruit, change):
    if change["do"] in ("rename", "merge"):
        change = {**change, "classes": list(datasets.index(fruit).classes[:1])}
    status, draft = _post(port, fruit, change)
    assert (status, len(draft["changes"])) == (200, 1)
    if change["do"] == "move":
        assert draft["splits"][4:7] == "rer"
    else:
        assert change["to"] in draft["classes"]


@pytest.mark.parametrize(
    "value",
    [
        b"", b"[", b"[]", b"7", b"{}", b"\xff", b"[" * 100_000,
        {"do": "relabel", "to": "x"},
        {"do": "relabel", "pictures": [72], "to": "x"},
        {"do": "relabel", "pictures": [-1], "to": "x"},
        {"do": "relabel", "pictures": [True], "to": "x"},
        {"do": "relabel", "pictures": ["0"], "to": "x"},
        {"do": "relabel", "pictures": "0", "to": "x"},
        {"do": "relabel", "pictures": [0], "to": 7},
        {"do": "relabel", "classes": ["x"], "to": "y"},
        {"do": "delete", "pictures": [0], "classes": ["x"]},
        {"do": "delete", "classes": [["x"]]},
        {"do": "group", "pictures": [0], "to": "x"},
        {"do": ["delete"], "pictures": [0]},
        {"do": None, "pictures": [0]},
    ],
)  # fmt: skip
def test_what_is_no_change_is_refused_in_a_sentence(port, fruit, value):
    status, answer = _post(port, fruit, value)
    assert status == 409
    assert "no change that can be made" in answer["error"]
    assert versions.draft(fruit) == ()


def test_what_does_not_fit_says_why_and_changes_nothing(port, fruit):
    status, answer = _post(port, fruit, {"do": "rename", "classes": ["nothing"], "to": "x"})
    assert status == 409
    assert "no class 'nothing'" in answer["error"]
    everything = list(range(72))
    status, answer = _post(port, fruit, {"do": "delete", "pictures": everything})
    assert status == 409
    assert "every picture" in answer["error"]
    assert versions.draft(fruit) == ()


def test_a_change_that_is_too_large_is_refused(port, fruit):
    status, answer = _post(port, fruit, b" " * (routes._MOST_BYTES + 1))
    assert status == 409
    assert "too large" in answer["error"]


def test_a_token_opens_one_draft_only(port, fruit):
    for token in ("", "x", routes.token("0" * 32), tokens.sign("pictures", fruit)):
        status, answer = _post(port, fruit, {"do": "delete", "pictures": [0]}, token=token)
        assert status == 403
        assert answer["error"]
    assert get(port, _path(fruit))[0] == 403
    assert versions.draft(fruit) == ()


def test_a_data_set_that_is_gone_is_said_to_be(port, fruit):
    datasets.delete(fruit)
    status, answer = _post(port, fruit, {"do": "delete", "pictures": [0]})
    assert status == 409
    assert "no longer in the store" in answer["error"]


def test_a_picture_is_given_whole(port, fruit):
    picture = datasets.index(fruit).pictures[4]
    link = routes.originals(fruit)
    status, headers, body = get(port, link.format(position=4))
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert body == datasets.index(fruit).path(picture).read_bytes()
    assert "private" in headers["Cache-Control"]
    assert get(port, link.format(position=72))[0] == 404
    assert get(port, link.format(position="-1"))[0] == 404
    signed = routes.token(fruit)  # of another purpose
    assert get(port, f"/api/originals/{signed}/4.png")[0] == 403


def test_twice_the_same_name_is_told_apart(port, fruit):
    whole = datasets.index(fruit)
    path = whole.root / "index.json"
    value = json.loads(path.read_text())
    value["pictures"][1]["name"] = value["pictures"][0]["name"]
    path.write_text(json.dumps(value))
    names = _read(port, fruit)["pictures"]["names"]
    assert len(set(names)) == 72
    _, draft = _post(port, fruit, {"do": "delete", "pictures": [names.index(names[1])]})
    assert draft["labels"].count(mending.GONE) == 1
    assert versions.draft(fruit) == (Change("delete", (names[1],), (whole.classes[0],)),)
