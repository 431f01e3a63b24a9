"""Page use: under way."""

from app import frame

frame.title("use", "Under way.")
