"""The grid of pictures: its links, and names that would be HTML."""

from html.parser import HTMLParser

import pytest

from app import gallery
from app.gallery import Entry


class _Read(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def _read(markup: str) -> _Read:
    parser = _Read()
    parser.feed(markup)
    parser.close()
    return parser


NAMES = [
    "</figure><script>alert(1)</script>",
    '" onerror="alert(1)',
    "' onload='x",
    "قطط",
    "猫 & 狗",
    "{sha256}",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_only_ever_text(name):
    read = _read(gallery.grid("d1", [Entry("ab12", alt=name, caption=name)]))
    assert [tag for tag, _ in read.tags] == ["div", "figure", "img", "figcaption"]
    image = read.tags[2][1]
    assert image.keys() == {"src", "alt", "title", "loading"}
    assert image["alt"] == image["title"] == name
    assert read.text == name


def test_each_picture_has_its_own_link_and_loads_when_it_is_seen():
    read = _read(gallery.grid("d1", [Entry(sha, alt=sha) for sha in ("aa", "bb", "cc")]))
    images = [values for tag, values in read.tags if tag == "img"]
    assert [str(image["src"]).rpartition("/")[2] for image in images] == [
        "aa.jpg",
        "bb.jpg",
        "cc.jpg",
    ]
    assert len({str(image["src"]).rpartition("/")[0] for image in images}) == 1
    assert all(image["loading"] == "lazy" for image in images)
    assert all(str(image["src"]).startswith("/api/pictures/") for image in images)
    assert "figcaption" not in {tag for tag, _ in read.tags}


@pytest.mark.parametrize(("kind", "side"), [("preview", 192), ("plain", 192), ("large", 384)])
def test_the_kind_decides_the_size(kind, side):
    read = _read(gallery.grid("d1", [Entry("aa", alt="a")], kind=kind))
    assert read.tags[0] == ("div", {"class": f"gallery {kind}"})
    assert f"/{side}/aa.jpg" in str(read.tags[2][1]["src"])


def test_links_stay_the_same_so_that_the_browser_keeps_pictures_and_differ_by_data_set():
    one = gallery.grid("d1", [Entry("aa", alt="a")])
    assert gallery.grid("d1", [Entry("aa", alt="a")]) == one
    assert gallery.grid("d2", [Entry("aa", alt="a")]) != one
