"""Page results: under way."""

from app import frame

frame.title("results", "Under way.")
