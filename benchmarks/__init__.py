"""Accuracy and speed, measured: each script prints one JSON object."""
