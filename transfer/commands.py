"""What each command does: options in, one JSON-ready answer out. TensorFlow loads where needed."""

import traceback
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer import (
    catalog,
    commanding,
    console,
    delivery_commands,
    diagnosis,
    evaluation,
    extending,
    sample,
    shortage,
    silence,
    store,
    view_commands,
    weights,
)
from transfer.catalog import BackboneSpec
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.errors import DataError, ExportError, PausedError, StoppedError, TransferError
from transfer.exporting import formats
from transfer.health import sentences
from transfer.runs import Run
from transfer.serving import limits
from transfer.serving.limits import Batching

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


def train(options: Namespace) -> Answer:
    """Train, go on with a killed run, or answer from a finished one."""
    run = Run(options.run)
    commanding.expert_settings(options)  # what is out of range is said at once
    spec, size = commanding.network(options, run.config() if run.exists else None)
    if run.finished:
        run.start(_settings(options, commanding.grouped(options), spec, size))
        console.say("This run is finished already; nothing was trained again.")
        return _outcome(run.result())
    with commanding.loading(options.data, spec, size) as loaded:
        index = commanding.grouped(options)
        run.start(_settings(options, index, spec, size))
        commanding.tell(index, index.warnings)
    return _trained(run, options.began, loaded())


def extend(options: Namespace) -> Answer:
    """Add epochs to a finished run, as a new run; again: go on, or answer."""
    run = Run(options.to)
    extending.prepare(Run(options.run), run, options.epochs)
    if run.finished:
        console.say("This run is finished already; nothing was trained again.")
        return _outcome(run.result())
    commanding.load()
    return _trained(run, options.began)


def _trained(run: Run, began: float, loaded: "Backbone | None" = None) -> Answer:
    from transfer import pipeline

    run.clear_pause()
    with console.progress() as step:
        return _outcome(pipeline.run(run, step, loaded, began))


def work(options: Namespace) -> Answer:
    """Do what a prepared run folder says, then export its model into it: a job of the app."""
    run = Run(options.run)
    run.config()
    commanding.load()
    from transfer import export as exporting
    from transfer import pipeline
    from transfer.ensembling import building
    from transfer.reporter import Reporter

    joins = run.config().strategy == catalog.ENSEMBLE.name
    with console.progress() as step:
        try:
            if joins:
                building.build(run, step)
            else:
                pipeline.run(run, step, began=options.began)
        except (StoppedError, PausedError) as ended:
            console.say(str(ended))
            return {"stopped": True, "paused": isinstance(ended, PausedError)}
        if run.read("export") is None:
            run.clear_stop()
            run.clear_pause()
            reporter = Reporter(run, step)
            reporter.something_to_keep = True
            with run.locked(), _export_explained():
                exporting.clear(run.export_folder)
                done = exporting.export(run, run.export_folder, reporter.counter("export"))
            run.write("export", done.to_json())
            reporter.say("finished", 1, 1, "Finished")
    return {"stopped": False, "paused": False, "export": run.read("export")}


@contextmanager
def _export_explained() -> Iterator[None]:
    """Turn what nobody expected while exporting into a sentence; trying again would not help."""
    try:
        yield
    except TransferError:
        raise
    except Exception as error:
        if shortage.of(error):
            raise
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
    index = commanding.imported(options.data, minimum_per_class=1, minimum_classes=1)
    pictures = [p for p in index.pictures if p.split == "test"] or list(index.pictures)
    known = [p for p in pictures if p.label in result["classes"]]
    _tell_unknown(run, index, len(pictures) - len(known), result["classes"])
    if not known:
        raise DataError(
            f"None of the classes in '{options.data}' ({', '.join(index.classes)}) is one that the"
            f" run has learned ({', '.join(result['classes'])}). Name the folders alike."
        )
    commanding.load()
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
    if options.test_time == "none":
        return report.to_json()
    paths = [index.path(picture) for picture in known]
    gained = view_commands.compared(run, classifier, paths, labels, answers, options.test_time)
    return {**report.to_json(), "test_time": gained}


