"""Make the network of a run's settings ready, with words on how far that is."""

import keras

from transfer import backbones, catalog, weights
from transfer.backbones import Backbone
from transfer.config import RunConfig
from transfer.reporter import Reporter


def network(config: RunConfig, reporter: Reporter, loaded: Backbone | None = None) -> Backbone:
    """Return the network of the settings; its weights are downloaded where they are not here.

    Args:
        config: names the network and its input size.
        reporter: told how far the download is.
        loaded: the network, where it has been loaded already.

    Raises:
        TransferError: the weights are not here and cannot be had.
    """
    spec, size = catalog.backbone(config.backbone), config.image_size
    path = weights.obtain(spec, size, reporter.counter("weights"))
    reporter.say("loading", 0, 1, f"Loading {spec.name}")
    found = loaded or backbones.load(spec, size, path)
    keras.utils.set_random_seed(config.seed)  # building a network draws, too
    return found
