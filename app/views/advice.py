"""Page advice: under way."""

from app import frame

frame.title("advice", "Under way.")
