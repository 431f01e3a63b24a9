"""What each command does: options in, one JSON-ready answer out. TensorFlow loads where needed."""

import gc
import tempfile
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer import catalog, console, evaluation, sample, serving, store, weights
from transfer.catalog import BackboneSpec
from transfer.config import RunConfig
from transfer.dataset import library, split
from transfer.dataset.index import ImageIndex
from transfer.errors import DataError, ExportError, StoppedError, TransferError
from transfer.runs import Run

if TYPE_CHECKING:
    from transfer.backbones import Backbone

Answer = dict[str, Any]


def backbones(_: Namespace) -> Answer:
    """List the catalog with what is here."""
    rows = []
    for spec in map(catalog.backbone, catalog.names()):
        rows.append(
            {
                "name": spec.name,
                "parameters": spec.parameters,
                "input_size": spec.input_size,
                "top1": spec.top1,
                "top1_source": spec.top1_source,
                "weights": weights.status(spec),
                "weights_megabytes": spec.weight_megabytes,
                "normalization": spec.normalization,
                "description": spec.description,
            }
        )
        top1 = "-" if spec.top1 is None else f"{spec.top1:.1f} %"
        console.say(
            f"{spec.name:24} {spec.parameters / 1e6:7.1f} M  {spec.input_size:4} px"
            f"  top-1 {top1:>7}  {rows[-1]['weights']}"
        )
    return {"backbones": rows}


def inspect(options: Namespace) -> Answer:
    """Take the data in and say what is there."""
    index = _imported(options.data)
    parts = split.split(index, seed=0)
    _tell(index, [*index.warnings, *parts.warnings])
    return {
        "classes": index.counts(),
        "accepted": len(index.pictures),
        "rejected": [{"file": item.file, "reason": item.reason} for item in index.rejected],
        "splits": parts.counts(),
        "warnings": [*index.warnings, *parts.warnings],
        "dataset": index.digest,
    }


def advise(options: Namespace) -> Answer:
    """Measure how much data there is and how unlike what the network knows; name the strategy."""
    spec, size = _network(options, None)
    with _loading(options.data, spec, size) as loaded:
        index = _imported(options.data)
        _tell(index, index.warnings)
        config = RunConfig(index.digest, spec.name, size, seed=options.seed)
    from transfer import pipeline

    with tempfile.TemporaryDirectory() as folder, console.progress() as step:
        run = Run(Path(folder) / "advice")
        run.start(config)
        answer = pipeline.advise(run, step, loaded())
    for reason in answer["reasons"]:
        console.say(reason)
    console.say(f"Advice: {answer['strategy']}. {catalog.strategy(answer['strategy']).summary}")
    return answer


def measure(options: Namespace) -> Answer:
    """Measure the data set of a prepared run folder and keep the advice in it: a job of the app."""
    run = Run(options.run)
    run.config()
    with console.quiet():
        _load()
    from transfer import pipeline

    with console.progress() as step:
        return pipeline.advise(run, step)


def train(options: Namespace) -> Answer:
    """Train, go on with a killed run, or answer from a finished one."""
    run = Run(options.run)
    spec, size = _network(options, run.config() if run.exists else None)
    if run.finished:
        run.start(_settings(options, _imported(options.data), spec, size))
        console.say("This run is finished already; nothing was trained again.")
        return _outcome(run.result())
    with _loading(options.data, spec, size) as loaded:
        index = _imported(options.data)
        run.start(_settings(options, index, spec, size))
        _tell(index, index.warnings)
    from transfer import pipeline

    with console.progress() as step:
        result = pipeline.run(run, step, loaded())
    return _outcome(result)


