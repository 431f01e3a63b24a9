"""The formats in which a model leaves: one file each, one signature, one check, one snippet each.

`formats` has the facts, without TensorFlow; `writing` the registry; `checking` the proof that what
was written gives the app's answers, in a fresh process without this package.
"""
