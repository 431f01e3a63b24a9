"""Heat maps: exact for linear heads, near the truth for others, and where the thing is."""

import json
import math

import keras
import numpy as np
import pytest
from PIL import Image

from tests.transfer import problems
from transfer import backbones, heat_maps, imaging, linear, overlays, pooling
from transfer.errors import SettingsError
from transfer.linear import LinearHead
from transfer.prediction import Classifier

_CLASSES = ("one", "other", "third")


def _classifier(backbone, blocks, seed=0) -> Classifier:
    rng = np.random.default_rng(seed)
    width = sum(block.width for block in blocks)
    kernel = rng.normal(0, 0.3 / math.sqrt(width), (width, 3)).astype(np.float32)
    head = LinearHead(kernel, rng.normal(0, 1, 3).astype(np.float32), 1.0, 1.0, 0.0)
    model = backbones.classifier(backbones.with_head(backbone, head, blocks))
    return Classifier(model, _CLASSES, backbone.image_size)


def _score(answer: np.ndarray, label: int) -> float:
    logs = np.log(answer.astype(np.float64))
    return float(logs[label] - logs.mean())


def _answer(classifier: Classifier, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(classifier.model(pixels[None].astype(np.float32), training=False))[0]


@pytest.fixture(scope="module")
def builtin():
    return problems.builtin()


@pytest.mark.parametrize(
    ("name", "read"),
    [("builtin", "top"), ("builtin", "all"), ("VGG16", "all"), ("MobileNetV2", "all")],
)
def test_the_map_and_the_bias_add_up_to_the_score(name, read, tmp_path, builtin):
    backbone = builtin if name == "builtin" else problems.random_backbone(name, tmp_path, 75)
    blocks = backbone.blocks if read == "all" else (pooling.top(backbone.blocks),)
    classifier = _classifier(backbone, blocks)
    pixels = problems.stripes(1, 7, backbone.image_size)
    answer, explain = _answer(classifier, pixels), heat_maps.explainer(classifier)
    for label in range(3):
        found = explain(pixels, label)
        assert found.exact
        assert len(found.maps) == len(blocks)
        total = sum(one.sum() for one in found.maps) + found.bias
        assert total == pytest.approx(found.score, abs=1e-6)
        assert found.score == pytest.approx(_score(answer, label), abs=2e-3)
        assert found.evidence.sum() == pytest.approx(found.score, abs=1e-6)
    assert explain(pixels).label == answer.argmax()
    np.testing.assert_allclose(explain(pixels).probabilities, answer, atol=1e-4)


def test_each_part_of_a_sum_is_what_the_head_would_lose_without_that_place(builtin):
    """The exact map is linear: a feature that is set to nothing takes away what it stood for."""
    block = pooling.top(builtin.blocks)
    classifier = _classifier(builtin, (block,))
    pixels = problems.stripes(2, 3, builtin.image_size)
    found = heat_maps.explainer(classifier)(pixels, 1)
    features = np.asarray(backbones.reading(builtin, [block.stage.tensor])(pixels[None] * 1.0))[0]
    kernel, bias = backbones.after_resizing(classifier.model).get_layer("head").get_weights()
    without = features.copy()
    without[0, 1] = 0
    logits = [one.mean(axis=(0, 1)) @ kernel + bias for one in (features, without)]
    lost = [one[1] - one.mean() for one in logits]
    assert found.maps[0][0, 1] == pytest.approx(lost[0] - lost[1], abs=1e-5)


def test_the_gradient_finds_the_same_where_the_head_is_linear(builtin):
    classifier = _classifier(builtin, builtin.blocks)
    pixels = problems.stripes(0, 5, builtin.image_size)
    exact = heat_maps.explainer(classifier)(pixels, 2)
    guessed = heat_maps.by_gradient(classifier)(pixels, 2)
    assert not guessed.exact
    assert guessed.bias == pytest.approx(exact.bias, abs=2e-3)
    np.testing.assert_allclose(guessed.evidence, exact.evidence, atol=1e-3)


def test_an_ensemble_is_explained_by_all_its_members(builtin, tmp_path):
    """Of two members, one with all the weight, the map is that member's; equal ones share it."""
    members = [_classifier(builtin, (pooling.top(builtin.blocks),), seed) for seed in (1, 2)]
    pixels = problems.stripes(1, 9, builtin.image_size)

    def joined(weights: list[float]) -> Classifier:
        inputs = keras.Input((None, None, 3))
        resized = keras.ops.round(imaging.resizer(builtin.image_size)(inputs))
        answers = []
        for number, (member, weight) in enumerate(zip(members, weights, strict=True)):
            network = backbones.after_resizing(member.model)
            copy = keras.models.clone_model(network)
            copy.set_weights(network.get_weights())
            copy.name = f"member_{number}"
            answers.append(weight * copy(resized))
        model = keras.Model(inputs, keras.ops.sum(keras.ops.stack(answers), axis=0))
        model.save(tmp_path / "model.keras")
        loaded: keras.Model = keras.saving.load_model(tmp_path / "model.keras", compile=False)  # pyright: ignore[reportAssignmentType]
        return Classifier(loaded, _CLASSES, builtin.image_size)

    alone = heat_maps.explainer(members[0])(pixels, 0)
    first = heat_maps.explainer(joined([1.0, 0.0]))(pixels, 0)
    assert not first.exact
    np.testing.assert_allclose(first.evidence, alone.evidence, atol=1e-3)
    both = heat_maps.explainer(joined([0.5, 0.5]))(pixels, 0)
    assert len(both.maps) == 2
    assert both.evidence.sum() == pytest.approx(_score(both.probabilities, 0), abs=1e-4)


def test_it_looks_where_the_thing_is(builtin, tmp_path):
    """One half of each picture has lying stripes, the other standing ones: it knows which."""
    index = problems.dataset(tmp_path / "pictures", per_class=12, classes=(0, 1))
    vectors = backbones.vectors(builtin)
    pictures = np.stack([heat_maps.pixels(index.path(p), 64) for p in index.pictures])
    features = np.asarray(vectors.predict_on_batch(pictures.astype(np.float32)))
    head = linear.probe(features, index.class_numbers(), 2).head
    model = backbones.classifier(backbones.with_head(builtin, head))
    explain = heat_maps.explainer(Classifier(model, ("lies", "stands"), 64))
    sides = []
    for seed in range(20, 28):
        lying, standing = (problems.stripes(label, seed, 64) for label in (0, 1))
        for label in (0, 1):
            found = explain(np.concatenate([lying[:, :32], standing[:, 32:]], axis=1), label)
            left, right = np.split(found.evidence, 2, axis=1)
            sides.append((left.sum() > right.sum()) == (label == 0))
    assert np.mean(sides) >= 0.9


def test_maps_of_any_sizes_are_joined_without_losing_anything():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=size) for size in ((7, 7), (14, 10), (3, 4))]
    whole = overlays.joined(maps)
    assert whole.shape == (14, 10)
    assert whole.sum() == pytest.approx(sum(one.sum() for one in maps))
    np.testing.assert_allclose(overlays.joined([np.ones((2, 2)), np.zeros((6, 6))]), 4 / 36)


