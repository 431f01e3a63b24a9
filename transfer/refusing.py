"""Learn what is familiar to a run's model, and keep how well it refuses what is not."""

from collections.abc import Callable

import keras
import numpy as np

from transfer import backbones, batches, outputs, refusal, runtimes
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.judging import Candidate
from transfer.refusal import Familiar
from transfer.runs import Run

NAME = "refusal"  # of the files in the run folder
_BATCH = 32

OnStep = Callable[[int, int], None]  # pictures done, pictures in all
Read = Callable[[tuple[int, ...]], list[np.ndarray]]  # positions -> vectors [n, d] a stage


def pictures(parts: Split) -> int:
    """Return how many pictures are looked at for it."""
    return min(len(parts.train), refusal.MOST_PICTURES) + len(parts.val)


def learn(
    run: Run, chosen: Candidate, index: ImageIndex, parts: Split, on_step: OnStep
) -> Familiar | None:
    """Fit the score on training pictures, its limit on validation pictures, and keep both.

    None where there are too few pictures, or the model has no head of its own.
    """
    read = chosen.trained.vectors
    return learn_of(run, chosen.shipped, index, parts, on_step, read)


def learn_of(
    run: Run,
    model: keras.Model,
    index: ImageIndex,
    parts: Split,
    on_step: OnStep,
    read: Read | None = None,
) -> Familiar | None:
    """Do what `learn` does for a model; `read` tells its last stages' means, where kept."""
    config = run.config()
    train = refusal.sample(index.class_numbers(), parts.train, config.seed)
    read = read or _computed(model, config.image_size, index, on_step)
    if read is None:
        return None
    judging = read(parts.val)
    found = refusal.fit(read(train), judging, parts.together(train))
    if found is None:
        return None
    run.save_arrays(NAME, **found.arrays())
    strange = found.scores(judging)
    told = {
        "keeps": refusal.KEEPS,
        "pictures": len(train),
        "validation": {"pictures": len(strange), "refused": int((strange > 1).sum())},
    }
    run.write(NAME, told)
    return found


def _computed(
    model: keras.Model, image_size: int, index: ImageIndex, on_step: OnStep
) -> Read | None:
    """Return what lets the model itself tell its last stages' means; None: it has no such."""
    vectors = outputs.vectors(model)
    if vectors is None:
        return None
    side = backbones.side(backbones.after_resizing(model)) or image_size
    extractor = runtimes.small_batches(vectors, (side, side, 3))

    def read(positions: tuple[int, ...]) -> list[np.ndarray]:
        paths = [index.path(index.pictures[i]) for i in positions]
        data = batches.pictures(paths, side, _BATCH).as_numpy_iterator()
        found: list[tuple[np.ndarray, ...]] = []
        for rows in extractor.stream(data):
            found.append(rows)
            on_step(sum(len(batch[0]) for batch in found), len(positions))
        return [np.concatenate(stage) for stage in zip(*found, strict=True)]

    return read
