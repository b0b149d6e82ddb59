"""A bundle's model card: figures by label, confusion matrices, images of right and wrong predictions."""

import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from lookbook.model.bundle import Bundle
from matplotlib import pyplot
from PIL import Image, ImageOps

from training.evaluate import TITLES, Predictions, by_label, table

mpl.use("Agg")
_SHOWN = 12
_PREVIEW = 128
_POOR = 0.8


def confusion(predictions: Predictions, title: str, target: Path) -> None:
    """Draw, for each label (rows), the percentage of its images that were given each label (columns)."""
    labels = predictions.labels
    counts = np.zeros((len(labels), len(labels)))
    for rights, best in zip(predictions.rights, predictions.best, strict=True):
        # If several labels are right and none was given, count the first.
        counts[labels.index(best if best in rights else rights[0]), labels.index(best)] += 1
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = pyplot.subplots(figsize=(8, 7.5), layout="constrained")
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.5:
            color = "white" if value > 55 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=color)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(
        range(len(labels)), [f"{name} ({count:.0f})" for name, count in zip(labels, counts.sum(axis=1), strict=True)]
    )
    axes.set(xlabel="predicted label", ylabel="right label (images)", title=f"{title}, percent of each row")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=75)
    pyplot.close(figure)
    # Few colors take a third of the bytes, and each pod pulls them.
    Image.open(drawn).convert("RGB").quantize(32).save(target, optimize=True)


def sheet(predictions: Predictions, target: Path) -> None:
    """Draw images with right predictions, chosen at random, and the wrong predictions with the highest scores."""
    best, tops, right = predictions.best, predictions.tops, predictions.right
    some = np.random.default_rng(0).permutation(np.flatnonzero(right))[:_SHOWN]
    worst = sorted(np.flatnonzero(~right), key=lambda i: -tops[i])[:_SHOWN]
    figure, axes = pyplot.subplots(4, _SHOWN // 2, figsize=(11, 8.6), layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    # The first two rows are for right predictions, the last two for wrong ones; unused places stay empty.
    for axis, i in [*zip(axes[:2].flat, some, strict=False), *zip(axes[2:].flat, worst, strict=False)]:
        image = ImageOps.exif_transpose(Image.open(predictions.paths[i])).convert("RGB")
        image.thumbnail((_PREVIEW, _PREVIEW))
        axis.imshow(image)
        title = f"{best[i]} {tops[i]:.2f}"
        axis.set_title(title if right[i] else f"{title}\nright: {' or '.join(predictions.rights[i])}", fontsize=8)
    heading = "Above: right predictions, chosen at random. Below: the wrong predictions with the highest scores."
    figure.suptitle(heading, fontsize=10)
    figure.savefig(target, dpi=75, pil_kwargs={"quality": 72})
    pyplot.close(figure)


def weak(sets: Mapping[str, Predictions]) -> list[str]:
    """A sentence for each set of TITLES, with the labels that are right for less than 80% of their images."""
    sentences = []
    for name, title in TITLES.items():
        found = sets[name].by_label().items() if name in sets else ()
        poor = [f"{label} ({share:.0%})" for label, (share, _) in found if share < _POOR]
        if poor:
            sentences.append(f"Below {_POOR:.0%} on the {title}: {', '.join(poor)}.")
    return sentences


def mistakes(predictions: Predictions) -> str:
    """The most frequent mistakes of a set, as a Markdown list."""
    pairs = zip(predictions.rights, predictions.best, strict=True)
    counts = Counter((" or ".join(rights), best) for rights, best in pairs if best not in rights)
    return "\n".join(
        f"- {right} predicted as {best}: {count} of {len(predictions.rights)}"
        for (right, best), count in counts.most_common(6)
    )


def write_card(bundle: Bundle, sets: Mapping[str, Predictions], metrics: Mapping[str, Any], target: Path) -> list[Path]:
    """Write README.md and its images to the folder `target`; returns their paths."""
    written = [target / "README.md"]
    written[0].write_text(_text(bundle, sets, metrics))
    for name, title in TITLES.items():
        if name in sets:
            written.append(target / f"confusion-{name}.png")
            confusion(sets[name], title, written[-1])
            if sets[name].paths:
                written.append(target / "answers.jpg")
                sheet(sets[name], written[-1])
    return written


def _text(bundle: Bundle, sets: Mapping[str, Predictions], metrics: Mapping[str, Any]) -> str:
    manifest: Any = bundle.manifest
    spec = bundle.input
    parts = [
        f"# {bundle.name} {bundle.version}",
        f"{len(bundle.labels)} labels: {', '.join(bundle.labels)}. Input {spec.height}x{spec.width} {spec.color}, "
        f"{bundle.model.stat().st_size / 1e6:.1f} MB, built on {manifest['created_at'][:10]} with `make train` (see "
        "`training/README.md`).",
        f"License: {manifest['license']}.",
        "## Figures",
        "Measured by `python -m training.evaluate` through the code that serves. None of these images, and no image by "
        "these senders, was used in training.",
        table(metrics),
        by_label(sets),
        "## Known weaknesses",
        "The model knows only these labels, and one garment per image: if there are several, it names one.",
        *weak(sets),
        "Its most frequent mistakes:",
    ]
    for name, title in TITLES.items():
        if name in sets:
            parts += [f"{title[0].upper()}{title[1:]}:", mistakes(sets[name]), f"![confusion](confusion-{name}.png)"]
            if sets[name].paths:
                parts.append("![right and wrong predictions](answers.jpg)")
    return "\n\n".join(parts) + "\n"
