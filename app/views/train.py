"""Page train: under way."""

from app import frame

frame.title("train", "Under way.")
