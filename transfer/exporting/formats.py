"""The formats for taking a model away: facts that the command line, the page and the files share.

What each takes is exact: whoever uses a model without our snippet needs to do no more, and no less,
than `remains` says.
"""

from dataclasses import dataclass

from transfer.errors import SettingsError

_DECODE = (
    "Decode the file: JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF, to RGB in 8 bits"
    " (of 16 bits the upper 8).",
    "Turn it upright as its EXIF orientation says.",
    "Put transparent parts on white.",
    "If its shorter side has 960 pixels or more, divide the shorter side by 480, round down to k,"
    " and average blocks of k x k pixels.",
)
_RESIZE = (
    "Resize to {size} x {size} pixels, the aspect ratio not kept: bilinear, antialiased where the"
    " picture shrinks (the triangle is as wide as the scale); round to whole numbers.",
)


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: on the command line, in addresses and in file names.
        title: as people write it.
        file: the model in the exported folder; "" is the folder itself.
        purpose: what it is good for, as the end of "for ...".
        why: a paragraph for who does not know the format.
        packages: what its snippet needs, as pip names it.
        takes: the model's input, in words.
        remains: the preprocessing left to whoever uses the model without the snippet, in order.
        exact: whether it computes in float32 and must give the same answers.
    """

    name: str
    title: str
    file: str
    purpose: str
    why: str
    packages: tuple[str, ...]
    takes: str
    remains: tuple[str, ...] = ()
    exact: bool = True


FORMATS = (
    Format(
        "savedmodel",
        "SavedModel",
        "",
        "a server or your own program",
        "TensorFlow's format. It takes the bytes of picture files and does everything else itself:"
        " for TensorFlow Serving, or a Python program with TensorFlow.",
        ("tensorflow",),
        "image_bytes: strings [n], the bytes of picture files (JPEG, PNG, WebP, BMP or GIF).",
    ),
    Format(
        "keras",
        "Keras",
        "model.keras",
        "going on with it in Keras",
        "One file for Python programs with Keras 3, on TensorFlow, JAX or PyTorch: to look inside,"
        " to train on, to build something else from it.",
        ("keras", "tensorflow", "pillow"),
        "pictures [n, height, width, 3], RGB, 0-255, of one size.",
        _DECODE,
    ),
    Format(
        "litert",
        "LiteRT",
        "model.tflite",
        "a phone or a small computer",
        "The format of LiteRT (TensorFlow Lite until 2024): for Android, iOS and a Raspberry Pi."
        " It answers as exactly as the model here.",
        ("ai-edge-litert", "numpy", "pillow"),
        "images: uint8 [1, height, width, 3], RGB, of any size.",
        _DECODE,
    ),
    Format(
        "litert-int8",
        "LiteRT, 8 bits",
        "model.tflite",
        "a phone, four times smaller",
        "LiteRT in whole numbers of 8 bits: a quarter of the size and faster on phones and on chips"
        " that know nothing else. Its answers differ a little, so both accuracies are shown.",
        ("ai-edge-litert", "numpy", "pillow"),
        "images: uint8 [1, {size}, {size}, 3], RGB.",
        (*_DECODE, *_RESIZE),
        exact=False,
    ),
    Format(
        "onnx",
        "ONNX",
        "model.onnx",
        "other languages and web pages",
        "The format that most others read: ONNX Runtime runs it from C++, C#, Java and JavaScript,"
        " on all systems and in a browser.",
        ("onnxruntime", "numpy", "pillow"),
        "images: uint8 [n, height, width, 3], RGB, of one size.",
        _DECODE,
    ),
)
NAMES = tuple(one.name for one in FORMATS)
DEFAULT = "savedmodel"


def named(name: str) -> Format:
    """Return the format of this name.

    Raises:
        SettingsError: there is none.
    """
    for one in FORMATS:
        if one.name == name:
            return one
    raise SettingsError(f"There is no format '{name}'. Choose one of: {', '.join(NAMES)}.")


def outcome(name: str) -> str:
    """Return the name under which a run keeps how an export of this format went."""
    return "export" if name == DEFAULT else f"export-{name}"