def test_what_speaks_against_a_class_stays_clear():
    evidence = np.array([[1.0, -5.0], [0.0, -1.0]])
    strong = overlays.strength([evidence], 0.0, 40, 40)
    assert strong.max() == 1.0
    assert strong[:10, :10].min() > 0.5
    assert strong[:, 25:].max() < 0.05
    assert not overlays.strength([-np.ones((3, 3))], 0.5, 8, 6).any()
    assert overlays.coloured(overlays.strength([-np.ones((3, 3))], 0.5, 8, 6))[..., 3].max() == 0


def test_the_command_writes_the_picture_with_its_map(trained, command, sample_folder, tmp_path):
    run, _ = trained
    picture = sorted(sample_folder.rglob("*.jpg"))[0]
    target = tmp_path / "map.png"
    status, answer, _ = command("explain", run, picture, "--to", target)
    assert status == 0
    assert json.loads((run / "result.json").read_text())["classes"] == [*answer["probabilities"]]
    assert (
        answer["class"]
        == answer["said"]
        == max(answer["probabilities"], key=answer["probabilities"].get)
    )
    assert answer["exact"]
    assert np.sum(answer["map"]) == pytest.approx(answer["score"], abs=1e-4)
    with Image.open(target) as written, Image.open(picture) as original:
        assert written.size == original.size
    other = next(name for name in answer["probabilities"] if name != answer["said"])
    _, against, _ = command("explain", run, picture, "--to", target, "--class", other)
    assert against["class"] == other
    assert against["score"] < answer["score"]
    status, refused, _ = command("explain", run, picture, "--to", target, "--class", "nobody")
    assert status == 2
    assert "no class 'nobody'" in refused["error"]


def test_a_class_is_named_or_left_to_the_model():
    assert heat_maps.number_of(None, _CLASSES) is None
    assert heat_maps.number_of("third", _CLASSES) == 2
    with pytest.raises(SettingsError, match="one, other, third"):
        heat_maps.number_of("fourth", _CLASSES)


def test_a_picture_is_read_as_for_an_answer(tmp_path):
    path = tmp_path / "wide.png"
    Image.fromarray(problems.stripes(0, 1, 90)[:60]).save(path)
    from_file, from_bytes = (heat_maps.pixels(one, 64) for one in (path, path.read_bytes()))
    assert from_file.shape == (64, 64, 3)
    assert from_file.dtype == np.uint8
    np.testing.assert_array_equal(from_file, from_bytes)
