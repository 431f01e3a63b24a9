"""Each format leaves with the app's answers, for the bytes that users send, or not at all."""

import csv
import dataclasses
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.transfer import problems
from transfer import export, imaging, prediction
from transfer.dataset.decode import decode
from transfer.errors import ExportError
from transfer.exporting import checking, formats, writing
from transfer.prediction import Classifier
from transfer.runs import Run

RNG = np.random.default_rng(0)
ROWS, COLUMNS = np.mgrid[0:150, 0:210]
PIXELS = np.stack([ROWS, COLUMNS, 128 + 60 * np.sin(ROWS / 9) * np.cos(COLUMNS / 11)], -1)
PIXELS = PIXELS.clip(0, 255).astype(np.uint8)
ALPHA = RNG.integers(0, 256, PIXELS.shape[:2], np.uint8)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _phone(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(Image.fromarray(PIXELS), kind, exif=exif)


USUAL = {
    "phone.jpg": lambda: _phone("JPEG"),
    "phone.png": lambda: _phone("PNG"),
    "phone.webp": lambda: _phone("WEBP"),
    "grey.jpg": lambda: _saved(Image.fromarray(PIXELS[..., 2]), "JPEG"),
    "palette.png": lambda: _saved(Image.fromarray(PIXELS).quantize(32), "PNG"),
    "cmyk.jpg": lambda: _saved(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
    "16bit.png": lambda: _saved(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257), "PNG"),
    "1bit.png": lambda: _saved(Image.fromarray(PIXELS[..., 2]).convert("1"), "PNG"),
    "alpha.webp": lambda: _saved(Image.fromarray(np.dstack([PIXELS, ALPHA])), "WEBP"),
    "alpha.png": lambda: _saved(Image.fromarray(np.dstack([PIXELS, ALPHA])), "PNG"),
    "plain.bmp": lambda: _saved(Image.fromarray(PIXELS), "BMP"),
    "plain.gif": lambda: _saved(Image.fromarray(PIXELS).quantize(64), "GIF"),
    "large.jpg": lambda: _saved(Image.fromarray(PIXELS).resize((1500, 1000)), "JPEG"),
    "small.png": lambda: _saved(Image.fromarray(PIXELS[:40, :50]), "PNG"),
}


_LIKE_OTHERS = ("keras", "litert")  # SavedModel and LiteRT in 8 bits go the same ways
_FORMATS = [
    pytest.param(name, marks=pytest.mark.slow) if name in _LIKE_OTHERS else name
    for name in formats.NAMES
]


@pytest.fixture(scope="module", params=_FORMATS)
def exported(request, trained, tmp_path_factory) -> export.Exported:
    """A trained run in each of the formats."""
    run, home = trained
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_HOME", str(home))
        target = tmp_path_factory.mktemp("exported") / request.param
        return export.export(Run(run), target, format=request.param)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """Pictures as users have them."""
    folder = tmp_path_factory.mktemp("usual")
    for name, make in USUAL.items():
        (folder / name).write_bytes(make())
    return [folder / name for name in USUAL]


def test_the_snippet_gives_the_answers_of_the_app_to_what_users_send(exported, trained, files):
    expected = prediction.predict_files(prediction.load(Run(trained[0])), files)
    shown = subprocess.run(
        [sys.executable, "-I", str(exported.path / "example.py"), *map(str, files)],
        cwd="/", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    classes = json.loads((exported.path / "labels.json").read_text(encoding="utf-8"))
    lines = [line.rsplit(": ", 1) for line in shown.splitlines() if line.startswith("/")]
    assert [name for name, _ in lines] == [
        f"{file}  {label}" for file in files for label in classes
    ]
    got = np.array([float(p) for _, p in lines]).reshape(len(files), len(classes))
    allowed = 0.0005 + checking.TOLERANCE if formats.named(exported.format).exact else 0.3
    assert np.abs(got - expected).max() <= allowed + 1e-6


def test_what_is_left_to_do_is_said(exported):
    kind = formats.named(exported.format)
    about = json.loads((exported.path / "preprocessing.json").read_text(encoding="utf-8"))
    words = (exported.path / "README.md").read_text(encoding="utf-8")
    assert len(about["remains"]) == len(kind.remains)
    assert all(step in words for step in about["remains"])
    assert about["takes"] in words
    assert about["outputs"] == {"probabilities": ["n", 3]} | {
        name: ["n"] for name in ("confidence", "answers", "strangeness", "known")
    }
    assert "{" not in words


def test_what_the_check_found_is_kept(exported, trained):
    kept = exported.to_json()
    assert kept["checked"] == 12
    if formats.named(exported.format).exact:
        assert kept["max_difference"] <= 1e-4
        assert "the same answers on all 12 pictures" in kept["words"]
        return
    assert kept["same_label"] >= 0.98
    assert kept["same_known"] >= 0.9
    assert kept["differences"]["strangeness"] < 0.3  # 8 bits of all would leave nothing of it
    assert "right on" in kept["words"]
    size = (exported.path / "model.tflite").stat().st_size
    assert size < 0.5 * Run(trained[0]).model_path.stat().st_size


@pytest.fixture(scope="module")
def several() -> Classifier:
    """A model with further outputs, one of which looks at the picture in another size."""
    backbone = problems.builtin(96)
    random = np.random.default_rng(0)
    inputs = keras.Input((None, None, 3), name="pictures")
    smaller = keras.layers.Resizing(64, 64, interpolation="bilinear", antialias=True)(
        keras.layers.Resizing(96, 96, interpolation="bilinear", antialias=True)(inputs)
    )
    brightness = keras.ops.mean(smaller, axis=(1, 2, 3), keepdims=False)
    vector = keras.layers.GlobalAveragePooling2D()(smaller)
    probabilities = keras.layers.Dense(3, activation="softmax")(vector / 255.0)
    model = keras.Model(inputs, probabilities)
    model.layers[-1].set_weights([random.normal(0, 1, (3, 3)), np.zeros(3)])
    made = Classifier(model, ("a", "b", "c"), backbone.image_size)
    outputs = {"probabilities": probabilities, "distance": brightness, "colours": vector}
    made.__dict__["outputs"] = keras.Model(inputs, outputs)
    return made


@pytest.mark.parametrize("name", ["savedmodel", "litert", "onnx"])
def test_all_outputs_leave_and_are_compared(several, sample_folder, tmp_path, name: str):
    pictures = []
    for number, path in enumerate(sorted(sample_folder.rglob("*.jpg"))[::9]):
        pictures.append(tmp_path / f"{number}.png")  # as the store has them
        Image.fromarray(decode(path)).save(pictures[-1])
    kind = formats.named(name)
    writing.write(kind, writing.WRITERS[name][0], several, tmp_path / "model", pictures)
    here = checking.expected(several, pictures)
    there = checking.elsewhere(tmp_path / "model", pictures)
    assert here.keys() == {"probabilities", "distance", "colours"}
    found = checking.compare(here, there, np.zeros(len(pictures), int))
    assert found.differences.keys() == here.keys()
    if kind.exact:
        assert checking.refused(kind, found) is None
        wrong = dataclasses.replace(found, differences={**found.differences, "distance": 2e-4})
        assert "'distance' is off by 0.0002" in str(checking.refused(kind, wrong))


def test_a_model_that_answers_differently_does_not_leave(trained, monkeypatch, tmp_path):
    run, home = trained
    monkeypatch.setenv("TRANSFER_HOME", str(home))
    right = checking.expected

    def wrong(*arguments: Any) -> dict[str, np.ndarray]:
        return {"probabilities": right(*arguments)["probabilities"] + np.float32(2e-4)}

    monkeypatch.setattr(checking, "expected", wrong)
    with pytest.raises(ExportError, match=r"off by 0\.0002, at most 0\.0001"):
        export.export(Run(run), tmp_path / "model", format="keras")
    assert not list(tmp_path.iterdir())


def test_too_few_equal_labels_do_not_leave():
    kind = formats.named("litert-int8")
    here = {"probabilities": np.eye(2)[[0] * 97 + [1] * 3]}
    there = {"probabilities": np.eye(2)[[0] * 100]}
    found = checking.compare(here, there, np.zeros(100, int))
    assert (found.same_label, found.accuracy, found.accuracy_here) == (0.97, 1.0, 0.97)
    assert "97.0 %" in str(checking.refused(kind, found))


def test_where_8_bits_are_too_few_only_the_weights_have_them(trained, monkeypatch, tmp_path):
    """The second way to write it is nearer to the model in full, and takes the same pictures."""
    run, home = Run(trained[0]), trained[1]
    monkeypatch.setenv("TRANSFER_HOME", str(home))
    monkeypatch.setitem(
        writing.WRITERS,
        "litert-int8",
        writing.WRITERS["litert-int8"][1:],  # pyright: ignore[reportArgumentType]
    )
    made = export.export(run, tmp_path / "model", format="litert-int8").to_json()
    assert made["same_label"] == made["same_known"] == 1
    assert made["differences"]["strangeness"] < 0.1
    assert (
        tmp_path / "model" / "model.tflite"
    ).stat().st_size < 0.5 * run.model_path.stat().st_size


def test_one_that_knows_everything_does_not_leave():
    kind = formats.named("litert-int8")
    same = {"probabilities": np.eye(2)[[0] * 100]}
    here, there = same | {"known": np.arange(100) >= 20}, same | {"known": np.ones(100, bool)}
    found = checking.compare(here, there, np.zeros(100, int))
    assert found.same_known == 0.8
    assert "80.0 %" in str(checking.refused(kind, found))
    found = checking.compare(same, same, np.zeros(100, int))
    assert checking.refused(kind, found) is None
    assert "none of these" not in checking.in_words(kind, found)


def test_a_folder_and_a_zip_are_scored_alike(
    trained, sample_folder, command, tmp_path, monkeypatch
):
    run, home = trained
    monkeypatch.setenv("TRANSFER_HOME", str(home))
    folder, packed = tmp_path / "many", tmp_path / "many.zip"
    (folder / "below").mkdir(parents=True)
    pictures = sorted(sample_folder.rglob("*.jpg"))
    with zipfile.ZipFile(packed, "w") as zipped:
        for number, path in enumerate(pictures[:40]):
            place = folder / "below" / f"{number:02d} é.jpg"
            place.write_bytes(path.read_bytes())
        (folder / "a.txt").write_text("no picture")
        (folder / "broken.jpg").write_bytes(pictures[0].read_bytes()[:500])
        (folder / "phone.jpg").write_bytes(_phone("JPEG"))
        (folder / ".hidden").write_text("")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                zipped.write(path, path.relative_to(folder))
    tables = []
    for source in (folder, packed):
        target = tmp_path / f"{source.name}.csv"
        (tmp_path / f".{target.name}.1.partial.csv").write_text("what a killed one has left")
        status, answer, _ = command("score", run, source, "--to", target)
        assert (status, answer["answered"], answer["left_out"]) == (0, 41, 2)
        tables.append(list(csv.DictReader(target.read_text(encoding="utf-8").splitlines())))
        assert not list(tmp_path.glob(".*.partial*"))
    assert tables[0] == tables[1]
    rows = {row["file"]: row for row in tables[0]}
    assert rows["a.txt"]["label"] == ""
    assert "is not a picture" in rows["a.txt"]["reason"]
    assert "damaged" in rows["broken.jpg"]["reason"]
    named = [folder / "phone.jpg", *sorted((folder / "below").iterdir())]
    expected = prediction.predict_files(prediction.load(Run(run)), named)
    for path, row in zip(named, expected, strict=True):
        kept = rows[str(path.relative_to(folder))]
        assert float(kept["probability"]) == pytest.approx(row.max(), abs=1e-5)
        got = [float(kept[name]) for name in ("apple", "lemon", "lime")]
        assert got == pytest.approx(row.tolist(), abs=1e-5)


def test_nothing_to_score_is_said(trained, command, tmp_path):
    (tmp_path / "empty").mkdir()
    for source in ("empty", "nowhere"):
        status, answer, _ = command(
            "score", trained[0], tmp_path / source, "--to", tmp_path / "answers.csv"
        )
        assert status == 2
        assert "a zip" in answer["error"]
        assert not (tmp_path / "answers.csv").exists()


def test_the_reader_of_the_snippets_reads_as_the_app_does(files):
    space: dict[str, Any] = {}
    code = (Path(writing.__file__).parent / "snippets" / "pictures.py").read_text(encoding="utf-8")
    exec(compile(code, "pictures.py", "exec"), space)
    read: Any = space["read"]
    resize: Any = space["resize"]
    for path in files:
        assert np.array_equal(read(path.read_bytes()), decode(path)), path.name
    with pytest.raises(ValueError, match="no picture"):
        read(b"hello")
    for size in (96, 224):
        for shape in ((64, 64), (192, 256), (500, 375), (224, 96)):
            pixels = RNG.integers(0, 256, (*shape, 3), np.uint8)
            assert np.array_equal(
                resize(pixels, size), imaging.resize(tf.constant(pixels), size).numpy()
            )
