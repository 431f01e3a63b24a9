"""`python -m transfer`: set the environment before TensorFlow is loaded, then hand over."""

import gc
import os
import sys

# TensorFlow leaves its oneDNN kernels off on some CPUs; there they are about three times as fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from transfer import cli

if __name__ == "__main__":
    status = cli.main()
    gc.freeze()  # nothing is left to collect: looking through all of TensorFlow took a second
    sys.exit(status)
