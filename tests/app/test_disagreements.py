"""The pictures on which two runs differ, and heat maps on the pages and by their links."""

import io
import re
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app import comparison, datasets, disagreements, figures, tokens, workshop
from app.routes import heat_maps
from tests.app.conftest import Store, checked, get, markup, serving, words
from tests.app.test_results_page import judged, labels
from transfer.runs import Run


@pytest.fixture
def pair(finished: Store) -> tuple[Run, Run]:
    """Two runs on the same pictures, which differ on some of them."""
    one = workshop.run(finished.run_id)
    other = workshop.run("other")
    shutil.copytree(one.folder, other.folder)
    other.write("about", {**one.about(), "name": "Second"})
    truth = labels(finished.run_id)
    first, second = list(truth), list(truth)
    first[0] = (truth[0] + 1) % 3  # only the second is right
    second[1] = second[2] = (truth[1] + 1) % 3  # only the first is right
    first[3], second[3] = (truth[3] + 1) % 3, (truth[3] + 2) % 3  # both wrong
    first[4] = second[4] = (truth[4] + 1) % 3  # both wrong, alike
    judged(finished.run_id, first, 0.7)
    judged("other", second, [0.6, 0.6, 0.9] + [0.6] * (len(truth) - 3))
    return one, other


def test_they_are_told_apart_by_who_is_right(pair):
    found = disagreements.between(*pair)
    assert {kind: len(some) for kind, some in found.items()} == {
        "only_one": 2, "only_other": 1, "both_wrong": 1
    }  # fmt: skip
    answers = {a.sha256: a for a in figures.read(pair[0]).answers}
    classes = figures.read(pair[0]).classes
    for one in (one for some in found.values() for one in some):
        answer = answers[one.sha256]
        assert one.label == classes[answer.truth]
        assert one.one.what == classes[answer.said]
        assert one.other.what != one.one.what
    assert found["only_one"][0].other.sure == pytest.approx(0.9)  # the surest first
    paired = comparison.paired(*pair)
    assert isinstance(paired, comparison.Paired)
    assert (paired.only_one, paired.only_other) == (2, 1)


def test_a_run_differs_nowhere_from_itself(pair):
    assert not any(disagreements.between(pair[0], pair[0]).values())


def test_the_page_shows_them_with_both_answers(open_page: Any, pair):
    page = open_page("runs")
    page.selectbox(key="compare One run").set_value(pair[0].folder.name)
    page.selectbox(key="compare Another run").set_value(pair[1].folder.name)
    page = checked(page.run(timeout=120))
    assert "The pictures on which they differ" in words(page)
    (radio,) = [one for one in page.radio if str(one.key).startswith("differing:")]
    assert [option.rpartition(" (")[2] for option in radio.options] == ["2)", "1)", "1)"]
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", markup(page), re.S)
    assert len(captions) == 2
    assert all("✓" in one and "✗" in one and "Second: " in one for one in captions)
    page = checked(radio.set_value("both_wrong").run())
    (caption,) = re.findall(r"<figcaption>(.*?)</figcaption>", markup(page), re.S)
    assert caption.count("✗") == 2


def test_where_either_run_looked_is_shown_on_them(open_page: Any, served: Store):
    run, other = workshop.run(served.run_id), workshop.run("other")
    shutil.copytree(run.folder, other.folder)
    other.write("about", {**run.about(), "name": "Second"})
    truth = labels(served.run_id)
    judged("other", [(truth[0] + 1) % 3, *truth[1:]], 0.9)
    judged(served.run_id, list(truth), 0.9)
    page = open_page("runs")
    page.selectbox(key="compare One run").set_value(served.run_id)
    page.selectbox(key="compare Another run").set_value("other")
    page = checked(page.run(timeout=120))
    assert "/api/heat_maps/" not in markup(page)
    choice = page.selectbox(key=f"looked_differing:{served.run_id}:other")
    page = checked(choice.set_value(0).run(timeout=120))
    assert not page.error
    assert markup(page).count('<img src="/api/heat_maps/') == 1


def test_a_link_gives_the_layer_of_a_picture(served: Store):
    picture = datasets.index(served.digest).pictures[3]
    with serving(heat_maps.routes()) as port:
        link = heat_maps.links(served.run_id, served.digest)
        status, headers, body = get(port, link.format(sha256=picture.sha256))
        assert (status, headers["Content-Type"]) == (200, "image/png")
        with Image.open(io.BytesIO(body)) as layer:
            assert layer.mode == "RGBA"
            assert abs(layer.width / layer.height - picture.width / picture.height) < 0.05
            assert np.asarray(layer)[..., 3].max() > 100
        assert get(port, link.format(sha256="0" * 64))[0] == 404
        made_up = tokens.sign("pictures", f"{served.run_id}/{served.digest}")
        assert get(port, f"/api/heat_maps/{made_up}/{picture.sha256}.png")[0] == 403


def test_the_results_show_where_it_looked_when_asked(open_page: Any, served: Store):
    page = open_page("results", run=served.run_id)
    assert "/api/heat_maps/" not in markup(page)
    page = checked(
        page.toggle(key=f"looked_opened_{served.run_id}").set_value(True).run(timeout=120)
    )
    layers = re.findall(r'<img src="/api/heat_maps/[^"]+" alt="" loading="lazy">', markup(page))
    shown = re.findall(r'<div class="gallery opened">(.*?)</div>', markup(page), re.S)
    assert len(layers) == shown[0].count("<figure>") > 0


def test_a_picture_that_was_tried_can_be_asked_where(open_page: Any, served: Store, sample_folder):
    page = open_page("use", run=served.run_id)
    data = sorted(sample_folder.rglob("*.jpg"))[0].read_bytes()
    page.file_uploader(key="picture").set_value(("one.jpg", data, "image/jpeg"))
    page = checked(page.run(timeout=120))
    page = checked(page.toggle(key="looked_tried").set_value(True).run(timeout=120))
    assert not page.error
    chosen = page.selectbox(key=f"looked_class_{served.run_id}")
    other = chosen.options[-1]
    page = checked(chosen.set_value(other).run(timeout=120))
    assert not page.error
    assert len(page.image) == 2
