"""What may be wrong with a data set, and how to tell."""
