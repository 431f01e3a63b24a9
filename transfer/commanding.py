"""What the commands share: the data taken in, the network chosen and loaded, words for people."""

import gc
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer import catalog, changes, console, recipe, toolbox, weights
from transfer.catalog import BackboneSpec
from transfer.config import RunConfig
from transfer.dataset import library, versions
from transfer.dataset.index import ImageIndex
from transfer.dataset.mending import Change
from transfer.recipe import Recipe

if TYPE_CHECKING:
    from transfer.backbones import Backbone


@contextmanager
def loading(data: Path, spec: BackboneSpec, size: int) -> Iterator[Callable[[], "Backbone | None"]]:
    """Load TensorFlow and the network while another process reads the pictures.

    Each takes seconds on one core. Afterwards the network is to be had, if its weights are here.
    """
    if not data.exists():
        yield lambda: None  # there will be an error: nothing to wait for
        return
    with console.quiet(), ThreadPoolExecutor(1) as pool:
        loaded = pool.submit(_loaded, spec, size)
        yield loaded.result


def _loaded(spec: BackboneSpec, size: int) -> "Backbone | None":
    load()
    from transfer import backbones, features

    path = weights.locate(spec, size)
    if path is None:
        return None
    loaded = backbones.load(spec, size, path)
    features.prepare(loaded)
    return loaded


def load() -> None:
    """Import all that computes; without looking for garbage meanwhile, which took a quarter."""
    gc.disable()
    try:
        with console.quiet():
            from transfer import devices, pipeline  # noqa: F401

            devices.prepare()
    finally:
        gc.freeze()
        gc.enable()


def imported(data: Path, minimum_per_class: int = 4, minimum_classes: int = 2) -> ImageIndex:
    """Take the pictures in, or find them in the store; see `library.import_dataset`."""
    with console.progress() as step:
        return library.import_dataset(
            data,
            minimum_per_class=minimum_per_class,
            minimum_classes=minimum_classes,
            on_progress=lambda done, total: step("import", done, total, "Reading the pictures"),
        )


def grouped(options: Namespace) -> ImageIndex:
    """Take the pictures in; their names say what belongs together where `--group-by` says how."""
    index = imported(options.data)
    if options.group_by is None:
        return index
    changes = [Change("group", pattern=options.group_by)]
    return library.open_dataset(versions.changed(index.digest, changes))


def network(options: Namespace, earlier: RunConfig | None) -> tuple[BackboneSpec, int]:
    """Return the backbone and the input size; what was not said is as in an earlier run."""
    if options.backbone is None and earlier:
        spec = catalog.backbone(earlier.backbone)
    elif options.backbone is None:
        spec, why = weights.choose_default()
        if why:
            console.say(why)
    else:
        spec = catalog.backbone(options.backbone)
    size = options.image_size
    if size is None:
        same = earlier is not None and earlier.backbone == spec.name
        size = earlier.image_size if earlier and same else weights.default_size(spec)
    return spec, size


def settings(
    options: Namespace, index: ImageIndex, spec: BackboneSpec, size: int, **more: Any
) -> RunConfig:
    """Return the settings of a run that every command which trains or tries asks for, and `more`.

    Raises:
        SettingsError: one is of another form, or out of range.
    """
    return RunConfig(
        dataset=index.digest,
        backbone=spec.name,
        image_size=size,
        strategy=options.strategy,
        seed=options.seed,
        horizontal_flip=options.mirror,
        quarter_turns=options.turn,
        changes=changes.parsed(options.augment),
        **more,
    )


def expert_settings(options: Namespace) -> dict[str, Any]:
    """Return the settings of a run that were chosen from the toolbox; the rest is as usual.

    Raises:
        SettingsError: one is out of range.
    """
    said = [(one, getattr(options, one.name, None)) for one in toolbox.SETTINGS]
    for one, value in said:
        if one.kind in (int, float):
            recipe.check(one.name, value)
    of_run, of_recipe = (
        {one.name: value for one, value in said if value is not None and one.in_recipe == own}
        for own in (False, True)
    )
    return {**of_run, "recipe": Recipe(**of_recipe)}


def tell(index: ImageIndex, warnings: list[str] | tuple[str, ...]) -> None:
    """Say what came in, what was left out and why, and what to know about it."""
    counts = index.counts()
    console.say(f"{len(index.pictures)} pictures in {len(counts)} classes.")
    for item in index.rejected[:20]:
        console.say(f"Left out: {item.file}: {item.reason}")
    if len(index.rejected) > 20:
        console.say(f"... and {len(index.rejected) - 20} more files.")
    for warning in warnings:
        console.say(f"Note: {warning}")
