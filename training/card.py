"""A bundle's model card: figures by label, confusion matrices, right and wrong answers as pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray
from PIL import Image, ImageOps

from service.bundle import Bundle, read_bundle
from service.inference import Classifier
from training.data import LABELS, read_fashion
from training.evaluate import encoded, scores_of, table, unseen

mpl.use("Agg")
_SHOWN = 12
_PREVIEW = 128


@dataclass(frozen=True, slots=True)
class Answers:
    """A set's right labels (several may be right for one picture), and the scores (n, labels) it was given."""

    title: str
    rights: Sequence[tuple[str, ...]]
    scores: NDArray[np.float64]

    def best(self, labels: Sequence[str]) -> list[str]:
        """The label with the best score, for each picture."""
        return [labels[i] for i in self.scores.argmax(axis=1)]


def confusion(answers: Answers, labels: Sequence[str], target: Path) -> None:
    """A picture: for each label (rows) the share of its pictures that got each label (columns), in percent."""
    counts = np.zeros((len(labels), len(labels)))
    for rights, best in zip(answers.rights, answers.best(labels), strict=True):
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
    axes.set(xlabel="answer", ylabel="right label (pictures)", title=f"{answers.title}, percent of each row")
    figure.savefig(target, dpi=80)
    pyplot.close(figure)


def sheet(answers: Answers, labels: Sequence[str], paths: Sequence[Path], target: Path) -> None:
    """A picture of right answers, drawn by lot, and of the wrong ones that the model was surest of."""
    best, tops = answers.best(labels), answers.scores.max(axis=1)
    right = np.array([label in rights for label, rights in zip(best, answers.rights, strict=True)])
    some = np.random.default_rng(0).permutation(np.flatnonzero(right))[:_SHOWN]
    worst = sorted(np.flatnonzero(~right), key=lambda i: -tops[i])[:_SHOWN]
    figure, axes = pyplot.subplots(4, _SHOWN // 2, figsize=(11, 8.6), layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, i in zip(axes.flat, [*some, *worst], strict=False):
        picture = ImageOps.exif_transpose(Image.open(paths[i])).convert("RGB")
        picture.thumbnail((_PREVIEW, _PREVIEW))
        axis.imshow(picture)
        said = f"{best[i]} {tops[i]:.2f}"
        axis.set_title(said if right[i] else f"{said}\nright: {' or '.join(answers.rights[i])}", fontsize=8)
    figure.suptitle("Above: right answers, drawn by lot. Below: the wrong answers that it was surest of.", fontsize=10)
    figure.savefig(target, dpi=80, pil_kwargs={"quality": 80})
    pyplot.close(figure)


def by_label(sets: Sequence[Answers], labels: Sequence[str]) -> str:
    """A Markdown table of the accuracy on each label in each set."""
    lines = [f"| label | {' | '.join(each.title for each in sets)} |", "|---|" + "--:|" * len(sets)]
    for label in labels:
        cells = []
        for each in sets:
            hits = [
                best in rights for rights, best in zip(each.rights, each.best(labels), strict=True) if label in rights
            ]
            cells.append(f"{np.mean(hits):.1%} of {len(hits):,}" if hits else "")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mistakes(answers: Answers, labels: Sequence[str]) -> str:
    """The most frequent mistakes of a set, as a Markdown list."""
    counts: dict[tuple[str, str], int] = {}
    for rights, best in zip(answers.rights, answers.best(labels), strict=True):
        if best not in rights:
            pair = " or ".join(rights), best
            counts[pair] = counts.get(pair, 0) + 1
    worst = sorted(counts.items(), key=lambda item: -item[1])[:6]
    return "\n".join(f"- {right} taken for {best}: {count} of {len(answers.rights)}" for (right, best), count in worst)


def write_card(folder: Path, target: Path, fashion: Path, photos: Path | None) -> list[Path]:
    """Write README.md and its pictures into `target`, from what the bundle in `folder` answers; returns their paths."""
    bundle = read_bundle(folder)
    classifier = Classifier(bundle)
    drawings, numbers = read_fashion(fashion, "t10k")
    sets = [Answers("Fashion-MNIST test", [(LABELS[i],) for i in numbers], scores_of(classifier, encoded(drawings)))]
    written = [target / "README.md", target / "confusion-fashion-mnist.png"]
    confusion(sets[0], bundle.labels, written[-1])
    apart = [photo for photo in unseen(classifier, photos) if photo.labels] if photos else []
    if apart:
        scores = scores_of(classifier, (photo.path.read_bytes() for photo in apart))
        sets.append(Answers("photographs of unseen senders", [photo.labels for photo in apart], scores))
        written += [target / "confusion-photos.png", target / "answers.jpg"]
        confusion(sets[1], bundle.labels, written[-2])
        sheet(sets[1], bundle.labels, [photo.path for photo in apart], written[-1])
    written[0].write_text(_text(bundle, sets))
    return written


def _text(bundle: Bundle, sets: Sequence[Answers]) -> str:
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
        table(manifest["metrics"]),
        by_label(sets, bundle.labels),
        "## Known weaknesses",
        "It knows these labels alone, one garment a picture: of several it names one. Its commonest mistakes:",
    ]
    for name, answers in zip(("fashion-mnist", "photos"), sets, strict=False):
        title = answers.title[0].upper() + answers.title[1:]
        parts += [f"{title}:", mistakes(answers, bundle.labels), f"![confusion](confusion-{name}.png)"]
    if len(sets) > 1:
        parts.append("![right and wrong answers](answers.jpg)")
    return "\n\n".join(parts) + "\n"
