"""The CronJob that makes backups."""

from lookbook.cli.main import main

from tests.support.chart import Object, helm_template, named, render
from tests.support.places import CHART

NIGHTLY = ("--values", CHART / "ci/backup-values.yaml")


def names(items: list[Object]) -> set[str]:
    return {f"{item['kind']} {item['metadata']['name']}" for item in items}


def test_there_are_none_by_default() -> None:
    assert not [name for name in names(render()) if "backup" in name]


def test_they_are_written_to_your_own_volume() -> None:
    job = named(render(*NIGHTLY, release="shop"), "CronJob", "shop-backup")["spec"]
    assert job["schedule"] == "0 3 * * *"
    volumes = job["jobTemplate"]["spec"]["template"]["spec"]["volumes"]
    assert volumes == [{"name": "backups", "persistentVolumeClaim": {"claimName": "lookbook-backups"}}]


def test_a_schedule_needs_a_volume() -> None:
    result = helm_template("--set", "backup.schedule=@daily")
    assert result.returncode
    assert "/backup/existingClaim" in result.stderr


def test_the_command_knows_the_arguments() -> None:
    job = named(render(*NIGHTLY), "CronJob", "lookbook-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    name, folder, *options = job["containers"][0]["args"]
    assert folder == job["containers"][0]["volumeMounts"][0]["mountPath"]
    command = main.get_command(None, name)  # type: ignore[arg-type]
    assert command
    assert {option.partition("=")[0] for option in options} <= {o for p in command.params for o in p.opts}
