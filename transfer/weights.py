"""Find the weight file of a backbone where Keras keeps it, or download it the way Keras does.

Files are loaded by their path, so that they are found in a folder that cannot be written to, and
at an input size for which there is no file. Importing this module does not import Keras.
"""

import io
import os
import socket
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from transfer import catalog
from transfer.catalog import BackboneSpec
from transfer.errors import BackboneError

if TYPE_CHECKING:
    import keras

Progress = Callable[[int, int], None]  # bytes done, bytes in all (an estimate if not announced)

PROBE_SECONDS = 5.0
_STALL_SECONDS = 60.0  # a download that stands still for this long is given up

_BUILTIN_FOLDER = Path(__file__).with_name("builtin")
_COMMON_SIZE = 224  # the size whose file Keras uses for every size without a file of its own

# Where Keras turns when its own folder cannot be written to (`keras.utils.get_file`).
_FALLBACK = (Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())) / ".keras"

# `keras.applications.efficientnet`: the deviations of the RGB channels of ImageNet.
_EFFICIENTNET_STD = (0.229, 0.224, 0.225)


def folder() -> Path:
    """Return the folder where Keras looks for weights: `$KERAS_HOME/models` or `~/.keras/models`.

    The rule of `keras.src.backend.config`, except that a later change of `KERAS_HOME` counts.
    """
    if chosen := os.environ.get("KERAS_HOME"):
        return Path(chosen).expanduser() / "models"
    home = Path("~").expanduser()
    return (home / ".keras" if os.access(home, os.W_OK) else _FALLBACK) / "models"


def file_name(spec: BackboneSpec, image_size: int) -> str:
    """Return the name of the file that Keras asks for at this input size."""
    return spec.weights_file.replace("{size}", str(_file_size(spec, image_size)))


def locate(spec: BackboneSpec, image_size: int) -> Path | None:
    """Return the file to use at this input size, or None if it is not here.

    That is the file of that size, else the one for 224 pixels: without their classifiers these
    networks are fully convolutional, and their weights fit every input size.
    """
    if spec.name == catalog.BUILTIN:
        return _BUILTIN_FOLDER / spec.weights_file
    for name in dict.fromkeys((file_name(spec, image_size), file_name(spec, _COMMON_SIZE))):
        for place in _places():
            if (place / name).is_file():
                return place / name
    return None


def status(spec: BackboneSpec) -> str:
    """Return "present" if a weight file is here for some input size, else "absent"."""
    return "present" if locate(spec, default_size(spec)) else "absent"


def default_size(spec: BackboneSpec) -> int:
    """Return the input size to use if none is asked for.

    It is the size that the network was trained on; where only files for other sizes are here, the
    largest of those.
    """
    if locate(spec, spec.input_size):
        return spec.input_size
    return max(_sizes_here(spec), default=spec.input_size)


def obtain(spec: BackboneSpec, image_size: int, on_progress: Progress | None = None) -> Path:
    """Return the weight file for this input size, downloading it if it is not here.

    Raises:
        BackboneError: the size is too small, or the file is neither here nor to be had; the
            message names the file and where to put it.
    """
    catalog.check_image_size(spec, image_size)
    if path := locate(spec, image_size):
        return path
    try:
        return _download(spec, image_size, on_progress)
    except Exception as error:  # Keras raises bare exceptions
        raise BackboneError(_missing(spec, image_size, error)) from error


def choose_default(on_progress: Progress | None = None) -> tuple[BackboneSpec, str | None]:
    """Return the backbone to use if none is asked for, and why where it is not the usual one."""
    spec = catalog.backbone(catalog.DEFAULT_BACKBONE)
    try:
        obtain(spec, default_size(spec), on_progress)
    except BackboneError:
        return catalog.backbone(catalog.BUILTIN), (
            f"The built-in backbone is used. {spec.name} does better, but its weights are not here"
            f" and could not be downloaded: put the file '{file_name(spec, spec.input_size)}' into"
            f" the folder '{folder()}' to use it."
        )
    return spec, None


