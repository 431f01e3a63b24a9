"""The one sentence for a setting that is out of range."""

from transfer.errors import SettingsError


def within(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Check that a setting lies between two values, both allowed.

    Raises:
        SettingsError: it does not, or is not a number.
    """
    if not low <= value <= high:
        raise SettingsError(
            f"{name} should be between {low} and {high} {unit}".rstrip()
            + f", but is {value}. Choose a value in that range."
        )
