"""Facts about backbones and strategies: what there is, what it costs, what it needs.

The numbers stand in `catalog.json`, one entry a network; the tests compare each with the network
that Keras builds. Nothing here imports Keras.
"""

import difflib
import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transfer.errors import BackboneError, SettingsError

BUILTIN = "builtin"
DEFAULT_BACKBONE = "MobileNetV2"
DEFAULT_STRATEGY = "auto"

_FACTS = Path(__file__).with_name("catalog.json")
_BYTES_PER_PARAMETER = 4  # float32


@dataclass(frozen=True)
class BackboneSpec:
    """What is known of one pretrained network, without its classifier (`include_top=False`).

    `name` is Keras's function name, with the width where there are several: "MobileNetV2:0.35".
    """

    name: str
    family: str
    function: str  # in `keras.applications`; "builtin" for our own network
    alpha: float | None  # width, for the functions that take one
    parameters: int
    input_size: int  # side of the square input it was trained on, in pixels
    min_size: int  # smallest side that Keras accepts
    normalization: Literal["BatchNorm", "LayerNorm", "none"]
    preprocessing: Literal["tf", "torch", "caffe", "none"]  # "none": inside, it takes 0-255 itself
    weight_megabytes: float  # estimate of the download: 4 bytes a parameter
    top1: float | None  # ImageNet validation accuracy at `input_size`, in percent
    top1_source: str | None
    description: str
    weights_file: str  # "{size}" stands for the input size where each size has its own file
    weights_url: str | None
    weights_hash: str | None  # MD5 or SHA-256 as Keras checks it; Keras has none for MobileNet 1, 2
    weights_sizes: tuple[int, ...]  # the input sizes with a file of their own; else empty


@dataclass(frozen=True)
class StrategySpec:
    """What a strategy does, in words for its user."""

    name: str
    title: str
    summary: str
    trains: str
    tunes: bool  # whether the network itself learns or may learn, and not only classifiers on it


STRATEGIES = (
    StrategySpec(
        name="linear_top",
        title="Linear classifier on the finished network",
        summary="Fast: every picture passes through the pretrained network once, then a linear"
        " classifier is fitted to what the network's last stage says about it.",
        trains="the classifier only",
        tunes=False,
    ),
    StrategySpec(
        name="linear_stages",
        title="Linear classifiers on several stages",
        summary="Fast: a linear classifier is fitted to each of the network's stages, from edges"
        " and textures to whole objects, and those that do well together answer together.",
        trains="several classifiers only",
        tunes=False,
    ),
    StrategySpec(
        name="finetune_few",
        title="Fine-tuning of the last stages",
        summary="Slower: after the classifier, the network's last stages are trained too, in small"
        " steps. For quite a lot of pictures of everyday things.",
        trains="the classifier and the last stages of the network",
        tunes=True,
    ),
    StrategySpec(
        name="finetune_many",
        title="Fine-tuning of most stages",
        summary="Slowest: after the classifier, most of the network is trained too, the deeper the"
        " more slowly. For quite a lot of pictures that are unlike everyday photographs.",
        trains="the classifier and most stages of the network",
        tunes=True,
    ),
)
"""The four cells of the decision table."""

REQUESTS = (
    StrategySpec(
        name="auto",
        title="What the measurement advises",
        summary="Measures how many pictures there are and how unlike those that the network knows,"
        " and follows the advice. Fine-tuning is kept only where validation prefers it.",
        trains="what the advice says",
        tunes=True,
    ),
    StrategySpec(
        name="all",
        title="All four, compared",
        summary="Trains in all four ways within the time limit and keeps what the advice and the"
        " validation pictures say, so that you see what each would have given.",
        trains="each in turn",
        tunes=True,
    ),
    *STRATEGIES,
)
"""What may be asked for: the four, or a choice among them."""

