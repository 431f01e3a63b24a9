"""How much is taken in at most, and how long is waited: the numbers of the serving process."""

from dataclasses import dataclass

from transfer import bounds

PORT = 8502
ADDRESS = "127.0.0.1"
IDLE_SECONDS = 600.0  # of rest, after which the process of the app leaves

# Above this after an answer, models are dropped, and at last the process of the app leaves. In
# between it may take more: 1600 MB on top for the largest picture that is read (100 million pixels,
# transparent; one large picture is read at a time), the bodies of requests, and 2600 MB while the
# largest network (ConvNeXtXLarge) loads. With that one alone it takes 2600 MB; with MobileNetV2
# 900, of which TensorFlow itself takes 690.
MOST_MEMORY_MB = 3000
MOST_MODELS = 3

MOST_UPLOAD_MB = 64  # of one picture
MOST_REQUEST_MB = 256  # of all pictures of a request
MOST_PICTURES = 32  # of a request
MOST_BODIES_MB = 512  # of all requests that are being read or answered
MOST_REQUESTS = 128  # being read or answered, or waiting for room
SECONDS_TO_SEND = 30.0  # for a whole request
SECONDS_FOR_ROOM = 10.0  # until a request is told to come back later
SECONDS_TO_END = 10.0  # for what is being answered when the process is told to end

LARGE_PIXELS = 16_000_000  # pictures from this size on are decoded one at a time


@dataclass(frozen=True)
class Batching:
    """How pictures are put together: at most `most`, waited for at most `milliseconds`.

    Raises:
        SettingsError: one of them is out of range.
    """

    most: int = 32
    milliseconds: float = 5.0

    def __post_init__(self) -> None:
        bounds.within("batch", self.most, 1, 1024, "pictures")
        bounds.within("wait", self.milliseconds, 0, 10_000, "milliseconds")