def predict(options: Namespace) -> Answer:
    """Say what is on each picture."""
    result = Run(options.run).result()
    if missing := [path for path in options.images if not path.is_file()]:
        raise DataError(f"There is no picture '{missing[0]}'. Check the name and try again.")
    commanding.load()
    from transfer import prediction

    classifier = prediction.load(Run(options.run))
    said = prediction.answer_files(classifier, options.images)
    rows = []
    for number, path in enumerate(options.images):
        one = {name: values[number].tolist() for name, values in said.items()}
        row = silence.told(one, result["classes"])
        rows.append({"file": str(path), **row})
        console.say(f"{path}: {silence.in_words(row)}")
    return {"predictions": rows}


def serve(options: Namespace) -> Answer:
    """Answer over HTTP what is on pictures, until told to end."""
    from transfer.serving import process

    batching = Batching(options.batch, options.wait)
    if options.store:
        idle = limits.IDLE_SECONDS if options.idle is None else options.idle
        return process.serve_store(idle, options.memory, batching)
    settings = process.Settings(
        tuple(options.models), options.address, options.port, options.idle, options.memory, batching
    )
    return process.serve(settings)


def publish(options: Namespace) -> Answer:
    """Export a run as the next version of a model, for TensorFlow Serving."""
    from transfer.serving import publishing

    run = Run(options.run)
    run.result()
    name = publishing.checked_name(options.name)
    commanding.load()
    console.say("Writing the model and checking it in a fresh process ...")
    done = publishing.publish(run, name, options.to or store.home() / "models")
    console.say(f"Version {done['version']} of '{name}' is in '{done['path']}'.")
    return done


def demo(options: Namespace) -> Answer:
    """Train on the sample pictures and export the model, in the store."""
    data = sample.sample_dataset()
    console.say(f"The sample pictures are in '{data}'.")
    runs = store.home() / "runs"
    spec, why = weights.choose_default()
    name = f"demo-{spec.name}"
    options = Namespace(
        data=data, group_by=None, run=runs / name, backbone=spec.name, strategy="linear_top",
        epochs=None, budget=None, seed=0, image_size=None, mirror=None, turn=None,
        augment=[],
    )  # fmt: skip
    if why:
        console.say(why)
    answer = train(options)
    target = runs / f"{name}-savedmodel"
    if not target.exists():
        delivery_commands.export(Namespace(run=options.run, to=target, format=formats.DEFAULT))
    console.say(f"The model is in '{target}'; example.py beside it shows how to use it.")
    return {**answer, "path": str(target)}


def _settings(options: Namespace, index: ImageIndex, spec: BackboneSpec, size: int) -> RunConfig:
    expert = commanding.expert_settings(options)
    more = {"epochs": options.epochs, "budget": options.budget, **expert}
    more["test_time"] = getattr(options, "test_time", "none")
    config = commanding.settings(options, index, spec, size, **more)
    if config.changes.said and not catalog.strategy(options.strategy).tunes:
        console.say(
            f"'{options.strategy}' looks at each picture once, as it is: --augment changes nothing."
        )
    return config


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
    if gap := sentences.gap(result.get("honesty")):
        console.say(f"Note: {gap}")
    readings = result.get("readings") or {}
    _tell_readings(readings, result["shipped"])
    return {
        **{key: result[key] for key in (*keys, *extra)},
        "honesty": result.get("honesty"),
        "readings": readings,
    }


def _tell_readings(readings: dict[str, list[Answer]], shipped: str) -> None:
    """Say what the curves of the shipped way say, and what is ill of the others'."""
    for name, some in readings.items():
        for one in some:
            if name == shipped or one["level"] in diagnosis.ILL:
                whose = "" if name == shipped else f"{name}: "
                console.say(f"{whose}{one['title']}. {one['words']} ({one['evidence']})")


def _why_shipped(result: Answer) -> str:
    shipped, advised = result["shipped"], result["advised"]
    if shipped == advised:
        return f"The measurement advises {advised}, so that is what the run holds."
    return (
        f"The measurement advises {advised}, but on the validation pictures it is not clearly"
        f" better than {shipped}, so the simpler one is what the run holds."
    )


def _tell_unknown(run: Run, index: ImageIndex, unknown: int, classes: list[str]) -> None:
    if unknown:
        strange = sorted(set(index.classes) - set(classes))
        console.say(
            f"Note: {unknown} pictures are of classes that the run has not learned"
            f" ({', '.join(strange)}); they do not count."
        )
    if index.digest == run.config().dataset and not any(p.split for p in index.pictures):
        console.say("Note: the run has learned from most of these pictures; see its test result.")
