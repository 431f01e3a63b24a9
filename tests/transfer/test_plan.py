"""Where fine-tuning begins in each network, what stays as it is, and what learns how fast."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import backbones, catalog, pooling, stages
from transfer.backbones import Backbone
from transfer.linear import LinearHead
from transfer.strategies import finetune_few, finetune_many, plan
from transfer.strategies.plan import Plan

SIZE = 75  # the smallest that all networks take
RATE = 1e-3
FEW, MANY = finetune_few.POLICY.frozen_level, finetune_many.POLICY.frozen_level

SLOW = [name for name in catalog.names() if name not in problems.QUICK]


@pytest.fixture(
    scope="module",
    params=[*problems.QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)],
)
def backbone(request: pytest.FixtureRequest) -> Iterator[Backbone]:
    """A network with random weights, thawed by the fixture `planned`."""
    network = problems.build(request.param, SIZE)
    yield Backbone(catalog.backbone(request.param), SIZE, network, Path("none"))
    keras.backend.clear_session()


def _planned(backbone: Backbone, frozen_level: int) -> Plan:
    for layer in backbone.network.layers:
        layer.trainable = True
    chosen = plan.plan(backbone.network, frozen_level)
    plan.freeze(backbone, chosen)
    return chosen


def _learning(network: keras.Model) -> int:
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


def _has_kernels(operation) -> bool:
    return any(len(value.shape) >= 4 for value in getattr(operation, "weights", ()))


def test_few_train_less_than_many_and_both_train_something(backbone):
    _planned(backbone, FEW)
    few = _learning(backbone.network)
    _planned(backbone, MANY)
    many = _learning(backbone.network)
    assert 0 < few < many < backbone.network.count_params()


@pytest.mark.parametrize("level", [FEW, MANY, 1, 5, -4, 99, -99])
def test_the_first_layers_stay_and_the_last_learn(backbone, level):
    chosen = _planned(backbone, level)
    operations = backbone.network.operations
    found = stages.find(backbone.network)
    assert chosen.trained_from <= chosen.top_from < found[-1].place
    # What ends the first level may be a narrower place than its stage, but edges stay edges.
    first = next(place for place, one in enumerate(operations) if _has_kernels(one))
    assert first <= chosen.trained_from
    assert chosen.cut.level >= found[0].level
    assert any(_has_kernels(one) for one in operations[chosen.top_from + 1 :])


@pytest.mark.parametrize("level", [FEW, MANY])
def test_nothing_passes_by_the_cut_and_nothing_before_it_learns(backbone, level):
    chosen = _planned(backbone, level)
    assert any(chosen.cut == one for one in stages.cuts(backbone.network))
    assert chosen.cut.place <= chosen.trained_from
    for place, operation in enumerate(backbone.network.operations):
        if hasattr(operation, "weights") and place <= chosen.trained_from:
            assert operation.trainable_variables == []
        if isinstance(operation, keras.layers.BatchNormalization):
            assert operation.trainable_variables == []


@pytest.mark.parametrize("level", [FEW, MANY])
def test_each_variable_has_one_rate_and_deeper_ones_learn_faster(backbone, level):
    chosen = _planned(backbone, level)
    width = pooling.top(backbone.blocks).width
    head = LinearHead(np.zeros((width, 2), np.float32), np.zeros(2, np.float32), 1.0, 1.0, 0.0)
    parts = backbones.halves(backbone, chosen.cut, head, dropout=0.0)
    rates, default = plan.rates(backbone, chosen, RATE)
    top = {
        id(variable)
        for operation in backbone.network.operations[chosen.top_from + 1 :]
        for variable in getattr(operation, "trainable_variables", ())
    }
    seen = {"head": 0, "top": 0, "middle": 0}
    for variable in parts.whole.trainable_variables:
        matching = [rate for path, rate in rates.items() if re.fullmatch(path, variable.path)]
        assert len(matching) <= 1, variable.path
        rate = matching[0] if matching else default
        if variable.path.startswith(f"{backbones.HEAD}/"):
            seen["head"] += 1
            assert rate == RATE
        elif id(variable) in top:
            seen["top"] += 1
            assert rate == pytest.approx(RATE / 10)
        else:
            seen["middle"] += 1
            assert rate == pytest.approx(RATE / 100)
    assert seen["head"] == 2
    assert seen["top"] > 0
    assert (seen["middle"] > 0) == (chosen.top_from > chosen.trained_from)
    if level == MANY:
        assert seen["middle"] > 0
