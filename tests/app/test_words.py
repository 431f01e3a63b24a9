"""Numbers and names as the pages say them."""

import doctest

import pytest

from app import words


def test_the_examples_in_the_docstrings_hold():
    tried = doctest.testmod(words)
    assert tried.attempted >= 2
    assert tried.failed == 0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "a few seconds"),
        (7.9, "a few seconds"),
        (8, "about 10 seconds"),
        (54, "about 55 seconds"),
        (55, "about a minute"),
        (89, "about a minute"),
        (90, "about 2 minutes"),
        (150, "about 3 minutes"),
        (59 * 60, "about 59 minutes"),
        (59.9 * 60, "about an hour"),
        (3600, "about an hour"),
        (90 * 60, "about 1.5 hours"),
        (7199, "about 2 hours"),
        (24 * 3600, "about 24 hours"),
    ],
)
def test_time_spans(seconds, said):
    assert words.duration(seconds) == said


def test_a_longer_time_is_never_said_to_be_shorter():
    def in_seconds(said: str) -> float:
        units = {"second": 1, "minute": 60, "hour": 3600}
        *_, number, unit = said.split()
        value = {"a": 1.0, "an": 1.0, "few": 0.0}.get(number)
        return units[unit.rstrip("s")] * (float(number) if value is None else value)

    said = [in_seconds(words.duration(seconds)) for seconds in range(4 * 3600)]
    assert said == sorted(said)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (12_345, "12 kB"),
        (999_999, "1.0 MB"),
        (3_400_000, "3.4 MB"),
        (1_200_000_000, "1.2 GB"),
        (999_499_999_999, "999 GB"),
        (2_000_000_000_000, "2.0 TB"),
    ],
)
def test_sizes(count, said):
    assert words.size(count) == said


def test_one_and_many():
    assert words.many(1, "picture") == "1 picture"
    assert words.many(0, "picture") == "0 pictures"
    assert words.many(1234, "class", "classes") == "1,234 classes"


def test_lists():
    assert words.and_so_on([]) == ""
    assert words.and_so_on(["a"]) == "a"
    assert words.and_so_on(["a", "b"]) == "a and b"
    assert words.and_so_on(["a", "b", "c", "d"]) == "a, b, c and d"
    assert words.and_so_on(list("abcdef")) == "a, b, c and 3 more"


@pytest.mark.parametrize(
    "name",
    [
        "![x](https://example.org/a.png)",
        "**bold** _it_ ~~no~~ `code` $x^2$ :red[r] :material/home: # h",
        "<script>alert(1)</script> &amp; a@b.org",
        "back\\slash",
        "قطط 猫",
    ],
)
def test_markdown_finds_nothing_in_a_plain_name(name):
    commonmark = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"linkify": False})
    (inline,) = [t for t in commonmark.parse(words.plain(name)) if t.type == "inline"]
    kinds = {token.type for token in inline.children or []}
    assert kinds <= {"text", "text_special"}, kinds
    assert "".join(token.content for token in inline.children or []) == name
