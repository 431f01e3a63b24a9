"""What the structure promises: light imports where a page needs them, files of one look."""

import ast
import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# What a page may import; `import-linter` checks the layers, this what is really loaded.
LIGHT = ["transfer", "transfer.catalog", "transfer.config", "transfer.runs", "transfer.evaluation",
         "transfer.dataset.library", "transfer.dataset.split", "transfer.sample", "transfer.store",
         "transfer.weights", "transfer.console", "transfer.cli", "transfer.commands",
         "transfer.linear", "transfer.selection", "transfer.advice", "transfer.crossval",
         "transfer.forecast", "transfer.health.suspects", "transfer.health.probing",
         "transfer.feature_store", "transfer.schedules", "transfer.changes", "transfer.overlays",
         "transfer.reporting.report", "transfer.reporting.paper"]  # fmt: skip


# The web process and what works behind it; Streamlit is only for what draws pages.
WEB = ["app.server", "app.frame", "app.state", "app.components.uploader"]
BEHIND = ["app.jobs", "app.dispatcher", "app.importing", "app.uploads", "app.predictor",
          "app.bundles", "app.storage", "app.comparison", "app.disagreements", "app.matrix",
          "app.finds", "app.mending", "app.probing", "app.routes.mending", "app.routes.heat_maps",
          "app.figures", "app.verdicts", "app.charts", "app.networks",
          "app.workshop", "app.routes.downloads", "app.routes.pictures", "app.routes.uploads",
          "app.__main__"]  # fmt: skip
PACKAGES = ("transfer", "app")


def loaded(module: str, names: set[str]) -> list[str]:
    code = f"import json, sys, {module}; print(json.dumps(sorted({names} & set(sys.modules))))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", WEB)
def test_the_web_process_does_without_tensorflow(module):
    assert loaded(module, {"tensorflow", "keras", "jax", "torch"}) == []


def test_a_whole_server_with_its_pages_does_without_tensorflow():
    """Import every page's imports, as drawing them does."""
    code = (
        "import ast, importlib, json, pathlib, sys\n"
        "import app.server\n"
        "for path in pathlib.Path('app/views').glob('*.py'):\n"
        "    for node in ast.parse(path.read_text()).body:\n"
        "        if isinstance(node, ast.ImportFrom):\n"
        "            importlib.import_module(node.module)\n"
        "            [importlib.import_module(f'{node.module}.{a.name}') for a in node.names"
        " if node.module in ('app', 'transfer', 'app.routes', 'app.components')]\n"
        "print(json.dumps(sorted({'tensorflow', 'keras'} & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("module", BEHIND)
def test_what_works_behind_the_pages_does_without_streamlit(module):
    assert loaded(module, {"tensorflow", "keras", "streamlit"}) == []


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_loads_neither_tensorflow_nor_streamlit(module):
    assert loaded(module, {"tensorflow", "keras", "streamlit"}) == []


def test_importing_the_package_alone_loads_nothing_else():
    code = (
        "import sys; before = set(sys.modules); import transfer;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['transfer']"


def test_files_can_be_taken_in_at_one_look():
    long = {
        str(path.relative_to(ROOT)): lines
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_every_file_opens_with_one_sentence_on_its_job():
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring, path
        assert docstring.splitlines()[0].rstrip().endswith((".", ":")), path
