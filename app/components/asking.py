"""How to ask a model over HTTP, once it has been taken away: lines to paste."""

import re
import unicodedata

import streamlit as st

_LONGEST = 40  # characters of the name, which stands in lines to paste

_SERVE = """\
python -m transfer serve NAME=FOLDER
curl --data-binary @photo.jpg http://127.0.0.1:8502/models/NAME/predict"""

# Through a pipe: a picture is longer than what a command line holds.
_TENSORFLOW_SERVING = """\
(printf '{"instances": [{"b64": "'; base64 < photo.jpg | tr -d '\\n'; printf '"}]}') \\
  | curl -d @- http://127.0.0.1:8511/v1/models/NAME:predict"""


def over_http(run_name: str) -> None:
    """Show the lines for a run, for this program and for TensorFlow Serving."""
    name = served_name(run_name)
    st.markdown(
        f"**Over HTTP, with this program**: `FOLDER` is the unpacked zip, `{name}` the name by"
        " which it is asked; take another if you like, in both lines. It answers on this machine"
        " only; `/docs` says what else can be asked."
    )
    st.code(with_program(name), language="sh")
    st.markdown(
        f"**With TensorFlow Serving**: put the folder at `models/{name}/1` and start"
        f" `tensorflow_model_server --rest_api_port=8511 --model_name={name}"
        f' --model_base_path="$PWD/models/{name}"`, or use `docker compose --profile serving up'
        " serving` with `python -m transfer publish` (see the README). Several versions of a model"
        f" can stand side by side: `models/{name}/2` takes over when it is there."
    )
    st.code(with_tensorflow_serving(name), language="sh")


def served_name(run_name: str) -> str:
    """Return a name to serve a run by, of what people call it.

    `publishing.checked_name` takes it, a shell leaves it as it is, and it needs no quoting in an
    address.

    >>> served_name("Äpfel & Birnen, MobileNetV2 (2)")
    'apfel-birnen-mobilenetv2-2'
    """
    letters = unicodedata.normalize("NFKD", run_name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "-", letters)
    return plain[:_LONGEST].strip("-") or "model"


def with_program(name: str) -> str:
    """Return the lines that serve a model with this program and ask it."""
    return _SERVE.replace("NAME", name)


def with_tensorflow_serving(name: str) -> str:
    """Return the lines that ask TensorFlow Serving."""
    return _TENSORFLOW_SERVING.replace("NAME", name)