ENSEMBLE = StrategySpec(
    name="ensemble",
    title="An ensemble",
    summary="Several classifiers answer together: the weighted mean of their probabilities.",
    trains="classifiers only, or nothing that has not been trained before",
    tunes=False,
)
"""What a run is that joins others; `transfer.ensembling` makes it."""


TEST_TIME = ("none", "flip", "ten-crops", "multi-scale")  # views of a picture; `views_at_test`


def check_test_time(kind: str) -> None:
    """Check the views of a picture that are averaged.

    Raises:
        SettingsError: there are no such views.
    """
    if kind not in TEST_TIME:
        raise SettingsError(
            f"--test-time should be one of {', '.join(TEST_TIME)}, but is '{kind}'. Choose one."
        )


def backbone(name: str) -> BackboneSpec:
    """Return the facts of one backbone.

    Raises:
        BackboneError: there is none of that name; the message suggests the nearest.
    """
    if name in _backbones():
        return _backbones()[name]
    raise BackboneError(
        f"There is no backbone '{name}'." + _suggestion(name, _backbones(), "backbones")
    )


def names() -> tuple[str, ...]:
    """Return the names of all backbones, family by family, the default first."""
    return tuple(_backbones())


def strategy(name: str) -> StrategySpec:
    """Return the facts of one strategy, or of a choice among them.

    Raises:
        SettingsError: there is none of that name; the message suggests the nearest.
    """
    known = {spec.name: spec for spec in REQUESTS}
    if name in known:
        return known[name]
    if name == ENSEMBLE.name:
        return ENSEMBLE
    raise SettingsError(f"There is no strategy '{name}'." + _suggestion(name, known))


def check_image_size(spec: BackboneSpec, image_size: int) -> None:
    """Check that a network takes square pictures of this side.

    Raises:
        BackboneError: the side is too small.
    """
    if image_size < spec.min_size:
        raise BackboneError(
            f"{spec.name} needs pictures of at least {spec.min_size} pixels a side, but the input"
            f" size is {image_size}. Choose an input size (--image-size) of {spec.min_size} or more"
            f" ({spec.input_size} is what it was trained on)."
        )


@functools.cache
def _backbones() -> dict[str, BackboneSpec]:
    facts = json.loads(_FACTS.read_text(encoding="utf-8"))
    specs = (
        _spec(family, entry, facts["sources"])
        for family in facts["families"]
        for entry in family["backbones"]
    )
    return {spec.name: spec for spec in specs}


def _spec(family: dict[str, Any], entry: dict[str, Any], sources: dict[str, str]) -> BackboneSpec:
    function, _, width = entry["name"].partition(":")
    sizes = tuple(family.get("weights_sizes", ()))
    url = entry.get("weights_url", family.get("weights_url"))
    source = entry.get("top1_source", family["top1_source"])
    return BackboneSpec(
        name=entry["name"],
        family=family["family"],
        function=function,
        alpha=float(width or 1.0) if family.get("has_widths") else None,
        parameters=entry["parameters"],
        input_size=entry["input_size"],
        min_size=family["min_size"],
        normalization=family["normalization"],
        preprocessing=family["preprocessing"],
        weight_megabytes=round(entry["parameters"] * _BYTES_PER_PARAMETER / 1e6, 1),
        top1=entry["top1"],
        top1_source=sources[source] if source else None,
        description=entry["description"],
        weights_file=entry["weights_file"],
        weights_url=url.replace("{file}", entry["weights_file"]) if url else None,
        weights_hash=entry.get("weights_hash"),
        weights_sizes=sizes,
    )


def _suggestion(name: str, known: Iterable[str], what: str | None = None) -> str:
    folded = {other.casefold(): other for other in known}
    asked = name.casefold().removesuffix(":1.0")  # the full width has no suffix
    nearest = difflib.get_close_matches(asked, folded, n=1, cutoff=0.6)
    if nearest:
        return f" Did you mean '{folded[nearest[0]]}'?"
    if what:
        return f" `python -m transfer {what}` lists those that there are."
    return " Choose one of: " + ", ".join(folded.values()) + "."
