"""The four cells are those of the catalog, and everything that can be asked for has a name."""

import pytest

from app import ways
from transfer import catalog
from transfer.errors import SettingsError


def test_the_cells_are_the_four_strategies():
    assert [cell.strategy for cell in ways.CELLS] == [spec.name for spec in catalog.STRATEGIES]
    assert {(cell.similar, cell.little) for cell in ways.CELLS} == {
        (True, True), (True, False), (False, True), (False, False)
    }  # fmt: skip


def test_each_request_has_a_name():
    names = [ways.named(spec.name) for spec in catalog.REQUESTS]
    assert len(set(names)) == len(names) == 6
    with pytest.raises(SettingsError):
        ways.named("other")


def test_which_let_the_network_learn():
    tuned = {spec.name: ways.tunes(spec.name) for spec in catalog.REQUESTS}
    assert tuned == {
        "auto": True, "all": True, "linear_top": False, "linear_stages": False,
        "finetune_few": True, "finetune_many": True,
    }  # fmt: skip
