"""`lookbook model publish`: send a bundle to the models volume of a release. Tests: tests/unit/test_cluster.py."""

import os
from pathlib import Path

import click

from lookbook.cli.extras import extra
from lookbook.cli.options import release_options
from lookbook.model.bundle import read_bundle


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@release_options
def publish(folder: Path, release: str, namespace: str | None, context: str | None) -> None:
    """Publish the bundle in FOLDER to a release.

    A published version never changes. The last line printed has the command that rolls it out.
    """
    bundle = read_bundle(folder)
    with extra("k8s", "kubernetes"):
        from lookbook.cli.cluster import Release, packed
    target = Release(release, namespace, context)
    with packed(folder, bundle) as tar:
        size = os.fstat(tar.fileno()).st_size
        with click.progressbar(length=size, label=f"{bundle.name} {bundle.version}") as bar:
            message = target.publish(tar, bar.update)
    click.echo(message)
    click.echo(
        f"to roll it out, run in a checkout of Lookbook: helm upgrade {release} charts/lookbook --namespace "
        f"{target.namespace} --reuse-values --wait --timeout=10m --set model.name={bundle.name} "
        f"--set model.version={bundle.version} --set model.digest={bundle.digest}"
    )
