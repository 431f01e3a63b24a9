"""Page runs: under way."""

from app import frame

frame.title("runs", "Under way.")
