"""How to ask a model over HTTP, once it has been taken away: lines to paste."""

import streamlit as st

_SERVE = """\
python -m transfer serve fruit=FOLDER
curl --data-binary @photo.jpg http://127.0.0.1:8502/models/fruit/predict"""

# Through a pipe: a picture is longer than what a command line holds.
TENSORFLOW_SERVING = """\
(printf '{"instances": [{"b64": "'; base64 < photo.jpg | tr -d '\\n'; printf '"}]}') \\
  | curl -d @- http://127.0.0.1:8511/v1/models/fruit:predict"""


def over_http() -> None:
    """Show the lines, for this program and for TensorFlow Serving."""
    st.markdown(
        "**Over HTTP, with this program**: `FOLDER` is the unpacked zip, `fruit` the name by which"
        " it is asked. It answers on this machine only; `/docs` says what else can be asked."
    )
    st.code(_SERVE, language="sh")
    st.markdown(
        "**With TensorFlow Serving**: put the folder at `models/fruit/1` and start"
        " `tensorflow_model_server --rest_api_port=8511 --model_name=fruit"
        ' --model_base_path="$PWD/models/fruit"`, or use `docker compose --profile serving up'
        " serving` with `python -m transfer publish` (see the README). Several versions of a model"
        " can stand side by side: `models/fruit/2` takes over when it is there."
    )
    st.code(TENSORFLOW_SERVING, language="sh")