def work(options: Namespace) -> Answer:
    """Do what a prepared run folder says, then export its model into it: a job of the app."""
    run = Run(options.run)
    run.config()
    with console.quiet():
        _load()
    from transfer import export as exporting
    from transfer import pipeline
    from transfer.reporter import Reporter

    with console.progress() as step:
        try:
            pipeline.run(run, step)
        except StoppedError as stopped:
            console.say(str(stopped))
            return {"stopped": True}
        if run.read("export") is None:
            run.clear_stop()
            reporter = Reporter(run, step)
            reporter.something_to_keep = True
            with run.locked(), _export_explained():
                exporting.clear(run.export_folder)
                done = exporting.export(run, run.export_folder, reporter.counter("export"))
            checked = {"checked": done.checked, "max_difference": done.max_difference}
            run.write("export", checked)
            reporter.say("finished", 1, 1, "Finished")
    return {"stopped": False, "export": run.read("export")}


@contextmanager
def _export_explained() -> Iterator[None]:
    """Turn what nobody expected while exporting into a sentence; trying again would not help."""
    try:
        yield
    except TransferError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise ExportError(
            "The classifier is finished and its results stand, but the model for taking away could"
            f" not be written ({type(error).__name__}). Check that the disk has room and try again"
            " on the page Use; if it stays so, please report it with the log of the job."
        ) from error


def evaluate(options: Namespace) -> Answer:
    """Measure a finished run on the test folder of DATA, or on all of it."""
    run = Run(options.run)
    result = run.result()
    index = _imported(options.data, minimum_per_class=1, minimum_classes=1)
    pictures = [p for p in index.pictures if p.split == "test"] or list(index.pictures)
    known = [p for p in pictures if p.label in result["classes"]]
    _tell_unknown(run, index, len(pictures) - len(known), result["classes"])
    if not known:
        raise DataError(
            f"None of the classes in '{options.data}' ({', '.join(index.classes)}) is one that the"
            f" run has learned ({', '.join(result['classes'])}). Name the folders alike."
        )
    with console.quiet():
        _load()
    from transfer import prediction

    classifier = prediction.load(run)
    with console.progress() as step:
        answers = prediction.probabilities(
            classifier,
            [index.path(picture) for picture in known],
            lambda done, total: step("evaluate", done, total, "Looking at the pictures"),
        )
    labels = np.array([classifier.classes.index(picture.label) for picture in known])
    report = evaluation.evaluate(answers, labels, classifier.classes)
    console.say(f"Right on {report.overall.sentence()}.")
    return report.to_json()


def predict(options: Namespace) -> Answer:
    """Say what is on each picture."""
    result = Run(options.run).result()
    if missing := [path for path in options.images if not path.is_file()]:
        raise DataError(f"There is no picture '{missing[0]}'. Check the name and try again.")
    with console.quiet():
        _load()
    from transfer import prediction

    classifier = prediction.load(Run(options.run))
    answers = prediction.predict_files(classifier, options.images)
    rows = []
    for path, row in zip(options.images, answers, strict=True):
        named = {name: float(p) for name, p in zip(result["classes"], row, strict=True)}
        label = max(named, key=lambda name: named[name])
        rows.append({"file": str(path), "label": label, "probabilities": named})
        console.say(f"{path}: {label} ({100 * named[label]:.0f} %)")
    return {"predictions": rows}


def export(options: Namespace) -> Answer:
    """Write a SavedModel and check it in a fresh process."""
    run = Run(options.run)
    run.result()
    with console.quiet():
        _load()
    from transfer import export as exporting

    console.say("Writing the model and checking it in a fresh process ...")
    done = exporting.export(run, options.to)
    console.say(
        f"The SavedModel is in '{done.path}'. Checked: same answers on {done.checked} pictures"
        f" (largest difference {done.max_difference:.1g})."
    )
    return {
        "path": str(done.path),
        "checked": done.checked,
        "max_difference": done.max_difference,
    }


def serve(options: Namespace) -> Answer:
    """Answer the app's questions about pictures until nobody asks any more."""
    return serving.serve(options.idle, options.memory)


