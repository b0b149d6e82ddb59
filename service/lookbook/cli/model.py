"""`lookbook model`: bundles, and those of a release in a cluster."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from lookbook.cli.build import build
from lookbook.errors import LookbookError
from lookbook.model.bundle import read_bundle


@click.group()
def model() -> None:
    """Build bundles, publish them into a cluster, and list them."""


model.add_command(build)


def _of_a_release(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--release", default="lookbook", show_default=True, help="the Helm release"),
        click.option("--namespace", help="its namespace  [default: the context's]"),
        click.option("--context", help="of the kubeconfig  [default: the current one]"),
    ):
        command = option(command)
    return command


@model.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_of_a_release
def publish(folder: Path, release: str, namespace: str | None, context: str | None) -> None:
    """Send the bundle in FOLDER to the release's volume. A published version never changes."""
    bundle = read_bundle(folder)
    cluster = _cluster()
    target = cluster.Release(release, namespace, context)
    with cluster.packed(folder, bundle) as tar:
        size = os.fstat(tar.fileno()).st_size
        with click.progressbar(length=size, label=f"{bundle.name} {bundle.version}") as bar:
            said = target.publish(tar, bar.update)
    click.echo(said)
    click.echo(
        f"go live: helm upgrade {release} charts/lookbook --namespace {target.namespace} --reuse-values "
        f"--set model.name={bundle.name} --set model.version={bundle.version} --set model.digest={bundle.digest}"
    )


@model.command(name="list")
@_of_a_release
def list_(release: str, namespace: str | None, context: str | None) -> None:
    """Show the bundles in the release's volume, and what each pod serves."""
    cluster = _cluster()
    target = cluster.Release(release, namespace, context)
    pods = [(pod.name, pod.model, pod.digest) for pod in target.serving()]
    try:
        rows = [_published_row(entry) for entry in target.published()]
    except cluster.ClusterError as error:
        if not pods:
            raise
        click.echo(str(error))
    else:
        _print_table(("published", "digest", "bytes", "created"), rows)
    click.echo()
    _print_table(("pod", "serves", "digest"), pods)


def _published_row(entry: dict[str, Any]) -> tuple[str, ...]:
    label = f"{entry['name']}/{entry['version']}"
    if "error" in entry:
        return (label, f"damaged: {entry['error']}", "", "")
    return (label, entry["digest"], str(entry["bytes"]), str(entry["created_at"] or ""))


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cluster() -> ModuleType:
    # Imported only here: the kubernetes client is no part of serving, and takes half a second.
    try:
        from lookbook.cli import cluster
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "kubernetes":
            raise
        raise LookbookError('this command talks to Kubernetes: pip install "lookbook[k8s]"') from error
    return cluster
