"""`lookbook batch list`: the jobs of a store or of a release. Tests: tests/chart/test_cluster_jobs.py."""

from datetime import datetime

import click

from lookbook.cli import output
from lookbook.cli.extras import extra
from lookbook.cli.options import release_options


@click.command(name="list")
@click.option("--on-cluster", is_flag=True, help="List the jobs that a release runs on Kubernetes.")
@release_options
def list_(on_cluster: bool, release: str, namespace: str | None, context: str | None) -> None:
    """List the jobs whose predictions are in the store, newest first.

    LOOKBOOK_* environment variables name the store. With --on-cluster, jobs are listed for a week after they complete
    or fail.
    """
    if not on_cluster:
        # Imported here: the other commands start faster without it.
        from lookbook.cli.store import opened_store

        with opened_store() as store:
            stored = [(job.name, _time(job.started_at), str(job.images), job.bundle) for job in store.jobs()]
        output.table(("job", "started", "images", "bundle"), stored)
        return
    with extra("k8s", "kubernetes"):
        from lookbook.cli.cluster import Release
        from lookbook.cli.cluster_jobs import ClusterJobs
    jobs = ClusterJobs(Release(release, namespace, context)).all()
    output.table(
        ("job", "started", "state", "source"),
        [(job.name, _time(job.started_at), job.state, job.source) for job in jobs],
    )


def _time(moment: datetime) -> str:
    return output.local_time(moment.isoformat())
