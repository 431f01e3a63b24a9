"""Turn a small set of labelled pictures into an honestly measured Keras classifier.

Importing this package is instant: TensorFlow is loaded only by the modules that train or predict.
"""

__version__ = "0.1.0"
