"""The rows in the table of bench.py."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from lookbook.settings import Settings

from benchmarks.errors import BenchmarkError

_ROOT = Path(__file__).parent.parent
_MLP = _ROOT / "models/fashion-mnist-mlp/2.2.0"
_CLOTHES = _ROOT / Settings().model


@dataclass(frozen=True, slots=True)
class Sample:
    """An image and the model that classifies it."""

    name: str
    image: Path
    model: Path


@dataclass(frozen=True, slots=True)
class Case:
    """A store, a sample, and whether thumbnails are stored."""

    store: str
    sample: Sample
    thumbnails: bool

    @property
    def name(self) -> str:
        return f"{self.store}, {self.sample.name}, thumbnails {'on' if self.thumbnails else 'off'}"


SMALL = Sample("28x28 PNG", _MLP / "golden/fashion-8.png", _MLP)
PHOTO = Sample("640x480 JPEG", _ROOT / "benchmarks/photo.jpg", _CLOTHES)


def cases(stores: list[str], only: str) -> list[Case]:
    """Cases whose name contains `only`. Raises BenchmarkError if there is none."""
    every = [Case(*parts) for parts in product(stores, (SMALL, PHOTO), (False, True))]
    selected = [case for case in every if only in case.name]
    if not selected:
        raise BenchmarkError(f"no row has a name that contains '{only}'")
    return selected
