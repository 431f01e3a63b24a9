"""Random search for the settings of a fine-tuning: coarse, then fine, on Optuna.

Random, never a grid: each trial tries another value of every setting, so that those which matter
are tried as often as there are trials (Bergstra and Bengio 2012).
"""
