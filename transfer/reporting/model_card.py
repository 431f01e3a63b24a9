"""The card of a model that leaves the app (Mitchell et al. 2019), in Markdown.

What it is for, what it learned from, how good it is and for whom, what it cannot do.
"""

import re

from transfer import catalog
from transfer.reporting import about_learning, about_results, material
from transfer.reporting.material import Material
from transfer.reporting.numbers import interval
from transfer.runs import Run
from transfer.wording import many, percent

FILE = "MODEL_CARD.md"
_LEAST = 20  # pictures of a class; with fewer its figure is a rough guide


def text(run: Run) -> str:
    """Return the card of a finished run.

    Raises:
        RunError: the run is not finished, or damaged.
    """
    found = material.read(run)
    parts = {
        "What it is for": _purpose(found),
        "What it takes and gives": _use(found),
        "How good it is": _figures(found),
        "What it learned from": _data(found),
        "What it cannot do": _limits(found),
        "How it was made": _made(found),
        "Licence": _licence(found),
    }
    body = "\n".join(f"\n## {title}\n\n{words}" for title, words in parts.items())
    return f"# {_plain(found.name)}\n\n{about_results.sentence(found)}\n{body}\n"


def _purpose(found: Material) -> str:
    names = ", ".join(_plain(name) for name in found.classes)
    return (
        f"It says which of {many(len(found.classes), 'class', 'classes')} a picture shows: {names}."
        " It is meant for pictures like those that it was tested on, from the same kind of camera,"
        " place and light. It has not been tested for decisions about people, nor where a mistake"
        " does harm: there a person has to look, too."
    )


def _use(found: Material) -> str:
    size = found.result["image_size"]
    return (
        "**In**: picture files (JPEG, PNG, ...), or RGB pixels from 0 to 255. Turning upright as"
        f" the camera says, resizing to {size} x {size} pixels (bilinear, antialiased, the sides"
        " not kept in proportion) and the preprocessing of the network are inside the model.\n\n"
        "**Out**: a probability for each class, in this order, together 1: "
        + ", ".join(f"`{_plain(name)}`" for name in found.classes)
        + "."
    )


def _figures(found: Material) -> str:
    kind = "pictures it had never seen" if found.part == "test" else "validation pictures"
    table = about_results.class_table(found)
    rows = [table.head, tuple("---" for _ in table.head), *table.rows]
    lines = "\n".join(f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows)
    guess = percent(about_results.guess(found))
    flatters = (
        ""
        if found.part == "test"
        else " These pictures chose the model too, so the figure may be a little too kind."
    )
    return (
        f"Right on {interval(found.overall)} of {many(found.overall.n, 'picture')}: {kind}."
        f"{flatters} To name the commonest class each time would be right on {guess}."
        f" In brackets: 95 % Wilson intervals.\n\n{lines}"
    )


def _data(found: Material) -> str:
    splits = found.result["splits"]
    too = " (and, that done, learned from too)" if not _tuned(found) else ""
    lines = [
        f"The data set ‘{_plain(found.dataset)}’ (digest `{found.settings['dataset']}`):"
        f" {many(splits['train'], 'picture')} to learn from, {splits['val']:,} to choose by{too},"
        f" {splits['test']:,} to test. Copies of a picture, and pictures that belong together, are"
        " on one side."
    ]
    health = found.health()
    if health is None:
        lines.append("The pictures were not checked for wrong labels and shortcuts.")
    lines += [f"- {_plain(str(one))}" for one in found.result.get("warnings") or []]
    return "\n".join(lines)


def _limits(found: Material) -> str:
    few = [
        name for name, row in zip(found.classes, found.confusion, strict=True) if row.sum() < _LEAST
    ]
    outputs = found.result.get("refusal") or found.kept("refusal")
    always = (
        "It always names one of its classes, even for a picture of something else; its further"
        " output tells how unlike its own pictures a picture is."
        if outputs
        else "It always names one of its classes, even for a picture of something else: it has no"
        ' way to say "none of these".'
    )
    lines = [
        always,
        "Its probabilities are those of the mix of classes that it was trained with.",
        "Another camera, light, place or season may make it worse; test it there.",
    ]
    if few:
        named = ", ".join(_plain(name) for name in few)
        lines.append(f"Tested on fewer than {_LEAST} pictures, so hardly known: {named}.")
    counts, classes = found.confusion.copy(), found.classes
    for place in range(len(classes)):
        counts[place, place] = 0
    if counts.any():
        i, j = divmod(int(counts.argmax()), len(classes))
        lines.append(
            f"Its most frequent mistake: {_plain(classes[i])} called {_plain(classes[j])}"
            f" ({counts[i, j]:,} of {found.confusion[i].sum():,})."
        )
    for pair in (found.result.get("honesty") or {}).get("apart") or []:
        lines.append(f"{_plain(pair[0])} and {_plain(pair[1])} cannot be told apart yet.")
    return "\n".join(f"- {line}" for line in lines)


def _made(found: Material) -> str:
    versions = found.kept("versions") or {}
    said = ", ".join(f"{key} {value}" for key, value in versions.items())
    way = about_learning.named(found.result["shipped"])
    return (
        f"{about_learning.catalog_words(str(found.settings['backbone']))} Way of learning: {way}."
        f" Seed {found.settings['seed']}. Made with {said or 'unknown versions'}."
    )


def _licence(found: Material) -> str:
    if found.settings["backbone"] == catalog.BUILTIN:
        weights = "The network's weights come with the program and are under its licence."
    else:
        weights = (
            "The network's first weights are those that Keras distributes, trained on ImageNet:"
            " see the licence of Keras Applications and of the network's authors, and the terms of"
            " ImageNet, before you sell or publish what is built on them."
        )
    return f"{weights} The rights in the pictures that it learned from remain with their owners."


def _tuned(found: Material) -> bool:
    """Whether the network itself learned: only the others learn from validation pictures too."""
    return str(found.result["shipped"]) not in ("linear_top", "linear_stages")


def _plain(name: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", " ".join(name.split()))
