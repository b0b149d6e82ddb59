"""Where things are: the repository, the bundles, the test images, the test Cassandra."""

import os
from pathlib import Path

from lookbook.settings import Settings

ROOT = Path(__file__).parent.parent.parent
MLP = ROOT / "models/fashion-mnist-mlp/2.2.0"
CLOTHES = ROOT / Settings().model
UINT8 = ROOT / "tests/data/uint8"
PHOTOS = ROOT / "tests/data/photos"
GOLDEN = sorted((MLP / "golden").glob("*.png"))
BAG = MLP / "golden/fashion-8.png"
CHART = ROOT / "charts/lookbook"

CONTAINER = os.environ.get("CASSANDRA_NAME", "lookbook-cassandra")
CASSANDRA_PORT = int(os.environ.get("CASSANDRA_PORT", "9042"))
