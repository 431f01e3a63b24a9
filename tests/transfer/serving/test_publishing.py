"""Published models: versions, what TensorFlow Serving is told, and how it asks them."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.components import asking as lines
from tests.conftest import ROOT, Command
from transfer.errors import RunError, SettingsError
from transfer.serving import publishing, sources
from transfer.serving.sources import Named

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def models(trained, tmp_path_factory) -> Path:
    """A folder where the trained run is published as 'fruit', version 1."""
    from transfer.runs import Run

    folder = tmp_path_factory.mktemp("published") / "models"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_HOME", str(trained[1]))
        done = publishing.publish(Run(trained[0]), "fruit", folder)
    assert done["version"] == 1
    assert done["checked"] > 0
    assert done["max_difference"] < 1e-4
    return folder


@pytest.fixture(scope="module")
def pictures(sample_folder) -> list[Path]:
    return sorted(sample_folder.rglob("*.jpg"))[::12]


@pytest.fixture(scope="module")
def expected(trained, pictures) -> np.ndarray:
    from transfer import prediction
    from transfer.runs import Run

    return prediction.predict_files(prediction.load(Run(trained[0])), pictures)


def test_a_version_is_whole_and_listed(models):
    assert sorted(path.name for path in (models / "fruit").iterdir()) == ["1"]
    assert (models / "fruit" / "1" / "saved_model.pb").is_file()
    assert (models / "fruit" / "1" / "labels.json").is_file()
    config = (models / publishing.CONFIG).read_text(encoding="utf-8")
    assert config == publishing.configuration(["fruit"])


def _parsed(config: str) -> list[dict[str, str]]:
    """Read the protobuf text of `configuration`, brace by brace."""
    assert config.count("{") == config.count("}")
    inside = re.fullmatch(r"model_config_list \{\n(.*)\}\n", config, re.DOTALL)
    assert inside
    return [
        dict(re.findall(r'(\w+): "?([^"\s]+)"?', entry))
        for entry in inside[1].split("  config {\n")
        if entry
    ]


def test_tensorflow_serving_is_told_each_model_and_where_it_is_mounted():
    found = _parsed(publishing.configuration(["fruit", "pets"]))
    assert [(one["name"], one["base_path"]) for one in found] == [
        ("fruit", "/models/fruit"), ("pets", "/models/pets")
    ]  # fmt: skip
    assert {one["model_platform"] for one in found} == {"tensorflow"}
    assert {one["num_versions"] for one in found} == {"2"}
    assert "models:/models:ro" in (ROOT / "compose.yaml").read_text(encoding="utf-8")


def test_the_next_version_takes_over(models, tmp_path, trained, monkeypatch):
    from transfer import export as exporting
    from transfer.runs import Run

    copy = tmp_path / "models"
    shutil.copytree(models, copy)
    before = Named({"fruit": copy / "fruit"}).find("fruit")
    shutil.copytree(copy / "fruit" / "1", copy / "fruit" / "10")
    for other in ("9.old", "02", ".export-x", "٣"):
        (copy / "fruit" / other).mkdir()
    assert sources.versions(copy / "fruit") == [10, 1]
    after = Named({"fruit": copy / "fruit"}).find("fruit")
    assert (before.folder.name, after.folder.name) == ("1", "10")
    assert before != after  # so that it is loaded anew

    written: list[Path] = []

    def export(run: Run, target: Path) -> Any:
        written.append(target)
        raise RunError("no")

    monkeypatch.setattr(exporting, "export", export)
    with pytest.raises(RunError):
        publishing.publish(Run(trained[0]), "fruit", copy)
    assert [path.name for path in written] == ["11"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", "a b", "猫", "x" * 65, 'a"b'])
def test_a_name_that_is_no_part_of_an_address_is_refused(name):
    with pytest.raises(SettingsError, match="cannot be the name"):
        publishing.checked_name(name)


def test_the_command_says_what_it_published(models, trained, command: Command, monkeypatch):
    """A run that is not finished is said before TensorFlow is loaded."""
    status, answer, _ = command("publish", models, "--name", "fruit")
    assert status == 2
    assert "There is no run" in answer["error"]
    status, answer, _ = command("publish", trained[0], "--name", "a/b")
    assert status == 2
    assert "cannot be the name" in answer["error"]


def _tensors(instances: list[dict[str, str]], names: list[str]) -> dict[str, Any]:
    """Turn the rows of a REST request into tensors as TensorFlow Serving does.

    Its REST API: "if the model takes only one named input, the list items are its values", and
    bytes are an object with the one key "b64".
    """
    import tensorflow as tf

    (name,) = names
    assert all(row.keys() == {"b64"} for row in instances)
    return {name: tf.constant([base64.b64decode(row["b64"]) for row in instances])}


def test_the_line_for_curl_asks_what_the_signature_takes(models, pictures, expected, tmp_path):
    import tensorflow as tf

    shutil.copy(pictures[0], tmp_path / "photo.jpg")
    (makes, sends) = lines.with_tensorflow_serving("fruit").split("\\\n")
    assert sends.strip() == "| curl -d @- http://127.0.0.1:8511/v1/models/fruit:predict"
    assert lines.with_tensorflow_serving("fruit") in README
    done = subprocess.run(["sh", "-c", makes], cwd=tmp_path, capture_output=True, check=True)
    asked = json.loads(done.stdout)
    assert set(asked) == {"instances"}

    kept = tf.saved_model.load(str(models / "fruit" / "1"))
    signature = kept.signatures["serving_default"]  # pyright: ignore[reportAttributeAccessIssue]
    arguments = signature.structured_input_signature[1]
    assert {name: spec.dtype for name, spec in arguments.items()} == {"image_bytes": tf.string}
    answer = signature(**_tensors(asked["instances"], list(arguments)))["probabilities"].numpy()
    assert np.abs(answer - expected[:1]).max() < 1e-4


def test_a_published_model_is_served_with_the_answers_of_the_app(models, pictures, expected):
    from transfer.serving.models import Models

    log: list[str] = []
    kept = Models(Named.parsed([f"{models}/fruit", f"again={models}/fruit/1"]), log.append)
    model = kept.get("fruit")
    prepared = [model.prepare(path.read_bytes()) for path in pictures]
    assert np.abs(model.compute(prepared)["probabilities"] - expected).max() < 1e-4
    assert model.classes == ("apple", "lemon", "lime")
    assert model.source.kind == "savedmodel"
    assert model.outputs == ("answers", "confidence", "known", "probabilities", "strangeness")


def test_a_model_of_elsewhere_is_refused(tmp_path):
    import tensorflow as tf

    from transfer.serving.models import Models

    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(RunError, match="was not exported by this program"):
        Models(Named.parsed([str(tmp_path / "other")]), lambda _: None).get("other")


@pytest.mark.parametrize(
    ("given", "words"),
    [(["a=/nowhere"], "no model in"), (["=x"], "cannot be the name"), (["/"], "cannot be"),
     (["a/b=x"], "cannot be the name")],
)  # fmt: skip
def test_what_is_no_model_is_said(given, words):
    with pytest.raises(SettingsError, match=words):
        Named.parsed(given)


def test_two_of_one_name_are_refused(models):
    with pytest.raises(SettingsError, match="Two models are called 'fruit'"):
        Named.parsed([f"{models}/fruit", f"{models}/fruit"])
