"""Several classifiers that answer together: which, with what weight, as one Keras model.

`planning` says what an ensemble is made of, `pool` makes members from cached features, `tuning` and
`retraining` those that train a network, `finished` takes finished runs, `choosing` weights them,
`assembling` builds the one model, `building` is the whole flow.
"""
