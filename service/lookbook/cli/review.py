"""`lookbook review`: predictions to judge elsewhere, and the judgments back."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookbook.cli import output
from lookbook.cli.options import day_options, server_options, version_option
from lookbook.errors import LookbookError, RequestError

# Everything else is imported where it is needed, because the other commands start faster without it.
if TYPE_CHECKING:
    from lookbook.cli.client import Client
    from lookbook.cli.judgments import Line

_JOBS = 8
_PAGE = 100
_MAX_JUDGMENTS = 100  # of a prediction, which a server accepts
_COLUMNS = ("id", "created_at", "image", "label", "verdict")


@click.group()
def review() -> None:
    """Judge predictions with other tools."""


@review.command()
@server_options("http://127.0.0.1:8080")
@version_option("judged")
@day_options
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Maximum number of predictions.",
)
@click.option(
    "--images",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also download the images into this folder. The column image names the files.",
)
def export(url: str, token: str | None, limit: int, images: Path | None, **query: str | None) -> None:
    """Print the predictions to judge next as CSV.

    They come in the order of review. Judge them from the first line on. If you skip one, judgments of the predictions
    after it that are from the same day do not count until it is judged. Write what the image shows into the column
    label; it may be a label that the model does not know. If nobody can tell, write unclear into the column verdict.

    The model's label is left out, so that it influences nobody.
    """
    from lookbook.cli.client import Client

    client = Client(url, token)
    client.model()
    found = _to_judge(client, query, limit)
    names = _download(client, found, images) if images else {}
    write = output.writer("csv", _COLUMNS, {})
    for sample in found:
        id = sample["id"]
        image = names.get(id, "") if images else f"{url.rstrip('/')}/v1/predictions/{id}/image"
        write({"id": id, "created_at": sample["created_at"], "image": image})


@review.command("import")
@server_options("http://127.0.0.1:8080")
@click.argument("file", metavar="FILE.csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--annotator", metavar="NAME", default="", help="Who judged the images.  [default: the token's name]")
def import_(url: str, token: str | None, file: Path, annotator: str) -> None:
    """Add the judgments of a CSV file.

    The file has the columns id and label, and optionally verdict, in any order; other columns are ignored. Lines with
    neither a label nor a verdict are skipped. First, all lines are checked: if one cannot be accepted, it is named, and
    nothing is added. You can repeat an import: judgments that are stored already are not added again.
    """
    from lookbook.cli.client import Client
    from lookbook.cli.judgments import read_judgments

    client = Client(url, token)
    client.model()
    lines, empty, refused = read_judgments(file)
    with ThreadPoolExecutor(_JOBS) as pool:
        refused += filter(None, pool.map(partial(_refusal, client), lines))
        if refused:
            for line, reason in sorted(refused):
                output.complain(f"{file}, line {line}: {reason}")
            raise LookbookError(f"{file}: nothing was added; correct the lines above ({len(refused):,}), and try again")
        list(pool.map(partial(_judge, client, annotator), lines))
    unclear = sum(line.label is None for line in lines)
    print(f"{file}: judgments: {len(lines):,}, of which unclear: {unclear:,}; lines without a judgment: {empty:,}")


def _to_judge(client: "Client", query: Mapping[str, str | None], limit: int) -> list[dict[str, Any]]:
    """Samples without a ground truth, in the order of review."""
    from lookbook.truth.frame import size_of

    open_ = [sample for sample in _samples(client, query) if sample["ground_truth"] is None]
    return sorted(open_, key=lambda sample: sample["u"] / size_of(sample["score"]))[:limit]


def _samples(client: "Client", query: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = client.samples({**query, "inputs": "false", "limit": _PAGE, "cursor": cursor})
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def _download(client: "Client", samples: list[dict[str, Any]], folder: Path) -> dict[str, str]:
    """The names of the files by ID; predictions without an image are left out."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_JOBS) as pool:
            names = pool.map(partial(_download_one, client, folder), samples)
            return {sample["id"]: name for sample, name in zip(samples, names, strict=True) if name}
    except OSError as error:
        raise LookbookError(f"cannot write {folder}: {error.strerror or error}") from error


def _download_one(client: "Client", folder: Path, sample: Mapping[str, Any]) -> str | None:
    found = client.image(sample["id"])
    if found is None:
        return None
    content, kind = found
    name = f"{sample['id']}.{kind.partition('/')[2]}"
    (folder / name).write_bytes(content)
    return name


def _refusal(client: "Client", line: "Line") -> tuple[int, str] | None:
    """Why the server would refuse the judgment; None if it would not."""
    try:
        found = client.ground_truths(line.id)
    except RequestError as error:
        return line.number, str(error)
    if len(found["items"]) >= _MAX_JUDGMENTS:
        return line.number, f"the prediction has {_MAX_JUDGMENTS} judgments, the maximum"
    return None


def _judge(client: "Client", annotator: str, line: "Line") -> None:
    client.judge(line.id, {**line.to_json(), **({"annotator": annotator} if annotator else {})})
