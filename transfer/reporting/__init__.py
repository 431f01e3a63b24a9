"""A finished run on paper: its report as one HTML or PDF file, and the card of its model."""
