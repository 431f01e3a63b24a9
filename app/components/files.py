"""The scripts and style sheets of the components, read from beside them."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def joined(*names: str) -> str:
    """Return files as one, in this order."""
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)
