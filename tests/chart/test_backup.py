"""The CronJob that makes backups, and the volume for them."""

from lookbook.cli.main import main

from tests.support.chart import Object, named, render
from tests.support.places import CHART

NIGHTLY = ("--set", "backup.schedule=0 3 * * *")


def names(items: list[Object]) -> set[str]:
    return {f"{item['kind']} {item['metadata']['name']}" for item in items}


def test_there_are_none_by_default() -> None:
    assert not [name for name in names(render()) if "backup" in name]


def test_the_volume_outlives_the_release() -> None:
    items = render(*NIGHTLY)
    assert named(items, "CronJob", "lookbook-backup")["spec"]["schedule"] == "0 3 * * *"
    claim = named(items, "PersistentVolumeClaim", "lookbook-backups")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_your_own_volume_is_used() -> None:
    items = render("--values", CHART / "ci/backup-values.yaml", release="shop")
    assert "PersistentVolumeClaim shop-backups" not in names(items)
    job = named(items, "CronJob", "shop-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert job["volumes"] == [{"name": "backups", "persistentVolumeClaim": {"claimName": "lookbook-backups"}}]


def test_the_command_knows_the_arguments() -> None:
    job = named(render(*NIGHTLY), "CronJob", "lookbook-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    name, folder, *options = job["containers"][0]["args"]
    assert folder == job["containers"][0]["volumeMounts"][0]["mountPath"]
    command = main.get_command(None, name)  # type: ignore[arg-type]
    assert command
    assert {option.partition("=")[0] for option in options} <= {o for p in command.params for o in p.opts}