def demo(options: Namespace) -> Answer:
    """Train on the sample pictures and export the model, in the store."""
    data = sample.sample_dataset()
    console.say(f"The sample pictures are in '{data}'.")
    runs = store.home() / "runs"
    spec, why = weights.choose_default()
    name = f"demo-{spec.name}"
    options = Namespace(
        data=data, run=runs / name, backbone=spec.name, strategy="linear_top", epochs=None,
        budget=None, seed=0, image_size=None, mirror=None, turn=None,
    )  # fmt: skip
    if why:
        console.say(why)
    answer = train(options)
    target = runs / f"{name}-savedmodel"
    if not target.exists():
        export(Namespace(run=options.run, to=target))
    console.say(f"The model is in '{target}'; example.py beside it shows how to use it.")
    return {**answer, "path": str(target)}


@contextmanager
def _loading(
    data: Path, spec: BackboneSpec, size: int
) -> Iterator[Callable[[], "Backbone | None"]]:
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
    _load()
    from transfer import backbones

    path = weights.locate(spec, size)
    return backbones.load(spec, size, path) if path else None


def _load() -> None:
    """Import all that computes; without looking for garbage meanwhile, which took a quarter."""
    gc.disable()
    try:
        from transfer import devices, pipeline  # noqa: F401

        devices.prepare()
    finally:
        gc.freeze()
        gc.enable()


def _imported(data: Path, minimum_per_class: int = 4, minimum_classes: int = 2) -> ImageIndex:
    with console.progress() as step:
        return library.import_dataset(
            data,
            minimum_per_class=minimum_per_class,
            minimum_classes=minimum_classes,
            on_progress=lambda done, total: step("import", done, total, "Reading the pictures"),
        )


def _settings(options: Namespace, index: ImageIndex, spec: BackboneSpec, size: int) -> RunConfig:
    return RunConfig(
        dataset=index.digest,
        backbone=spec.name,
        image_size=size,
        strategy=options.strategy,
        epochs=options.epochs,
        budget=options.budget,
        seed=options.seed,
        horizontal_flip=options.mirror,
        quarter_turns=options.turn,
    )


def _network(options: Namespace, earlier: RunConfig | None) -> tuple[BackboneSpec, int]:
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


def _outcome(result: Answer) -> Answer:
    """Tell the result in words, and return the fields that other programs read."""
    if result["shipped"] != result["requested"]:
        console.say(_why_shipped(result))
    for name, words in (("validation", "validation"), ("test", "never seen")):
        if value := result[name]:
            low, high = 100 * value["low"], 100 * value["high"]
            console.say(
                f"Right on {100 * value['accuracy']:.1f} % of {value['n']} {words} pictures"
                f" (95 % interval {low:.1f} to {high:.1f} %)."
            )
    keys = ("run", "requested", "advised", "shipped", "backbone", "validation", "test", "seconds")
    extra = ("classes", "splits", "image_size", "ended", "warnings", "peak_memory_mb", "comparison")
    return {key: result[key] for key in (*keys, *extra)}


def _why_shipped(result: Answer) -> str:
    shipped, advised = result["shipped"], result["advised"]
    if shipped == advised:
        return f"The measurement advises {advised}, so that is what the run holds."
    return (
        f"The measurement advises {advised}, but on the validation pictures it is not clearly"
        f" better than {shipped}, so the simpler one is what the run holds."
    )


def _tell(index: ImageIndex, warnings: list[str] | tuple[str, ...]) -> None:
    counts = index.counts()
    console.say(f"{len(index.pictures)} pictures in {len(counts)} classes.")
    for item in index.rejected[:20]:
        console.say(f"Left out: {item.file}: {item.reason}")
    if len(index.rejected) > 20:
        console.say(f"... and {len(index.rejected) - 20} more files.")
    for warning in warnings:
        console.say(f"Note: {warning}")


def _tell_unknown(run: Run, index: ImageIndex, unknown: int, classes: list[str]) -> None:
    if unknown:
        strange = sorted(set(index.classes) - set(classes))
        console.say(
            f"Note: {unknown} pictures are of classes that the run has not learned"
            f" ({', '.join(strange)}); they do not count."
        )
    if index.digest == run.config().dataset and not any(p.split for p in index.pictures):
        console.say("Note: the run has learned from most of these pictures; see its test result.")
