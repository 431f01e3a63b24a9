"""What the structure promises: light imports where a page needs them, files of one look."""

import ast
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# What a page may import; `import-linter` checks the layers, this what is really loaded.
LIGHT = ["transfer", "transfer.catalog", "transfer.config", "transfer.runs", "transfer.evaluation",
         "transfer.dataset.library", "transfer.dataset.split", "transfer.sample", "transfer.store",
         "transfer.weights", "transfer.console", "transfer.cli"]  # fmt: skip


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_loads_neither_tensorflow_nor_streamlit(module):
    heavy = "{'tensorflow', 'keras', 'streamlit'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


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
        for path in sorted((ROOT / "transfer").rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_every_file_opens_with_one_sentence_on_its_job():
    for path in sorted((ROOT / "transfer").rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring, path
        assert docstring.splitlines()[0].rstrip().endswith((".", ":")), path