def load_into(network: "keras.Model", path: Path) -> None:
    """Load a weight file into a network that Keras built with `weights=None`.

    Raises:
        BackboneError: the file is damaged or belongs to another network.
    """
    try:
        network.load_weights(path)
    except (OSError, KeyError, ValueError) as error:
        raise BackboneError(
            f"The weight file '{path}' is damaged or belongs to another network than"
            f" {network.name}: {error}. Delete it, so that it is downloaded again, or put the"
            " right one there."
        ) from error
    if network.name.startswith("efficientnetb"):
        _rescale_efficientnet(network)


def _rescale_efficientnet(network: "keras.Model") -> None:
    """Divide the input of EfficientNetB0-B7 by sqrt(std) once more, as in their training.

    Keras has a layer for it, but only under `weights="imagenet"` (its comment refers to TensorFlow
    issue 49930). The same is (x - mean) / sqrt(variance * std) in the normalization layer.
    """
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.adapt_variance.assign(
                layer.adapt_variance * keras.ops.reshape(_EFFICIENTNET_STD, (-1,))
            )
            layer.finalize_state()


def _file_size(spec: BackboneSpec, image_size: int) -> int:
    return image_size if image_size in spec.weights_sizes else _COMMON_SIZE


def _sizes_here(spec: BackboneSpec) -> list[int]:
    return [size for size in spec.weights_sizes if locate(spec, size)]


def _places() -> tuple[Path, ...]:
    usual = folder()
    return (usual,) if os.access(usual.parent, os.W_OK) else (usual, _FALLBACK / "models")


def _writable_place() -> Path:
    """Return the folder for a download: Keras's, or where Keras would turn instead."""
    for place in (folder(), _FALLBACK / "models"):
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(place, os.W_OK):
            return place
    raise OSError(f"neither {folder()} nor {_FALLBACK / 'models'} can be written to")


def _download(spec: BackboneSpec, image_size: int, on_progress: Progress | None) -> Path:
    if spec.weights_url is None:
        raise FileNotFoundError("no address is known for it")
    name = file_name(spec, image_size)
    url = spec.weights_url.replace("{size}", str(_file_size(spec, image_size)))
    size = _probe(url) or int(spec.weight_megabytes * 1e6)
    import keras  # only now: it takes seconds, and is in vain where nothing can be reached

    place = _writable_place()
    # Into a folder of its own first: get_file, when killed, leaves a part under the final name.
    with tempfile.TemporaryDirectory(dir=place, prefix=".download-") as partial:
        report = _Report(Path(partial) / name, size, on_progress)
        with redirect_stdout(report), _stall_limit():
            keras.utils.get_file(
                name, url, cache_dir=partial, cache_subdir="", file_hash=spec.weights_hash
            )
        return (Path(partial) / name).replace(place / name)


def _probe(url: str) -> int:
    """Return the announced size of a file, or 0; raise within seconds if it is out of reach.

    In a thread, because the timeout of a connection does not limit the look-up of its name.
    """
    outcome: list[int | Exception] = []

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS) as answer:
                outcome.append(int(answer.headers.get("Content-Length") or 0))
        except urllib.error.HTTPError as error:
            error.close()
            outcome.append(error)
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    result = outcome[0] if outcome else TimeoutError(f"no answer within {PROBE_SECONDS:.0f} s")
    if isinstance(result, Exception):
        raise result
    return result


@contextmanager
def _stall_limit() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALL_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


class _Report(io.TextIOBase):
    """Stands in for standard output: swallows Keras's progress bar, and reports at each stroke."""

    def __init__(self, path: Path, size: int, on_progress: Progress | None) -> None:
        self._path = path
        self._size = size
        self._on_progress = on_progress

    def write(self, text: str) -> int:
        if self._on_progress and self._path.exists():
            on_progress, self._on_progress = self._on_progress, None  # it may print, too
            done = self._path.stat().st_size
            on_progress(done, max(done, self._size))
            self._on_progress = on_progress
        return len(text)


def _missing(spec: BackboneSpec, image_size: int, error: Exception) -> str:
    reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
    message = (
        f"The weights of {spec.name} are not here and could not be downloaded ({reason})."
        f" Put the file '{file_name(spec, image_size)}' into the folder '{folder()}'"
    )
    if sizes := _sizes_here(spec):
        size = max(sizes)
        message += f", or choose an input size of {size} pixels (--image-size {size}), whose file"
        message += " is here"
    return message + f", or choose the backbone '{catalog.BUILTIN}', which needs no download."
