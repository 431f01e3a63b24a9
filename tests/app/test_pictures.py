"""Thumbnails over HTTP, from a real server: right links, wrong ones, and what the browser keeps."""

import io
import json
from collections.abc import Iterator
from http.client import HTTPMessage

import pytest
from PIL import Image

from app import datasets, tokens
from app.routes import pictures
from tests.app.conftest import get, serving

Answer = tuple[int, HTTPMessage, bytes]


@pytest.fixture
def port() -> Iterator[int]:
    with serving(pictures.routes()) as port:
        yield port


@pytest.mark.parametrize("side", datasets.THUMBNAIL_SIDES)
def test_a_link_of_a_page_leads_to_its_picture(port, fruit, side):
    picture = datasets.index(fruit).pictures[-1]
    status, headers, body = get(port, pictures.links(fruit, side).format(sha256=picture.sha256))
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(body)) as shown:
        assert shown.size == (side, side)


def test_the_browser_may_keep_a_picture_and_nobody_between(port, fruit):
    sha256 = datasets.index(fruit).pictures[0].sha256
    link = pictures.links(fruit, 192).format(sha256=sha256)
    _, headers, _ = get(port, link)
    assert set(headers["Cache-Control"].split(", ")) == {"private", "max-age=86400", "immutable"}
    assert pictures.links(fruit, 192) == pictures.links(fruit, 192)


def _refused(answer: Answer, status: int) -> str:
    assert answer[0] == status
    assert "Traceback" not in answer[2].decode()
    return json.loads(answer[2])["error"]


def test_a_token_opens_one_data_set_only(port, fruit):
    sha256 = datasets.index(fruit).pictures[0].sha256
    link = pictures.links("0" * 32, 192).format(sha256=sha256)
    assert "no such picture" in _refused(get(port, link), 404)


@pytest.mark.parametrize("token", ["x", "a.b.c", "%00", "..%2f.."])
def test_a_made_up_token_opens_nothing(port, fruit, token):
    sha256 = datasets.index(fruit).pictures[0].sha256
    answer = get(port, f"/api/pictures/{token}/192/{sha256}.jpg")
    if answer[0] == 404:  # no route: a slash came out of it
        return
    assert "expired" in _refused(answer, 403)


def test_a_token_of_another_purpose_opens_nothing(port, fruit):
    sha256 = datasets.index(fruit).pictures[0].sha256
    token = tokens.sign("downloads", fruit)
    assert "expired" in _refused(get(port, f"/api/pictures/{token}/192/{sha256}.jpg"), 403)


@pytest.mark.parametrize("name", ["0" * 64, "..%2f..%2f..%2fsecret", "index", "%2e%2e", "a%00b"])
def test_a_right_token_leads_nowhere_but_to_pictures(port, fruit, name):
    status, _, body = get(port, pictures.links(fruit, 192).format(sha256=name))
    assert status == 404
    assert b"Traceback" not in body


@pytest.mark.parametrize("side", ["0", "193", "100000000", "-1", "x"])
def test_other_sizes_are_not_made(port, fruit, side):
    sha256 = datasets.index(fruit).pictures[0].sha256
    link = pictures.links(fruit, 192).replace("/192/", f"/{side}/").format(sha256=sha256)
    assert get(port, link)[0] == 404


def test_a_picture_of_a_deleted_data_set_is_gone(port, fruit):
    sha256 = datasets.index(fruit).pictures[0].sha256
    link = pictures.links(fruit, 192).format(sha256=sha256)
    assert get(port, link)[0] == 200
    datasets.delete(fruit)
    assert "no such picture" in _refused(get(port, link), 404)
