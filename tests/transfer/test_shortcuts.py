"""The shortcut alarm: planted ones are found in real files, and nothing where there is nothing."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from benchmarks import planted_shortcuts as planting
from transfer.builtin import pictures as drawn
from transfer.dataset import library, looks
from transfer.dataset.index import ImageIndex
from transfer.dataset.looks import Looks
from transfer.health import corners, cues, shortcuts
from transfer.health.shortcuts import Shortcut
from transfer.sample import write_sample

CLASSES, EACH, SIDE = ("a", "b", "c"), 24, 112
Set = tuple[ImageIndex, Looks]


def _write(folder: Path) -> None:
    """Write classes that do not differ: each picture is of any kind, with muted colours."""
    rng = np.random.default_rng(5)
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
        number = 0
        while number < EACH:
            pixels = drawn.render(int(rng.integers(drawn.NUM_CLASSES)), rng, SIDE)
            if pixels.std() < 25 or np.abs(np.diff(pixels.astype(int), axis=0)).mean() < 5:
                continue  # flat or soft, as photographs are not
            picture = ImageEnhance.Color(Image.fromarray(pixels)).enhance(0.3)
            picture.save(folder / label / f"{number}.png")
            number += 1


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    """The classes plain and once more with each kind of shortcut, taken in from files."""
    root = tmp_path_factory.mktemp("planted")
    _write(root / "plain")
    planting.write_all(root / "plain", root / "all", EACH, seed=0, only=("a",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_HOME", str(root / "home"))
        index = library.import_dataset(root / "all")
        yield index, looks.compute(index)


def _composed(everything: Set, kind: str, share: float = 1.0, classes: int = 2) -> Set:
    chosen = dict.fromkeys(CLASSES[:classes], EACH)
    return planting.composed(*everything, chosen, kind, share, seed=1)


def _find(of: Set, groups: np.ndarray | None = None, **more: float) -> tuple[Shortcut, ...]:
    alone = np.arange(len(of[0].pictures))
    return shortcuts.find(*of, alone if groups is None else groups, seed=0, **more)


@pytest.mark.parametrize("kind", planting.KINDS)
def test_a_planted_shortcut_is_found(everything, kind):
    found = _find(_composed(everything, kind))
    named = [one for one in found if one.cue in planting.KINDS[kind][1]]
    assert named, found
    assert named[0].level == shortcuts.ALARM
    assert named[0].labels == ("a", "b")
    assert named[0].chance < named[0].low <= named[0].accuracy <= named[0].high <= 1


@pytest.mark.parametrize("kind", ["camera", "frame", "quality", "tint"])
def test_it_is_found_where_only_one_of_three_classes_has_it_and_not_every_picture(everything, kind):
    found = _find(_composed(everything, kind, share=0.85, classes=3))
    named = [one for one in found if one.cue in planting.KINDS[kind][1]]
    assert named, found
    assert named[0].labels == ("a",)


def test_there_is_no_alarm_without_a_shortcut(everything):
    assert _find(_composed(everything, planting.PLAIN)) == ()


def _painted(everything: Set, where: slice) -> Set:
    """Give the class "a" another hue than "b", in a part of the rows and columns of each copy."""
    index, seen = _composed(everything, planting.PLAIN)
    thumbs = seen.thumbs.copy()
    rng = np.random.default_rng(4)
    for thumb, one in zip(thumbs, index.pictures, strict=True):
        hue = (200, 60, 40) if one.label == "a" else (90, 160, 40)
        shade = rng.uniform(0.6, 1.2) * rng.normal(1, 0.15, 3) * hue
        thumb[where, where] = np.clip(shade * (0.9 + 0.1 * thumb[where, where] / 255), 0, 255)
    return index, Looks(thumbs, seen.measures)


def test_the_colour_of_what_lies_in_the_middle_is_no_more_than_a_note(everything):
    """As that of a fruit on any table."""
    levels = {one.cue: one.level for one in _find(_painted(everything, slice(8, -8)))}
    assert levels.get("colour") == shortcuts.NOTE


def test_the_colour_of_one_surface_is_no_more_than_a_note(everything):
    """As that of fields and woods seen from above: all of the picture is the subject."""
    levels = {one.cue: one.level for one in _find(_painted(everything, slice(None)))}
    assert levels.get("colour") == shortcuts.NOTE


def test_the_drawn_fruit_differs_in_colour_and_need_not_be_mended_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_HOME", str(tmp_path / "home"))
    index = library.import_dataset(write_sample(tmp_path / "fruit", per_class=16, size=96))
    found = _find((index, looks.compute(index)))
    assert [(one.cue, one.level) for one in found] == [("colour", shortcuts.NOTE)]


def test_pictures_of_one_surface_are_told_from_those_before_a_background():
    rng = np.random.default_rng(1)
    own = rng.uniform(20, 220, (30, 2, 1, 1, 3))
    object_, ground = np.broadcast_to(own, (30, 2, 32, 32, 3)).swapaxes(0, 1).astype(np.uint8)
    inside = np.zeros((32, 32, 1), bool)
    inside[6:-6, 6:-6] = True
    labels = np.arange(30) % 2
    assert cues.surface(ground, labels) > 0.99
    assert cues.surface(np.where(inside, object_, ground), labels) < 0.5


@pytest.mark.parametrize("place", range(6))
def test_ink_is_seen_along_the_upper_and_the_lower_edge(everything, tmp_path, place):
    """In the corners and between them; what has a place of its own shows nowhere else."""
    index, _ = everything
    across, below = divmod(place, 2)
    picture = Image.new("RGB", (300, 200), (90, 110, 80))
    x, y = 30 + 120 * across, 186 if below else 14
    ImageDraw.Draw(picture).text((x, y), "CAM 02", (255, 60, 60), anchor="mm")
    one = dataclasses.replace(index.pictures[0], sha256="0" * 64)
    alone = dataclasses.replace(index, root=tmp_path, pictures=(one,))
    alone.path(one).parent.mkdir(parents=True)
    picture.save(alone.path(one))
    ink = corners.read(alone, [0]).ink[0].max(axis=2)
    assert np.argmax(ink[:, 0]) == place
    assert ink[place, 0] > ink.min() + 1
    assert np.allclose(ink[:, 1:], ink.min())


def test_what_was_blurred_has_no_steep_edges_at_its_own_size(everything):
    index, _ = everything
    steep = {}
    for kind in (planting.PLAIN, "blur"):
        places = [i for i, one in enumerate(index.pictures) if one.label == f"{kind}~a"]
        steep[kind] = np.median(corners.read(index, places).steepness)
    assert steep["blur"] < -0.5 < steep[planting.PLAIN]


def test_there_is_no_alarm_where_the_labels_say_nothing(everything):
    index, seen = _composed(everything, "camera")
    rng = np.random.default_rng(3)
    labels = rng.permutation([one.label for one in index.pictures])
    pictures = tuple(
        dataclasses.replace(one, label=str(label))
        for one, label in zip(index.pictures, labels, strict=True)
    )
    assert _find((dataclasses.replace(index, pictures=pictures), seen)) == ()


def test_what_only_the_groups_have_in_common_is_no_shortcut(everything):
    """Each group has a time of its own: that tells nothing of a group not seen."""
    index, seen = _composed(everything, planting.PLAIN)
    groups = np.arange(len(index.pictures)) // 4
    own = np.random.default_rng(2).permutation(groups.max() + 1) * 86_400.0
    pictures = []
    for one, group in zip(index.pictures, groups, strict=True):
        assert one.origin is not None
        origin = dataclasses.replace(one.origin, taken=float(own[group]))
        pictures.append(dataclasses.replace(one, origin=origin))
    changed = dataclasses.replace(index, pictures=tuple(pictures)), seen
    grouped = {m.cue: m.accuracy for m in shortcuts.measure(*changed, groups, seed=0)}
    alone = np.arange(len(groups))
    ungrouped = {m.cue: m.accuracy for m in shortcuts.measure(*changed, alone, seed=0)}
    assert ungrouped["time"] > 0.9
    assert grouped["time"] < 0.75
    assert all(one.cue != "time" for one in _find(changed, groups))


def test_the_same_seed_gives_the_same_answer(everything):
    of = _composed(everything, "png")
    assert _find(of) == _find(of)


def test_the_probe_is_what_a_cue_without_a_control_is_compared_with(everything):
    found = {one.cue: one for one in _find(_composed(everything, "png"), probe=0.66)}
    assert found["format"].compared == 0.66


def test_classes_that_cannot_be_held_out_are_passed_over(everything):
    of = _composed(everything, "camera")
    assert _find(of, np.zeros(len(of[0].pictures), int)) == ()


def test_pictures_without_an_origin_are_measured_by_what_is_known(everything):
    index, seen = _composed(everything, "frame")
    bare = tuple(dataclasses.replace(one, origin=None) for one in index.pictures)
    found = _find((dataclasses.replace(index, pictures=bare), seen))
    assert "border" in [one.cue for one in found]


def test_large_sets_are_looked_at_in_part(everything, monkeypatch):
    monkeypatch.setattr(shortcuts, "_MOST", 40)
    monkeypatch.setattr(shortcuts, "_MOST_READ", 20)
    monkeypatch.setattr(shortcuts, "_LEAST", 4)
    index, seen = _composed(everything, "camera")
    times = 5
    many = dataclasses.replace(index, pictures=index.pictures * times)
    more = Looks(np.tile(seen.thumbs, (times, 1, 1, 1)), np.tile(seen.measures, (times, 1)))
    measured = shortcuts.measure(many, more, np.arange(len(many.pictures)), seed=0)
    assert {len(one.right) for one in measured} == {40, 20}
    assert all(one.own.mean() == 0.5 for one in measured)


def test_every_cue_is_explained():
    assert all(f"`{name}`:" in (cues.read.__doc__ or "") for name in cues.NAMES)
