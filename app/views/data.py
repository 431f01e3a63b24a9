"""Page data: under way."""

from app import frame

frame.title("data", "Under way.")
