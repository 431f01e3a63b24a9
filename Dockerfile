# The workbench in an image: for a GPU host by default, for any other with VARIANT=cpu.
#
#   docker build -t transfer-workbench .
#   docker build -t transfer-workbench:cpu --build-arg VARIANT=cpu .
#
# WEIGHTS lists the backbones whose weights go into the image, e.g. "MobileNetV2 ResNet50", or "".
# No RUN heredocs and no COPY --link: scripts/build_image.sh builds this with buildah 1.28, too.
ARG PYTHON_IMAGE=python:3.11-slim

# --- the packages, in a virtual environment ---
FROM ${PYTHON_IMAGE} AS packages
ARG VARIANT=gpu
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /build
COPY requirements.txt requirements-gpu.txt ./
RUN case "$VARIANT" in \
        gpu) file=requirements-gpu.txt ;; \
        cpu) file=requirements.txt ;; \
        *) echo "VARIANT is 'gpu' or 'cpu', not '$VARIANT'" >&2; exit 2 ;; \
    esac \
    && python3 -m venv /opt/venv \
    && pip install --no-cache-dir --disable-pip-version-check -r "$file"

# --- the weights; only what finds them is copied, so that other changes download nothing anew ---
FROM packages AS weights
ARG WEIGHTS="MobileNetV2"
ENV KERAS_HOME=/opt/keras
COPY transfer/__init__.py transfer/errors.py transfer/catalog.py transfer/catalog.json \
     transfer/weights.py transfer/
COPY scripts/bake_weights.py scripts/
# hadolint ignore=SC2086 # one argument a word is meant
RUN mkdir -p "$KERAS_HOME/models" && python -m scripts.bake_weights ${WEIGHTS}

# --- the image ---
FROM ${PYTHON_IMAGE}
# hadolint ignore=DL3008 # Debian keeps one version of tini a release
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --no-log-init --uid 10001 --user-group --create-home app \
    && install -d -o 10001 -g 10001 /data /data/models /runs
COPY --from=packages /opt/venv /opt/venv
# The user may write here: Keras ignores a KERAS_HOME that it cannot write to, and more backbones
# can be downloaded. It is outside the volumes, which would hide what the image holds.
COPY --from=weights --chown=10001:10001 /opt/keras /opt/keras
WORKDIR /app
COPY transfer transfer
COPY app app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KERAS_HOME=/opt/keras \
    TRANSFER_HOME=/data \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
# /data: all that the app keeps. /data/models: published models, which TensorFlow Serving reads.
# /runs: runs and exported models of the command line.
VOLUME ["/data", "/data/models", "/runs"]
EXPOSE 8501
# Python's own client: the image has no curl.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
# tini passes signals on and reaps; `app` is the app, `transfer COMMAND` the command line.
ENTRYPOINT ["tini", "--", "python", "-m"]
# 0.0.0.0 is the container's network; who may reach it from outside is for `docker run -p` to say.
CMD ["app", "--address", "0.0.0.0", "--no-browser"]
