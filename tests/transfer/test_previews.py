"""What is shown is what a training sees."""

import numpy as np
import pytest

from tests.transfer import problems
from transfer import batches, catalog, previews
from transfer.augmentation import Augmentation
from transfer.batches import TrainingBatches
from transfer.changes import Changes
from transfer.dataset.index import ImageIndex

SIZE = 32


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    return problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=6, size=72)


def _paths(index: ImageIndex, positions: list[int]):
    return [index.path(index.pictures[i]) for i in positions]


@pytest.mark.parametrize(
    "settings",
    [Augmentation(), Augmentation("strong", turn=True),
     Augmentation("none", False, changes=Changes(scale=1.5, pca_colour=0.2, lens=0.2))],
)  # fmt: skip
def test_it_is_the_first_view_of_a_training_with_these_pictures(index, settings):
    positions = [9, 2, 5, 7]
    shown = previews.grid(index, positions, SIZE, settings, seed=4)
    labels = index.class_numbers()[positions]
    training = TrainingBatches(_paths(index, positions), labels, 2, SIZE, 8, 4, settings)
    (view,) = training.in_order(0).as_numpy_iterator()
    if settings.amounts.pca_colour:  # whose components are of another size
        assert np.abs(shown.augmented.astype(int) - view).max() <= 2
    else:
        np.testing.assert_array_equal(shown.augmented, view)
    np.testing.assert_array_equal(shown.plain, batches.loaded(_paths(index, positions), SIZE))
    np.testing.assert_array_equal(shown.labels, training.targets(np.arange(4)))
    assert (shown.augmented != shown.plain).any(axis=(1, 2, 3)).all()
    assert shown.augmented.dtype == shown.plain.dtype == np.uint8


def test_without_changes_both_are_alike(index):
    shown = previews.grid(index, [0, 1], SIZE, None, 0)
    np.testing.assert_array_equal(shown.plain, shown.augmented)


def test_a_seed_shows_the_same_and_another_something_else(index):
    first, same, other = (
        previews.grid(index, [0, 1, 2], SIZE, Augmentation(), seed).augmented for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_mixed_pictures_come_with_mixed_labels(index):
    settings = Augmentation("none", False, changes=Changes(mixup=1))
    shown = previews.grid(index, [0, 11, 1, 10], SIZE, settings, 3)
    plain = shown.plain.astype(float)
    for i, label in enumerate(shown.labels):
        own = label[index.class_numbers()[[0, 11, 1, 10][i]]]
        blend = own * plain[i] + (1 - own) * plain[i - 1]
        np.testing.assert_allclose(shown.augmented[i], blend, atol=0.51)
    np.testing.assert_allclose(shown.labels.sum(axis=1), 1, atol=1e-6)
    assert ((shown.labels > 0.01) & (shown.labels < 0.99)).any()


def test_pca_colour_goes_by_what_is_learned_from(index):
    settings = Augmentation("none", False, changes=Changes(pca_colour=0.3))
    own = previews.grid(index, [0], SIZE, settings, 0)
    theirs = previews.grid(index, [0], SIZE, settings, 0, learned=range(12))
    assert not np.array_equal(own.augmented, theirs.augmented)


@pytest.mark.parametrize("name", ["builtin", "MobileNetV2", "ResNet50", "DenseNet121"])
def test_the_preprocessing_is_described(name):
    spec = catalog.backbone(name)
    words = previews.preprocessing(spec, 96)
    assert "96 x 96 pixels" in words
    ends = {"tf": "-1 to 1", "torch": "0 to 1", "caffe": "blue, green, red", "none": "0 to 255"}
    assert ends[spec.preprocessing] in words
