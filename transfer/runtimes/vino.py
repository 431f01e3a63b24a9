"""A Keras model run by OpenVINO on the CPU."""

import importlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from transfer import devices
from transfer.runtimes import graphs
from transfer.runtimes.base import Extractor, Outputs

_IN_FLIGHT = 32  # pictures that are computed or wait for it: bounds the memory


@dataclass(frozen=True)
class _Flight:
    """A picture that is being computed, and the row of the outputs that it is for."""

    request: Any
    outputs: Outputs
    row: int

    def land(self) -> None:
        self.request.wait()
        for number, values in enumerate(self.outputs):
            values[self.row] = self.request.get_output_tensor(number).data[0]


class OpenVinoExtractor(Extractor):
    """Keeps many requests of one picture each in flight.

    So there is nothing to pad, each core works in its own cache, and it was as fast as requests of
    more pictures for each network that was measured.
    """

    name = "openvino"

    def __init__(self, compiled: Any, precision: str) -> None:
        self.precision = precision
        self._compiled = compiled
        self._shapes = [tuple(output.shape)[1:] for output in compiled.outputs]
        self._most = max(_IN_FLIGHT, 2 * devices.cpus())
        self._idle: list[Any] = []

    def stream(self, batches: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """Yield the outputs of each batch, in order; the last of the next are computed meanwhile.

        Raises:
            TypeError: a batch is not of type uint8.
        """
        flying: deque[_Flight] = deque()
        started: deque[Outputs] = deque()
        try:
            for batch in batches:
                started.append(self._start(batch, flying))
                if len(started) > 1:
                    yield self._finish(started.popleft(), flying)
            while started:
                yield self._finish(started.popleft(), flying)
        finally:  # the caller may have stopped early
            while flying:
                self._land(flying)

    def _start(self, batch: np.ndarray, flying: deque[_Flight]) -> Outputs:
        if batch.dtype != np.uint8:  # OpenVINO would cut digits off without a word
            raise TypeError(f"Expected pictures of type uint8; received {batch.dtype}.")
        outputs = tuple(np.empty((len(batch), *shape), np.float32) for shape in self._shapes)
        for row in range(len(batch)):
            if len(flying) >= self._most:
                self._land(flying)
            request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
            request.start_async({0: batch[row : row + 1]})
            flying.append(_Flight(request, outputs, row))
        return outputs

    def _finish(self, outputs: Outputs, flying: deque[_Flight]) -> Outputs:
        while flying and flying[0].outputs is outputs:
            self._land(flying)
        return outputs

    def _land(self, flying: deque[_Flight]) -> None:
        flight = flying.popleft()
        flight.land()
        self._idle.append(flight.request)


@dataclass(frozen=True)
class Converted:
    """A model in OpenVINO's form, for one picture; `half` is the CPU's half precision, if any."""

    compiled: Callable[[str], OpenVinoExtractor]
    half: str | None


def convert(model: keras.Model, shape: tuple[int, ...]) -> Converted:
    """Return the model for pictures of this shape (height, width, 3).

    Raises:
        ImportError: OpenVINO is not installed.
        Exception: it cannot take the model.
    """
    openvino = _openvino()
    graph = graphs.traced(model, (1, *shape))
    converted = openvino.convert_model(graph, share_weights=False)  # the model may change or go
    # Functions that define their gradient leave outputs of their own in the graph: 49 in
    # EfficientNetB0, which then took 2.6 times as long.
    wanted = [converted.output(tensor.name) for tensor in graph.outputs]
    network = openvino.Model(wanted, converted.get_parameters())
    core = openvino.Core()

    def compiled(precision: str) -> OpenVinoExtractor:
        kind = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}[precision]
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": kind,  # otherwise bf16 wherever the CPU has it
            "INFERENCE_NUM_THREADS": devices.cpus(),
            "ENABLE_CPU_PINNING": False,  # the decoding and other processes need cores, too
        }
        return OpenVinoExtractor(core.compile_model(network, "CPU", settings), precision)

    can = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    half = "float16" if "FP16" in can else "bfloat16" if "BF16" in can else None
    return Converted(compiled, half)


def _openvino() -> Any:
    # OpenVINO tells its maker of each import and conversion, unless this package is not there.
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]
    return importlib.import_module("openvino")
