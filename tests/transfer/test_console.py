"""What native code says is kept away; what is said for people always arrives."""

import subprocess
import sys

from tests.conftest import ROOT

_SCRIPT = """
import os
from transfer import console
with console.progress() as step:
    with console.quiet():
        os.write(2, b"a native warning\\n")
        console.say("said meanwhile")
        step("reading", 1, 2, "Reading")
    step("reading", 2, 2, "Reading")
    step("training", 1, 2, "Training")
    os.write(2, b"native again\\n")
"""
_FAILING = """
import os
from transfer import console
with console.quiet():
    os.write(2, b"why it failed\\n")
    raise SystemExit(3)
"""


def _stderr(script: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def test_words_arrive_while_native_code_is_kept_quiet():
    status, said = _stderr(_SCRIPT)
    assert status == 0
    assert said.splitlines() == ["said meanwhile", "Reading ...", "Training ...", "native again"]


def test_on_an_error_what_was_kept_is_shown():
    status, said = _stderr(_FAILING)
    assert (status, said.splitlines()) == (3, ["why it failed"])
