"""A bundle's model card: figures by label, confusion matrices, right and wrong answers as pictures."""

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

from training.evaluate import Answers, table

mpl.use("Agg")
_SHOWN = 12
_PREVIEW = 128


# What a card tells apart by label: the sets' names, here and in the names of its pictures.
_TITLES = {"fashion_mnist_test": "Fashion-MNIST test", "photos_of_unseen_senders": "photographs of unseen senders"}


def confusion(answers: Answers, title: str, target: Path) -> None:
    """A picture: for each label (rows) the share of its pictures that got each label (columns), in percent."""
    labels = answers.labels
    counts = np.zeros((len(labels), len(labels)))
    for rights, best in zip(answers.rights, answers.best, strict=True):
        # Where several labels are right and none was given, the first stands for them.
        counts[labels.index(best if best in rights else rights[0]), labels.index(best)] += 1
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = pyplot.subplots(figsize=(8, 7.5), layout="constrained")
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.5:
            colour = "white" if value > 55 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(
        range(len(labels)), [f"{name} ({count:.0f})" for name, count in zip(labels, counts.sum(axis=1), strict=True)]
    )
    axes.set(xlabel="answer", ylabel="right label (pictures)", title=f"{title}, percent of each row")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=75)
    pyplot.close(figure)
    # Few colours: a third of the bytes, and each pod pulls them.
    Image.open(drawn).convert("RGB").quantize(32).save(target, optimize=True)


def sheet(answers: Answers, target: Path) -> None:
    """A picture of right answers, drawn by lot, and of the wrong ones that the model was surest of."""
    best, tops, right = answers.best, answers.tops, answers.right
    some = np.random.default_rng(0).permutation(np.flatnonzero(right))[:_SHOWN]
    worst = sorted(np.flatnonzero(~right), key=lambda i: -tops[i])[:_SHOWN]
    figure, axes = pyplot.subplots(4, _SHOWN // 2, figsize=(11, 8.6), layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    # Where there are few, their places stay empty: the first two rows are those of the right answers.
    for axis, i in [*zip(axes[:2].flat, some, strict=False), *zip(axes[2:].flat, worst, strict=False)]:
        picture = ImageOps.exif_transpose(Image.open(answers.paths[i])).convert("RGB")
        picture.thumbnail((_PREVIEW, _PREVIEW))
        axis.imshow(picture)
        said = f"{best[i]} {tops[i]:.2f}"
        axis.set_title(said if right[i] else f"{said}\nright: {' or '.join(answers.rights[i])}", fontsize=8)
    figure.suptitle("Above: right answers, drawn by lot. Below: the wrong answers that it was surest of.", fontsize=10)
    figure.savefig(target, dpi=75, pil_kwargs={"quality": 72})
    pyplot.close(figure)


def by_label(sets: Mapping[str, Answers]) -> str:
    """A Markdown table of the accuracy on each label in each set; the sets by title."""
    (labels,) = {tuple(answers.labels) for answers in sets.values()}
    lines = [f"| label | {' | '.join(sets)} |", "|---|" + "--:|" * len(sets)]
    for label in labels:
        cells = []
        for answers in sets.values():
            hits = answers.right[[label in rights for rights in answers.rights]]
            cells.append(f"{hits.mean():.1%} of {len(hits):,}" if len(hits) else "")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mistakes(answers: Answers) -> str:
    """The most frequent mistakes of a set, as a Markdown list."""
    pairs = zip(answers.rights, answers.best, strict=True)
    counts = Counter((" or ".join(rights), best) for rights, best in pairs if best not in rights)
    return "\n".join(
        f"- {right} taken for {best}: {count} of {len(answers.rights)}"
        for (right, best), count in counts.most_common(6)
    )


def write_card(bundle: Bundle, sets: Mapping[str, Answers], metrics: Mapping[str, Any], target: Path) -> list[Path]:
    """Write README.md and its pictures into `target`, from a bundle's answers and figures; returns their paths."""
    written = [target / "README.md"]
    written[0].write_text(_text(bundle, sets, metrics))
    for name, title in _TITLES.items():
        if name in sets:
            written.append(target / f"confusion-{name}.png")
            confusion(sets[name], title, written[-1])
            if sets[name].paths:
                written.append(target / "answers.jpg")
                sheet(sets[name], written[-1])
    return written


def _text(bundle: Bundle, sets: Mapping[str, Answers], metrics: Mapping[str, Any]) -> str:
    manifest: Any = bundle.manifest
    spec = bundle.input
    parts = [
        f"# {bundle.name} {bundle.version}",
        f"{len(bundle.labels)} labels: {', '.join(bundle.labels)}. Input {spec.height}x{spec.width} {spec.color}, "
        f"{bundle.model.stat().st_size / 1e6:.1f} MB, made {manifest['created_at'][:10]} by `make train` (see "
        "`training/README.md`).",
        f"Licence: {manifest['license']}.",
        "## Figures",
        "Measured through the serving path by `python -m training.evaluate`; none of these pictures, and no picture of "
        "these senders, was trained on.",
        table(metrics),
        by_label({title: sets[name] for name, title in _TITLES.items() if name in sets}),
        "## Known weaknesses",
        "It knows these labels alone, one garment a picture: of several it names one. Its commonest mistakes:",
    ]
    for name, title in _TITLES.items():
        if name in sets:
            parts += [f"{title[0].upper()}{title[1:]}:", mistakes(sets[name]), f"![confusion](confusion-{name}.png)"]
            if sets[name].paths:
                parts.append("![right and wrong answers](answers.jpg)")
    return "\n\n".join(parts) + "\n"
