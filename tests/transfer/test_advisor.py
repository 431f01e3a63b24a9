"""What is measured of a data set: both axes, and what its pictures may suffer."""

import dataclasses
import json
from pathlib import Path

import pytest

from tests.transfer import problems
from transfer import advice, advisor, features, pooling, similarity
from transfer.advisor import Measured
from transfer.backbones import Backbone
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split


@pytest.fixture(autouse=True)
def _runtime(monkeypatch) -> None:
    problems.compute_with_keras(monkeypatch)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return problems.builtin(64)


def _measured(
    backbone: Backbone, index: ImageIndex, parts: Split | None = None, seed: int = 0
) -> Measured:
    parts = parts or problems.parted(index)
    kept = features.compute(backbone, index, sorted([*parts.train, *parts.val]))
    return advisor.measure(backbone, index, parts, kept, seed)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    return problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=20)


def test_both_axes_are_measured_on_what_may_be_learned_from(backbone, index):
    steps: list[tuple[int, int]] = []
    parts = problems.parted(index)
    kept = features.compute(backbone, index, sorted([*parts.train, *parts.val]))
    found = advisor.measure(backbone, index, parts, kept, 0, lambda *done: steps.append(done))
    seen = found.advice.evidence
    assert seen.class_sizes == (16, 16)  # without the four test pictures of each
    assert [score.stage for score in seen.profile] == [1, 2, 3, 4]
    assert [score.layer for score in seen.profile] == [
        block.stage.layer for block in pooling.means(backbone.blocks)
    ]
    assert seen.right.shape == (4, 32)
    for score, row in zip(seen.profile, seen.right, strict=True):
        assert score.accuracy == pytest.approx(row.mean())
    assert seen.profile[-1].accuracy > 0.7
    assert seen.bn_shift is not None
    assert 0 < seen.bn_shift < 5
    assert seen.bn_shift_error > 0
    images = [point.images for point in seen.curve]
    assert images == sorted(set(images))
    assert images[-1] == 32
    assert seen.curve[-1].accuracy == seen.profile[-1].accuracy
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_it_is_json_with_all_that_stands_beside_the_advice(backbone, index):
    found = _measured(backbone, index)
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["strategy"] == found.advice.strategy
    assert set(told["augmentation"]) == {"mirror", "turn"}
    assert set(told["augmentation"]["mirror"]) == {"safe", "accuracy", "changed", "n"}
    assert set(told["costs"]) == {"linear_top", "linear_stages", "finetune_few", "finetune_many"}
    costs = [told["costs"][name] for name in advice.TABLE.values()]
    assert costs == sorted(costs)
    assert told["backbone"] == "builtin"
    assert told["image_size"] == 64


@pytest.mark.parametrize(
    ("classes", "mirror", "turn"),
    [((0, 1), True, False), ((2, 3), False, False), ((4, 5), True, True)],
    ids=["lying and standing", "falling and rising", "both chequered"],
)
def test_what_would_change_the_class_is_not_safe(backbone, tmp_path, classes, mirror, turn):
    index = problems.dataset(tmp_path, per_class=24, classes=classes)
    found = _measured(backbone, index, problems.parted(index, 4, 0))
    assert found.mirror is not None
    assert found.turn is not None
    assert (found.mirror.safe, found.turn.safe) == (mirror, turn)
    assert found.mirror.n == found.turn.n == 48
    for change in (found.mirror, found.turn):
        assert change.accuracy > 0.85
        assert (change.changed > 0.8) == change.safe


def test_too_few_pictures_to_tell_are_told_as_such(backbone, tmp_path):
    index = problems.dataset(tmp_path, per_class=1, classes=3)
    found = _measured(backbone, index, Split((0, 1, 2), (), ()))
    assert found.mirror is None
    assert found.turn is None
    assert found.advice.size.verdict == "little"
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["augmentation"] == {"mirror": None, "turn": None}


def test_test_pictures_are_never_opened(backbone, tmp_path):
    index = problems.dataset(tmp_path / "one", per_class=16)
    parts = problems.parted(index)
    before = _measured(backbone, index, parts)
    for i in parts.test:
        Path(index.path(index.pictures[i])).unlink()
    blind = dataclasses.replace(index, digest="0" * 64)
    after = _measured(backbone, blind, parts)
    assert dataclasses.replace(after, seconds=0.0, costs={}).to_json() == (
        dataclasses.replace(before, seconds=0.0, costs={}).to_json()
    )


def test_the_second_time_nothing_passes_through_the_network(backbone, index, monkeypatch):
    before = _measured(backbone, index)

    def never(*_: object) -> None:
        raise AssertionError("a network was asked again")

    monkeypatch.setattr(features, "_computed", never)
    monkeypatch.setattr(similarity, "shift", never)
    after = _measured(backbone, index)
    assert after.advice.to_json() == before.advice.to_json()
    assert (after.mirror, after.turn) == (before.mirror, before.turn)


def test_many_pictures_are_sampled_by_class(backbone, index, monkeypatch):
    monkeypatch.setattr(advisor, "_MOST_PROBED", 16)
    monkeypatch.setattr(similarity, "MOST", 12)
    found = _measured(backbone, index)
    seen = found.advice.evidence
    assert sum(seen.class_sizes) == 32  # the size is that of all of them
    assert seen.right.shape == (4, 16)
    assert seen.curve[-1].images == 16
    again, other = _measured(backbone, index), _measured(backbone, index, seed=1)
    assert again.advice.to_json() == found.advice.to_json()
    assert other.advice.evidence.spread != seen.spread
    assert found.mirror is not None
    assert found.mirror.n == 12


def test_copies_do_not_make_classes_without_a_sense_seem_known(backbone, tmp_path):
    index = problems.confused(problems.dataset(tmp_path, per_class=12), 1.0)
    index = dataclasses.replace(index, pictures=index.pictures * 3)
    found = _measured(backbone, index, Split(tuple(range(72)), (), (), groups=(*range(24),) * 3))
    assert all(score.accuracy < 0.8 for score in found.advice.evidence.profile)


def test_a_network_without_batch_normalization_is_judged_by_its_directions(tmp_path):
    backbone = problems.random_backbone("VGG16", tmp_path, 32)
    found = _measured(backbone, problems.dataset(tmp_path / "pictures", per_class=10))
    assert found.advice.evidence.bn_shift is None
    assert found.advice.evidence.spread > 0
    assert found.to_json()["similarity"]["measure"] == "spread"
