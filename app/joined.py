"""What a result says of the members of an ensemble, looked through where it is from elsewhere."""

from typing import Any

from app import shapes
from app.shapes import expect

_ENSEMBLE = {
    "members": [
        {"name": str, "weight": float, "validation": shapes.ACCURACY,
         "test": (shapes.ACCURACY, None), "milliseconds": (float, None), "megabytes": (float, None)}
    ],
    "gain": {"points": float, "low": float, "high": float, "p": float,
             "only_ensemble": int, "only_member": int},
    "best": int, "part": str, "milliseconds": float, "megabytes": float, "chosen_by": int,
    "networks": [str], "left_out": [str],
}  # fmt: skip


def check(result: dict[str, Any]) -> list[Any]:
    """Check what is said of the members of an ensemble, where there is that; return the shares.

    Raises:
        SuspiciousError: it is not as this app writes it.
    """
    block = result.get("ensemble")
    if block is None:
        return []
    shapes.check(block, _ENSEMBLE, "result.json")
    members, part = block["members"], block["part"]
    expect(part in ("test", "validation") and bool(result.get(part)), "its members are others")
    expect(0 <= block["best"] < len(members), "its members are others")
    shares = [one[name] for one in members for name in ("validation", "test")]
    return [share for share in shares if share is not None]
