"""Write a model in one of the formats, with what goes along: classes, a snippet, what is left."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transfer import store
from transfer.exporting import keras_file, litert, onnx_file, savedmodel
from transfer.exporting.formats import Format
from transfer.prediction import Classifier

# (classifier, an empty folder, training pictures for measuring ranges) -> None
Writer = Callable[[Classifier, Path, Sequence[Path]], None]

# Each in the order in which they are tried, until one gives the same answers.
WRITERS: Mapping[str, Sequence[Writer]] = {
    "savedmodel": (savedmodel.write,),
    "keras": (keras_file.write,),
    "litert": (litert.write,),
    "litert-int8": (litert.write_int8, litert.write_dynamic),
    "onnx": (onnx_file.write,),
}
EXAMPLE = "example.py"
_SNIPPETS = Path(__file__).parent / "snippets"


def snippet(name: str) -> str:
    """Return the program that shows how to use a model of this format."""
    file = _SNIPPETS / f"example_{name.replace('-', '_')}.py"
    return file.read_text(encoding="utf-8")


def write(
    kind: Format, writer: Writer, classifier: Classifier, folder: Path, examples: Sequence[Path]
) -> None:
    """Write all files of an export into a new folder."""
    folder.mkdir(parents=True)
    writer(classifier, folder, examples)
    store.write_json(folder / "labels.json", list(classifier.classes))
    store.write_json(folder / "preprocessing.json", preprocessing(kind, classifier))
    (folder / EXAMPLE).write_text(snippet(kind.name), encoding="utf-8")
    if kind.remains:
        shutil.copyfile(_SNIPPETS / "pictures.py", folder / "pictures.py")


def preprocessing(kind: Format, classifier: Classifier) -> dict[str, Any]:
    """Return what the model takes, what is left to do before it, and what it gives."""
    size = classifier.image_size
    return {
        "format": kind.name,
        "image_size": size,
        "takes": kind.takes.format(size=size),
        "remains": [step.format(size=size) for step in kind.remains],
        "outputs": {
            name: ["n", *(int(length) for length in one.shape[1:])]
            for name, one in classifier.outputs.output.items()
        },
    }


def explain(kind: Format, folder: Path, classifier: Classifier, checked: str) -> None:
    """Write README.md beside an exported model; `checked` says what its check found."""
    about = preprocessing(kind, classifier)
    steps = [f"{number}. {step}" for number, step in enumerate(about["remains"], 1)]
    left = "\n".join(steps) or "Nothing: give it the bytes of picture files as they are."
    gives = "\n".join(
        f"- `{name}`: {' x '.join(map(str, shape))}" for name, shape in about["outputs"].items()
    )
    reader = "`pictures.py` does all of it; " if kind.remains else ""
    resizing = kind.exact or not kind.remains
    inside = (
        "Resizing and the network's own preprocessing are inside the model."
        if resizing
        else "The network's own preprocessing is inside the model; resizing is not."
    )
    packages = " ".join(kind.packages)
    words = f"""\
# {kind.title}, for {kind.purpose}

{checked}

```sh
pip install {packages}
python example.py photo.jpg
```

**It takes** {about["takes"]}

**What is left to do before that:**

{left}

{reader}`example.py` shows its use. {inside}

**It gives** (n: how many pictures):

{gives}

The columns of `probabilities` are the classes in `labels.json`, in their order.
"""
    (folder / "README.md").write_text(words, encoding="utf-8")
