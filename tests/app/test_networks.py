"""The networks as the Advice page offers them, with and without weights on the machine."""

import pytest

from app import networks
from tests.app.conftest import put_weights
from transfer import catalog


def test_without_any_weights_the_built_in_network_is_recommended(keras_home):
    assert networks.recommended().name == catalog.BUILTIN
    every = networks.offers()
    assert [offer.spec.name for offer in every if offer.here] == [catalog.BUILTIN]
    assert [offer.spec.name for offer in every if offer.recommended] == [catalog.BUILTIN]
    assert [offer.title for offer in every if offer.recommended] == ["Built-in"]
    for offer in every:
        if not offer.here:
            assert offer.weight_words.startswith("download of ")
            assert offer.weight_words.endswith(" MB at the start")


def test_the_default_is_recommended_where_its_weights_are(keras_home):
    put_weights(catalog.DEFAULT_BACKBONE)
    assert networks.recommended().name == catalog.DEFAULT_BACKBONE
    chosen = [offer for offer in networks.offers() if offer.recommended]
    assert [offer.spec.name for offer in chosen] == [catalog.DEFAULT_BACKBONE]
    assert chosen[0].here
    assert chosen[0].weight_words == "on this machine"


def test_all_networks_are_offered_once_from_small_to_large(keras_home):
    every = networks.offers()
    assert sorted(offer.spec.name for offer in every) == sorted(catalog.names())
    sizes = [offer.spec.parameters for offer in every]
    assert sizes == sorted(sizes)
    assert len({offer.title for offer in every}) == len(every)


@pytest.mark.parametrize("chosen", catalog.names())
def test_the_first_choice_is_short_and_holds_what_is_chosen(keras_home, chosen):
    every = networks.offers()
    few = [offer.spec.name for offer in networks.first_choice(every, chosen)]
    assert chosen in few
    assert catalog.BUILTIN in few
    assert networks.recommended().name in few
    assert len(few) == len(set(few)) == 6  # whole rows of cards
    assert few == [offer.spec.name for offer in every if offer.spec.name in few]
