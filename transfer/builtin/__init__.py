"""The built-in backbone: a small network that needs no download, and what it was trained on."""
