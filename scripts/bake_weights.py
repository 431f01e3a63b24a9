"""Put the weights of the named backbones where Keras looks for them; used by the Dockerfile.

python -m scripts.bake_weights [BACKBONE ...]
"""

import argparse
import sys
from collections.abc import Sequence

from transfer import catalog, weights
from transfer.errors import TransferError


def main(arguments: Sequence[str] | None = None) -> int:
    """Obtain the weight files one by one; return the exit status."""
    parser = argparse.ArgumentParser(description="Download the weights of backbones.")
    parser.add_argument("names", nargs="*", metavar="BACKBONE", help="e.g. MobileNetV2, or none")
    try:
        specs = [catalog.backbone(name) for name in parser.parse_args(arguments).names]
        for spec in specs:
            path = weights.obtain(spec, weights.default_size(spec))
            print(f"{spec.name}: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    except TransferError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
