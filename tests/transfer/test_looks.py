"""How pictures look: what is measured means what it says, and is measured once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from transfer.dataset import looks
from transfer.dataset.index import ImageIndex
from transfer.dataset.library import import_dataset

RNG = np.random.default_rng(0)
SCENE = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (60, 80, 3), np.uint8)).resize((320, 240), 3)
)
THUMB = looks.SIDE * looks.SIDE * 3


def _measures(pixels: np.ndarray) -> dict[str, float]:
    found = looks.row(np.ascontiguousarray(pixels))
    assert found.shape == (looks.WIDTH,)
    assert np.isfinite(found).all()
    return dict(zip(looks.MEASURES, found[THUMB:].tolist(), strict=True))


def _blurred(radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(SCENE).filter(ImageFilter.GaussianBlur(radius)))


def _folder(root: Path, pictures: list[np.ndarray], **names: str) -> Path:
    for i, pixels in enumerate(pictures):
        path = root / ("cat", "dog")[i % 2] / f"{names.get('start', '')}{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


def _pictures(count: int, seed: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(count)]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions of the pictures that are measured in this process."""
    seen: list[int] = []
    read = looks._read

    def noted(index: ImageIndex, position: int) -> np.ndarray:
        seen.append(position)
        return read(index, position)

    monkeypatch.setattr(looks, "_read", noted)
    return seen


def test_equal_pictures_have_equal_rows() -> None:
    assert np.array_equal(looks.row(SCENE), looks.row(SCENE.copy()))
    assert not np.array_equal(looks.row(SCENE), looks.row(255 - SCENE))


def test_sharpness_and_noise_fall_with_blur() -> None:
    found = [_measures(_blurred(radius)) for radius in (0, 1, 2, 4, 8)]
    for name in ("sharpness", "fine_sharpness", "noise", "contrast"):
        values = [measures[name] for measures in found]
        assert values == sorted(values, reverse=True), name
        assert values[-1] < 0.7 * values[0], name


def test_noise_rises_with_noise() -> None:
    flat = np.full((240, 320, 3), 120.0)
    grains = RNG.normal(size=(240, 320, 1))
    values = [
        _measures((flat + s * grains).clip(0, 255).astype(np.uint8))["noise"] for s in (4, 16)
    ]
    assert values == pytest.approx([4, 16], rel=0.1)  # its spread, in grey values


def test_light_and_colour() -> None:
    dark, bright = (_measures(np.full((40, 40, 3), grey, np.uint8)) for grey in (20, 230))
    assert (dark["brightness"], bright["brightness"]) == (20, 230)
    assert dark["contrast"] == dark["saturation"] == dark["sharpness"] == dark["noise"] == 0
    red = _measures(np.full((40, 40, 3), (200, 50, 50), np.uint8))
    assert red["saturation"] == 150


def test_the_small_copy_shows_the_picture() -> None:
    halves = np.zeros((100, 200, 3), np.uint8)
    halves[:, 100:] = (250, 100, 50)
    thumb = looks.row(halves)[:THUMB].reshape(looks.SIDE, looks.SIDE, 3)
    assert (thumb[:, :16] == 0).all()
    assert (thumb[:, 16:] == (250, 100, 50)).all()


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (2, 2), (1, 20_000), (20_000, 1), (3, 5_000_000), (129, 131), (1500, 2000), (5, 900)],
)
def test_odd_shapes_are_measured(height: int, width: int) -> None:
    found = _measures(np.full((height, width, 3), (10, 200, 90), np.uint8))
    assert found["brightness"] == pytest.approx(131, abs=1.5)  # 0.299, 0.587 and 0.114 of them
    assert found["saturation"] == pytest.approx(190, abs=2)
    assert found["contrast"] == found["sharpness"] == found["noise"] == 0


def test_a_checkerboard_is_the_most_there_can_be() -> None:
    """Nothing overflows, and all fits the 16 bits in which it is kept."""
    board = np.repeat((np.indices((200, 200)).sum(0) % 2 * 255)[..., None], 3, 2).astype(np.uint8)
    found = _measures(board)
    assert found["fine_sharpness"] == pytest.approx(1020, rel=0.01)  # 4 * 255, above and below
    assert found["noise"] < np.finfo(np.float16).max


def test_taking_pictures_in_measures_them(tmp_path: Path, measured: list[int]) -> None:
    pictures = _pictures(8)
    index = import_dataset(_folder(tmp_path / "pets", pictures))
    found = looks.compute(index)
    assert measured == []
    assert (found.thumbs.shape, found.thumbs.dtype) == ((8, 32, 32, 3), np.uint8)
    for i, picture in enumerate(index.pictures):
        row = looks.row(pictures[int(Path(picture.name).stem)])
        assert np.array_equal(found.thumbs[i].reshape(-1), row[:THUMB])
        assert np.allclose(found.measures[i], row[THUMB:], rtol=1e-3)
    assert np.array_equal(found.measure("contrast"), found.measures[:, 1])
    assert found.grey().shape == (8, 32, 32)


def test_a_second_data_set_of_the_same_pictures_is_not_measured_again(
    tmp_path: Path, measured: list[int]
) -> None:
    pictures = _pictures(10)
    one = import_dataset(_folder(tmp_path / "one", pictures[:8]))
    before = looks.kept_looks()
    kept = sum(path.stat().st_size for path in before.folder.rglob("*") if path.is_file())
    other = import_dataset(_folder(tmp_path / "two", pictures[:8], start="renamed-"))
    assert other.digest != one.digest
    assert sum(p.stat().st_size for p in before.folder.rglob("*") if p.is_file()) == kept
    first, second = looks.compute(one), looks.compute(other)
    assert measured == []
    assert np.array_equal(first.thumbs, second.thumbs)


def test_what_is_not_kept_is_measured_once(tmp_path: Path, measured: list[int]) -> None:
    index = import_dataset(_folder(tmp_path / "pets", _pictures(8)))
    for path in looks.kept_looks().folder.iterdir():
        path.unlink()
    told: list[tuple[int, int]] = []
    part = looks.compute(index, [5, 2], lambda *now: told.append(now))
    assert (sorted(measured), told) == ([2, 5], [(2, 2)])
    whole = looks.compute(index)
    assert sorted(measured) == list(range(8))
    assert np.array_equal(part.thumbs, whole.thumbs[[5, 2]])
    assert looks.compute(index, []).thumbs.shape == (0, 32, 32, 3)


@pytest.mark.parametrize("title", ["group", "Patient", "video"])
def test_the_group_that_a_table_names_reaches_the_pictures(tmp_path: Path, title: str) -> None:
    folder = _folder(tmp_path / "pets", _pictures(8))
    rows = [
        f"{('cat', 'dog')[i % 2]}/{i}.png,{('cat', 'dog')[i % 2]},film {i // 3}" for i in range(8)
    ]
    rows[7] = rows[7].rsplit(",", 1)[0] + ","  # it names none
    (folder / "labels.csv").write_text("\n".join([f"file,label,{title}", *rows]))
    groups = {p.name: p.group for p in import_dataset(folder).pictures}
    expected = {row.split(",")[0]: row.split(",")[2] or None for row in rows}
    assert groups == expected
    (folder / "labels.csv").unlink()
    assert {p.group for p in import_dataset(folder).pictures} == {None}
