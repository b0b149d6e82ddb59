"""`lookbook model list`: the bundles of a release. Tests: tests/unit/test_cluster.py."""

from typing import Any

import click

from lookbook.cli import output
from lookbook.cli.extras import extra
from lookbook.cli.options import release_options


@click.command(name="list")
@release_options
def list_(release: str, namespace: str | None, context: str | None) -> None:
    """List the bundles of a release and what each pod serves."""
    with extra("k8s", "kubernetes"):
        from lookbook.cli.cluster import ClusterError, Release
    target = Release(release, namespace, context)
    pods = [(pod.name, pod.model, pod.digest) for pod in target.serving()]
    try:
        rows = [_row(entry) for entry in target.published()]
    except ClusterError as error:
        if not pods:
            raise
        click.echo(str(error))
    else:
        output.table(("published", "digest", "bytes", "created"), rows)
    click.echo()
    output.table(("pod", "serves", "digest"), pods)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    bundle = f"{entry['name']}/{entry['version']}"
    if "error" in entry:
        return (bundle, f"damaged: {entry['error']}", "", "")
    return (bundle, entry["digest"], str(entry["bytes"]), str(entry["created_at"] or ""))
