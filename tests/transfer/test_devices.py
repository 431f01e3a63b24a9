"""What a machine's devices are used for, chosen in one place."""

import pytest
import tensorflow as tf

from transfer import devices
from transfer.devices import Acceleration

ONE, TWO = ["/device:GPU:0"], ["/device:GPU:0", "/device:GPU:1"]


def test_on_a_cpu_all_of_it_stays_off():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    devices.prepare()
    assert devices.acceleration() == Acceleration(("/device:CPU:0",), "float32", xla=False)
    assert devices.acceleration().plain


@pytest.mark.parametrize(
    ("capability", "precision"),
    [
        ((6, 1), "float32"),  # Pascal
        ((7, 0), "mixed_float16"),  # Volta
        ((7, 5), "mixed_float16"),  # Turing
        ((8, 0), "mixed_bfloat16"),  # Ampere
        ((9, 0), "mixed_bfloat16"),  # Hopper
        ((0, 0), "float32"),  # it does not say
    ],
)
def test_a_card_computes_in_the_half_precision_that_it_has(capability, precision):
    assert devices.suited(ONE, [capability]) == Acceleration(tuple(ONE), precision, xla=True)


def test_several_cards_share_batches_at_what_the_weakest_can():
    found = devices.suited(TWO, [(9, 0), (7, 5)])
    assert found == Acceleration(tuple(TWO), "mixed_float16", xla=False)
    assert not found.plain


def test_several_virtual_cpus_share_batches_in_full_precision():
    found = devices.suited(["/device:CPU:0", "/device:CPU:1"], [])
    assert (found.precision, found.xla, found.plain) == ("float32", False, False)


def test_cards_are_asked_what_they_can_and_take_memory_as_needed(monkeypatch):
    growing: list[object] = []
    cards = [tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")]
    logical = [tf.config.LogicalDevice("/device:GPU:0", "GPU")]
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind=None: cards if kind == "GPU" else []
    )
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind=None: logical if kind == "GPU" else []
    )
    experimental = tf.config.experimental
    monkeypatch.setattr(
        experimental, "get_device_details", lambda _: {"compute_capability": (8, 6)}
    )
    monkeypatch.setattr(
        experimental, "set_memory_growth", lambda card, on: growing.append((card, on))
    )
    assert devices.prepare() == 1
    assert growing == [(cards[0], True)]
    assert devices.acceleration() == Acceleration(("/device:GPU:0",), "mixed_bfloat16", xla=True)
