"""`lookbook batch stop`: end a job of a release. Tests: tests/chart/test_cluster_jobs.py."""

import click

from lookbook.cli.extras import extra
from lookbook.cli.options import release_options


@click.command()
@click.argument("name")
@release_options
def stop(name: str, release: str, namespace: str | None, context: str | None) -> None:
    """Stop the job NAME that a release runs on Kubernetes.

    What it has stored is kept. To continue, start the job again with `lookbook batch classify`.
    """
    with extra("k8s", "kubernetes"):
        from lookbook.cli.cluster import Release
        from lookbook.cli.cluster_jobs import ClusterJobs
    ClusterJobs(Release(release, namespace, context)).stop(name)
    click.echo(f"stopped job {name}")
