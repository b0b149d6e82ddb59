"""`lookbook batch` with a release on an API server, which has no nodes: jobs start, but no pod runs."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from lookbook.cli.main import main

from tests.support.api_server import ApiServer
from tests.support.chart import Object, named
from tests.support.commands import LOOKBOOK, SOURCES
from tests.support.places import CHART
from tests.support.running import until

pytestmark = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")

SOURCE = ("shop", "--volume", "photos")
ENDED = {
    "Complete": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}],
    "Failed": [{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}],
}


class Command:
    """`lookbook batch` as a process."""

    def __init__(self, arguments: list[str], environment: dict[str, str], errors: Path) -> None:
        self._errors = errors
        with errors.open("w") as file:
            # The certificate of the server is self-signed, which the client would complain about.
            self.process = subprocess.Popen(
                [*LOOKBOOK, "batch", *arguments],
                env=environment | {"PYTHONPATH": SOURCES, "PYTHONWARNINGS": "ignore"},
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )

    def errors(self) -> str:
        return self._errors.read_text()

    def ended(self) -> tuple[int, str, str]:
        """Exit code, output, and errors."""
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output, self.errors()


class Release:
    """An installation of the chart, and `lookbook batch` with it."""

    def __init__(self, server: ApiServer, namespace: str, folder: Path) -> None:
        self.server, self.namespace, self._folder = server, namespace, folder
        server.run("helm", "--namespace", namespace, "install", "prod", CHART, "--set", "batch.enabled=true")

    def start(self, *arguments: str) -> Command:
        where = ["--release", "prod", "--namespace", self.namespace]
        errors = self._folder / f"{len(list(self._folder.iterdir()))}.txt"
        return Command([*arguments, *where], self.server.environment, errors)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of `lookbook batch`, in this process."""
        where = ["--release", "prod", "--namespace", self.namespace]
        environment = {"KUBECONFIG": self.server.environment["KUBECONFIG"]}
        result = CliRunner(env=environment).invoke(main, ["batch", *arguments, *where])
        return result.exit_code, result.output

    @contextmanager
    def running(self, name: str, *arguments: str) -> Iterator[Command]:
        """`lookbook batch classify` once its job has started."""
        command = self.start("classify", *(arguments or SOURCE), "--on-cluster", "--job", name)
        try:
            until(lambda: f"lookbook: job {name} is running" in command.errors(), 60)
            yield command
        finally:
            command.process.kill()
            command.process.communicate()

    def jobs(self) -> list[Object]:
        return [job for job in self.server.objects(self.namespace, "jobs") if "schema" not in job["metadata"]["name"]]

    def end(self, condition: str) -> None:
        """Give the only job this state, as its controller would."""
        status: Object = {"startTime": "2026-01-31T12:00:00Z", "conditions": ENDED[condition]}
        if condition == "Complete":
            status["completionTime"] = "2026-01-31T12:01:00Z"
        (job,) = self.jobs()
        change = ("--subresource=status", "--type=merge", f"--patch={json.dumps({'status': status})}")
        self.server.run("kubectl", "--namespace", self.namespace, "patch", "job", job["metadata"]["name"], *change)


@pytest.fixture
def release(server: ApiServer, namespace: str, tmp_path: Path) -> Release:
    return Release(server, namespace, tmp_path)


def test_a_job_has_the_arguments_and_the_volume(release: Release) -> None:
    options = ("--executors", "3", "--conf", "spark.executor.memory=2g", "--writes-per-second", "100")
    with release.running("spring-2026", *SOURCE, *options):
        pass
    spec = named(release.jobs(), "Job", "prod-batch-spring-2026")["spec"]["template"]["spec"]
    (driver,) = spec["containers"]
    claim = {"claimName": "photos", "readOnly": True}
    assert {"name": "images", "persistentVolumeClaim": claim} in spec["volumes"]
    assert {"name": "images", "mountPath": "/images", "readOnly": True} in driver["volumeMounts"]
    assert driver["args"][:2] == ["batch", "classify"]
    assert driver["args"][-3:] == ["--job=spring-2026", "--", "/images/shop"]
    mount = "spark.kubernetes.executor.volumes.persistentVolumeClaim.images"
    assert set(driver["args"]) >= {
        "--rejects=-",
        "--writes-per-second=100",
        "--conf=spark.executor.instances=3",
        "--conf=spark.executor.memory=2g",
        f"--conf={mount}.options.claimName=photos",
        f"--conf={mount}.mount.path=/images",
        f"--conf={mount}.mount.readOnly=true",
    }
    # The user's setting has precedence over the one of the chart.
    memory = [arg for arg in driver["args"] if arg.startswith("--conf=spark.executor.memory=")]
    assert memory[-1].endswith("=2g")


def test_a_url_needs_no_volume(release: Release) -> None:
    with release.running("spring", "hdfs://namenode:8020/images"):
        pass
    (job,) = release.jobs()
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][-1] == "hdfs://namenode:8020/images"


def test_an_interrupted_command_leaves_the_job_which_can_be_followed_and_stopped(release: Release) -> None:
    with release.running("Spring 2026") as command:
        command.process.send_signal(signal.SIGINT)
        code, _, errors = command.ended()
    assert code == 130
    assert "to end it, run `lookbook batch stop 'Spring 2026'`" in errors
    _, output = release.run("list", "--on-cluster")
    (line,) = output.splitlines()[1:]
    assert (line[: len("Spring 2026")], line.split()[-2:]) == ("Spring 2026", ["running", "shop"])
    with release.running("Spring 2026") as command:
        assert release.run("stop", "Spring 2026") == (0, "stopped job Spring 2026\n")
        code, _, errors = command.ended()
    assert (code, release.jobs()) == (1, [])
    assert "job Spring 2026 was stopped: start it again to classify the rest" in errors
    assert "no job Spring 2026 is running" in release.run("stop", "Spring 2026")[1]


def test_a_job_that_has_ended_is_started_again(release: Release) -> None:
    with release.running("spring") as command:
        release.end("Failed")
        code, _, errors = command.ended()
    assert code == 1
    assert "job spring failed: its log says why" in errors
    (failed,) = release.jobs()
    with release.running("spring") as command:
        release.end("Complete")
        assert command.ended()[0] == 0
    (complete,) = release.jobs()
    assert failed["metadata"]["uid"] != complete["metadata"]["uid"]
    assert "complete" in release.run("list", "--on-cluster")[1]


def test_a_release_without_batch_jobs_says_how_to_enable_them(release: Release) -> None:
    release.server.run(
        "helm", "--namespace", release.namespace, "upgrade", "prod", CHART, "--set", "batch.enabled=false"
    )
    code, errors = release.run("classify", *SOURCE, "--on-cluster", "--job", "spring")
    assert code == 1
    assert "set batch.enabled=true with helm upgrade" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images", "--on-cluster", "--volume", "photos"], "--on-cluster needs --job NAME"),
        (["images", "--on-cluster", "--job", "a", "--bundle", "."], "cannot be used with --parquet or --bundle"),
        (["images", "--on-cluster", "--job", "a"], "--on-cluster needs --volume CLAIM, or a URL"),
        (["images", "--job", "a", "--executors", "2"], "--executors and --volume need --on-cluster"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["batch", "classify", *arguments])
    assert (result.exit_code, message in result.output) == (2, True), result.output
