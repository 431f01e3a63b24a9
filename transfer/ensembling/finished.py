"""Members that are finished runs: read from their folders, sharing a network where they can."""

import keras
import numpy as np

from transfer import backbones, catalog, evaluation, prediction, weights
from transfer.backbones import Backbone
from transfer.dataset.split import Split
from transfer.ensembling.members import Member, Reading, Whole
from transfer.errors import RunError
from transfer.runs import Run


class Networks:
    """The pretrained networks that linear runs read, each loaded once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Backbone | None] = {}

    def get(self, name: str, image_size: int) -> Backbone | None:
        """Return a network of the catalog, or None where its weights are not here."""
        key = (name, image_size)
        if key not in self._known:
            spec = catalog.backbone(name)
            path = weights.locate(spec, image_size)
            self._known[key] = backbones.load(spec, image_size, path) if path else None
        return self._known[key]


def member(run: Run, parts: Split, labels: np.ndarray, networks: Networks) -> Member:
    """Return a finished run as a member; its model may be a linear head on a shared network.

    Args:
        run: the run.
        parts: the split that all members share.
        labels: class numbers of all pictures of the data set.
        networks: those that several runs may share.

    Raises:
        RunError: the run or its answers cannot be used.
    """
    kept = run.answers("validation")
    if kept is None or kept[0].tolist() != list(parts.val):
        raise RunError(
            f"The answers in '{run.folder}' are not those to the validation pictures of its split."
            " The run is damaged: train it again into a new folder."
        )
    answers, config = kept[1], run.config()
    right = answers.argmax(axis=1) == labels[list(parts.val)]
    result = run.result()
    test = result.get("test")
    whole = Whole(
        backbones.after_resizing(prediction.load(run).model),
        config.image_size,
    )
    return Member(
        name=str(run.about()["name"]),
        run=str(run.folder),
        held_out=answers,
        validation=evaluation.wilson(int(right.sum()), len(right)),
        solution=shared(whole, networks.get(config.backbone, config.image_size)) or whole,
        test=evaluation.Accuracy(**test) if test else None,
        kind="run",
        refitted=not catalog.strategy(result["shipped"]).tunes,
    )


def shared(whole: Whole, backbone: Backbone | None) -> Reading | None:
    """Return a model as a head on a pretrained network; None where it is not exactly that.

    That is so where it is built as a linear classifier is and none of its weights have moved.
    """
    if backbone is None:
        return None
    try:
        within = whole.network.get_layer(backbones.WITHIN)
        head = whole.network.get_layer(backbones.HEAD)
    except ValueError:  # Keras has no other way to say that there is none
        return None
    blocks = {_pooled_by(block.kind, block.stage.number): block for block in backbone.blocks}
    read = [tensor._keras_history.operation.name for tensor in within.outputs]
    if not all(name in blocks for name in read) or not _equal(within, backbone.network):
        return None
    width = int(head.input.shape[-1])
    inputs = keras.Input((width,), name="features")
    dense = keras.layers.Dense(
        head.units, activation="softmax", dtype="float32", name=backbones.HEAD
    )
    model = keras.Model(inputs, dense(inputs), name="linear_head")
    dense.set_weights(head.get_weights())
    return Reading(backbone, tuple(blocks[name] for name in read), model)


def _pooled_by(kind: str, number: int) -> str:
    """Return the name of the layer that `pooling.pooled` ends in."""
    return f"{'pool' if kind == 'mean' else 'grid'}_{number}"


def _equal(one: keras.Model, network: keras.Model) -> bool:
    """Whether all weights of a part of a network are those of the whole."""
    known = {layer.name: layer for layer in network.layers}
    for layer in one.layers:
        mine = layer.get_weights()
        if not mine:
            continue
        theirs = known[layer.name].get_weights() if layer.name in known else []
        alike = len(mine) == len(theirs) and all(map(np.array_equal, mine, theirs))
        if not alike:
            return False
    return True
