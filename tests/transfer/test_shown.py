"""Previews for a page: the pictures of the grid, as files, with what they are learned as."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from transfer import shown
from transfer.dataset import library
from transfer.errors import SettingsError, TransferError

SIZE = 48
CLASSES = {"apple", "lemon", "lime"}


@pytest.fixture
def asked(sample_folder) -> dict:
    digest = library.import_dataset(sample_folder).digest
    return {
        "dataset": digest, "image_size": SIZE, "level": "light", "changes": {}, "mirror": True,
        "turn": False, "seed": 0, "number": 3,
    }  # fmt: skip


def _pixels(pictures: list[str]) -> np.ndarray:
    files = [io.BytesIO(base64.b64decode(text)) for text in pictures]
    return np.stack([np.asarray(Image.open(file)) for file in files]).astype(int)


def _changed(answer: dict) -> float:
    """Return how far the augmented pictures are from the plain ones, in grey values."""
    return float(np.abs(_pixels(answer["plain"]) - _pixels(answer["augmented"])).mean())


def test_each_setting_is_seen(asked):
    usual = shown.pictures(asked)
    assert set(usual["labels"]) == CLASSES  # classes take turns
    assert _pixels(usual["plain"]).shape == (3, SIZE, SIZE, 3)
    assert _changed(usual) > 2
    assert shown.pictures(asked) == usual
    other = shown.pictures({**asked, "seed": 1})
    assert other["plain"] == usual["plain"]
    assert other["augmented"] != usual["augmented"]
    none = {**asked, "level": "none", "mirror": False}
    assert _changed(shown.pictures(none)) == 0
    one = shown.pictures({**none, "changes": {"rotation": 90.0}})
    assert _changed(one) > 2
    mixed = shown.pictures({**none, "changes": {"mixup": 1.0}, "seed": 3})
    assert any(" % " in label and " + " in label for label in mixed["labels"])


@pytest.mark.parametrize(
    "wrong",
    [{"image_size": 8}, {"number": 1000}, {"number": 0}, {"level": "wild"}, {"seed": "x"},
     {"changes": {"magic": 1}}, {"changes": {"crop": 7}}, {"changes": None}],
)  # fmt: skip
def test_what_cannot_be_shown_is_a_sentence(asked, wrong):
    with pytest.raises(SettingsError):
        shown.pictures({**asked, **wrong})


def test_a_data_set_that_is_gone_is_a_sentence(asked):
    with pytest.raises(TransferError):
        shown.pictures({**asked, "dataset": "0" * 32})
    with pytest.raises(SettingsError, match="A preview needs"):
        shown.pictures({})
