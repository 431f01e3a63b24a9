"""The stages cover each network of the catalog in order, and nothing passes by them."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import catalog, stages

PASSED_BY = ("NASNetMobile", "NASNetLarge")  # two feature maps at a time are handed on


def _named(names: tuple[str, ...]) -> list:
    quick = [name for name in names if name in problems.QUICK]
    slow = [pytest.param(name, marks=pytest.mark.slow) for name in names if name not in quick]
    return [*quick, *slow]


@pytest.fixture(scope="module", params=_named(catalog.names()))
def built(request: pytest.FixtureRequest) -> Iterator[tuple[str, keras.Model]]:
    """A network with random weights, at the size that it was trained on."""
    name = request.param
    yield name, problems.build(name, catalog.backbone(name).input_size)
    keras.backend.clear_session()


def _parents(operation) -> list:
    """Return the operations whose results this one was given, as Keras' own records have it."""
    given: list[Any] = [
        tensor for node in operation._inbound_nodes for tensor in node.input_tensors
    ]
    return [tensor._keras_history.operation for tensor in given]


def _is_passed_by(network: keras.Model, operation) -> bool:
    """Whether a path from the output back to the picture is left without this operation."""
    inside = {id(one) for one in network.operations}
    output: Any = network.output
    waiting = [output._keras_history.operation]
    seen: set[int] = set()
    while waiting:
        here = waiting.pop()
        if here is operation or id(here) in seen or id(here) not in inside:
            continue
        if isinstance(here, keras.layers.InputLayer):
            return True
        seen.add(id(here))
        waiting += _parents(here)
    return False


def _check(network: keras.Model, size: int, found: tuple[stages.Stage, ...], whole: bool) -> None:
    assert 3 <= len(found) <= 6
    assert [stage.number for stage in found] == list(range(1, len(found) + 1))
    for one, other in itertools.pairwise(found):
        assert one.place < other.place
        assert one.level < other.level
        assert one.tensor.shape[1] > other.tensor.shape[1]
    assert found[-1].tensor is network.output
    assert found[0].level >= 1  # a quarter of the pixels at most: it has seen something
    for stage in found:
        assert network.operations[stage.place].name == stage.layer
        assert network.operations[stage.place].output is stage.tensor
        assert stage.channels == stage.tensor.shape[-1]
        assert stage.level == pytest.approx(np.log2(size / stage.tensor.shape[1]), abs=0.6)
        if whole:
            assert not _is_passed_by(network, network.operations[stage.place]), stage.layer


def test_the_stages_cover_the_network_in_order(built):
    name, network = built
    found = stages.find(network)
    _check(network, catalog.backbone(name).input_size, found, whole=name not in PASSED_BY)
    # They reach from a half or a quarter of the side to the end, in halvings without a gap.
    levels = [stage.level for stage in found]
    assert levels[0] <= 2
    assert levels == list(range(levels[0], levels[-1] + 1))
    passed_by = [_is_passed_by(network, network.operations[stage.place]) for stage in found]
    assert any(passed_by) == (name in PASSED_BY)
    assert not passed_by[-1]


def test_cuts_are_all_places_that_nothing_passes_by(built):
    _, network = built
    cuts = stages.cuts(network)
    assert [cut.number for cut in cuts] == list(range(1, len(cuts) + 1))
    left_out = (keras.layers.InputLayer, keras.layers.ZeroPadding2D, keras.layers.Dropout)
    expected = [
        place
        for place, operation in enumerate(network.operations)
        if not isinstance(operation, left_out) and not _is_passed_by(network, operation)
    ]
    assert [cut.place for cut in cuts] == expected
    assert cuts[-1].tensor is network.output


@pytest.mark.parametrize("name", ["builtin", "MobileNetV2", "ConvNeXtTiny"])
def test_the_smallest_pictures_have_stages_too(name):
    size = catalog.backbone(name).min_size
    network = problems.build(name, size)
    _check(network, size, stages.find(network), whole=True)


@pytest.mark.parametrize("name", ["builtin", "MobileNetV2"])
def test_what_follows_a_cut_needs_nothing_but_its_tensor(name):
    network = problems.build(name, 64)
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    expected = np.asarray(network(pictures, training=False))
    cuts = stages.cuts(network)
    for cut in (cuts[0], cuts[len(cuts) // 2], cuts[-2]):
        below = keras.Model(network.input, cut.tensor)
        above = keras.Model(cut.tensor, network.output)  # Keras refuses if something passes by
        got = np.asarray(above(below(pictures, training=False), training=False))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_bypass_is_seen_however_long_it_is():
    inputs = keras.Input((32, 32, 3))
    first = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="first")(inputs)
    beside = keras.layers.Conv2D(4, 1, strides=4, name="beside")(first)
    inner = first
    for number in range(3):
        inner = keras.layers.Conv2D(4, 3, padding="same", name=f"inner_{number}")(inner)
    down = keras.layers.Conv2D(4, 3, strides=4, padding="same", name="down")(inner)
    joined = keras.layers.Add(name="joined")([down, beside])
    network = keras.Model(inputs, keras.layers.ReLU(name="last")(joined))
    assert [cut.layer for cut in stages.cuts(network)] == ["first", "joined", "last"]
    assert [stage.layer for stage in stages.find(network)] == ["first", "last"]
