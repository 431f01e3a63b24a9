"""Whether a data set would gain by more pictures: its features, then the forecast from them."""

import time
from typing import Any

from transfer import features, forecast, pooling
from transfer.backbones import Backbone
from transfer.dataset import relations
from transfer.dataset.index import ImageIndex
from transfer.forecast import Forecast
from transfer.reporter import OnStep


def measure(
    backbone: Backbone, index: ImageIndex, seed: int, on_step: OnStep
) -> tuple[Forecast, dict[str, Any]]:
    """Return the forecast, and the same as a JSON object with what it was measured on.

    Args:
        backbone: the network whose last stage the probe reads.
        index: the data set; nothing of the user's own `val` and `test` folders is looked at.
        seed: draws the parts of the learning curve.
        on_step: told how far each phase is.

    Raises:
        DataError: a class has too few pictures.
    """
    began = time.monotonic()
    learned = [i for i, one in enumerate(index.pictures) if one.split in (None, "train")]
    kept = features.compute(
        backbone,
        index,
        learned,
        lambda done, total: on_step("features", done, total, "Looking at the pictures"),
    )
    found = forecast.forecast(
        kept.of(pooling.top(kept.blocks), learned),
        index.class_numbers()[learned],
        index.classes,
        relations.find(index).groups.ids[learned],
        seed,
        lambda done, total: on_step("forecast", done, total, "Learning from parts of them"),
    )
    return found, {
        **found.to_json(),
        "dataset": index.digest,
        "backbone": backbone.spec.name,
        "image_size": backbone.image_size,
        "seconds": round(time.monotonic() - began, 2),
    }
