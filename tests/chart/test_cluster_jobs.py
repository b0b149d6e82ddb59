"""`lookbook batch` with a release on an API server, whose only node has logs, but no containers."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from lookbook.cli.main import main

from tests.support.api_server import ApiServer
from tests.support.chart import Object, named
from tests.support.commands import LOOKBOOK, SOURCES
from tests.support.forwarder import forwarder
from tests.support.kubelet import Kubelet, running_kubelet
from tests.support.places import CHART
from tests.support.running import free_port, until

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
        self.environment = dict(server.environment)
        server.run("helm", "--namespace", namespace, "install", "prod", CHART, "--set", "batch.enabled=true")
        spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
        self.create({"kind": "PersistentVolumeClaim", "metadata": {"name": "photos"}, "spec": spec})

    def create(self, item: Object) -> Object:
        path = self._folder / "object.json"
        path.write_text(json.dumps({"apiVersion": "v1", **item}))
        kubectl = ("kubectl", "--namespace", self.namespace)
        created: Object = json.loads(self.server.run(*kubectl, "create", "--filename", path, "--output=json"))
        return created

    def set_status(self, kind: str, name: str, status: Object) -> None:
        change = ("--subresource=status", "--type=merge", f"--patch={json.dumps({'status': status})}")
        self.server.run("kubectl", "--namespace", self.namespace, "patch", kind, name, *change)

    def create_node(self, name: str, port: int) -> None:
        endpoint = {"kubeletEndpoint": {"Port": port}}
        status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "daemonEndpoints": endpoint}
        self.create({"kind": "Node", "metadata": {"name": name}, "status": status})

    def start_driver(self, name: str, node: str | None = None) -> Object:
        """The pod that the controller of the only job would start, by default on the node of the kubelet."""
        (job,) = self.jobs()
        return self._pod(name, {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}, node or self.namespace)

    def start_executor(self, name: str, driver: Object) -> None:
        """A pod that Spark would start, for which no node has room."""
        labels = {"app.kubernetes.io/instance": "prod", "app.kubernetes.io/component": "batch-executor"}
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "driver", "uid": driver["metadata"]["uid"]}
        self._pod(name, labels, None, owner)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "message": "0/4 nodes are available: 3 Insufficient cpu.",
        }
        self.set_status("pod", name, {"conditions": [condition]})

    def _pod(self, name: str, labels: dict[str, str], node: str | None, *owners: Object) -> Object:
        spec = {"nodeName": node, "containers": [{"name": "driver", "image": "spark"}]}
        metadata = {"name": name, "labels": labels, "ownerReferences": owners}
        return self.create({"kind": "Pod", "metadata": metadata, "spec": spec})

    def start(self, *arguments: str) -> Command:
        where = ["--release", "prod", "--namespace", self.namespace]
        errors = self._folder / f"{len(list(self._folder.glob('*.txt')))}.txt"
        return Command([*arguments, *where], self.environment, errors)

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
        self.set_status("job", job["metadata"]["name"], status)


@pytest.fixture
def release(server: ApiServer, namespace: str, tmp_path: Path) -> Release:
    return Release(server, namespace, tmp_path)


@pytest.fixture
def kubelet(release: Release, tmp_path: Path) -> Iterator[Kubelet]:
    with running_kubelet(tmp_path) as kubelet:
        release.create_node(release.namespace, kubelet.port)
        yield kubelet


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


def test_predictions_as_parquet_go_into_the_volume(release: Release) -> None:
    command = release.start("classify", *SOURCE, "--on-cluster", "--parquet", "out/2026")
    try:
        until(lambda: "lookbook: job out/2026 is running" in command.errors(), 60)
    finally:
        command.process.kill()
        command.process.communicate()
    (job,) = release.jobs()
    spec = job["spec"]["template"]["spec"]
    (driver,) = spec["containers"]
    assert {"name": "images", "persistentVolumeClaim": {"claimName": "photos"}} in spec["volumes"]
    assert {"name": "images", "mountPath": "/images"} in driver["volumeMounts"]
    assert driver["args"][-3:] == ["--parquet=/images/out/2026", "--", "/images/shop"]
    mount = "spark.kubernetes.executor.volumes.persistentVolumeClaim.images"
    assert f"--conf={mount}.mount.readOnly=false" in driver["args"]
    assert not [argument for argument in driver["args"] if argument.startswith(("--job", "--rejects"))]
    assert release.run("stop", "out/2026") == (0, "stopped job out/2026\n")


def test_each_line_of_the_log_is_written_once(release: Release, kubelet: Kubelet) -> None:
    def reconnected(pod: str) -> None:
        before = len(kubelet.queries[pod])
        until(lambda: len(kubelet.queries[pod]) > before + 1)

    release.create_node(f"{release.namespace}-dead", free_port())
    with release.running("spring") as command:
        kubelet.log("a", "one")
        release.start_driver("a")
        reconnected("a")
        kubelet.log("a", "two")
        reconnected("a")
        kubelet.log("b", "three")
        release.start_driver("b")
        reconnected("b")
        release.start_driver("c", f"{release.namespace}-dead")
        release.end("Complete")
        code, lines, errors = command.ended()
    assert (code, lines) == (0, "one\ntwo\nthree\n"), errors
    first, *others = kubelet.queries["a"]
    assert "sinceSeconds" not in first
    assert all(int(query["sinceSeconds"]) < 30 for query in others)


def test_a_job_is_followed_through_an_interruption_of_the_api(
    release: Release, kubelet: Kubelet, tmp_path: Path
) -> None:
    config = Path(release.environment["KUBECONFIG"]).read_text()
    near, far = free_port(), re.findall(r"127\.0\.0\.1:(\d+)", config)[0]
    (tmp_path / "kubeconfig").write_text(config.replace(far, str(near)))
    release.environment |= {"KUBECONFIG": str(tmp_path / "kubeconfig")}
    with ExitStack() as way:
        way.enter_context(forwarder("127.0.0.1", near, int(far)))
        with release.running("spring") as command:
            kubelet.log("a", "one")
            release.start_driver("a")
            until(lambda: kubelet.queries["a"])
            way.close()
            until(lambda: "the Kubernetes API does not respond" in command.errors())
            kubelet.log("a", "two")
            release.end("Complete")
            way.enter_context(forwarder("127.0.0.1", near, int(far)))
            code, lines, errors = command.ended()
    assert (code, lines) == (0, "one\ntwo\n"), errors
    assert errors.count("the Kubernetes API does not respond") == 1


def test_executors_without_a_node_are_reported_once(release: Release, kubelet: Kubelet) -> None:
    with release.running("spring") as command:
        driver = release.start_driver("a")
        release.start_executor("a-1", driver)
        release.start_executor("a-2", driver)
        until(lambda: "nodes are available" in command.errors())
        kubelet.hangs = True
        before = len(kubelet.queries["a"])
        until(lambda: len(kubelet.queries["a"]) > before)
        command.process.send_signal(signal.SIGINT)
        code, _, errors = command.ended()
    assert code == 130
    message = "waits for a node: 0/4 nodes are available: 3 Insufficient cpu; add nodes, or ask for less"
    assert errors.count(message) == 1, errors
    assert release.jobs()


def test_a_claim_that_does_not_exist_is_refused(release: Release) -> None:
    code, errors = release.run("classify", "shop", "--volume", "nowhere", "--on-cluster", "--job", "spring")
    assert (code, release.jobs()) == (1, [])
    assert f"claim nowhere not found in namespace {release.namespace}: kubectl get persistentvolumeclaims" in errors


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


def test_another_job_of_the_same_name_is_refused(release: Release) -> None:
    with release.running("spring"):
        for arguments in (
            ("other", "--volume", "photos", "--job", "spring"),
            ("shop", "--volume", "photos", "--parquet", "spring/"),
        ):
            code, errors = release.run("classify", *arguments, "--on-cluster")
            assert code == 1
            assert "another job spring is running (--job=spring -- /images/shop): choose another name, or end" in errors
    (job,) = release.jobs()
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][-1] == "/images/shop"


def test_two_commands_at_once_start_one_job(release: Release) -> None:
    with ExitStack() as ends:
        commands = [release.start("classify", *SOURCE, "--on-cluster", "--job", "spring") for _ in range(3)]
        for command in commands:
            ends.callback(command.process.communicate)
            ends.callback(command.process.kill)
        until(lambda: all("lookbook: job spring is running" in command.errors() for command in commands), 60)
        assert sum("is running already" in command.errors() for command in commands) == 2
    assert len(release.jobs()) == 1


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
        (["images", "--on-cluster", "--volume", "photos"], "give either --job NAME"),
        (["images", "--on-cluster", "--job", "a", "--bundle", "."], "cannot be used with --bundle"),
        (["images", "--on-cluster", "--job", "a"], "--on-cluster needs --volume CLAIM, or URLs"),
        (["hdfs://a/images", "--on-cluster", "--parquet", "out"], "--on-cluster needs --volume CLAIM, or URLs"),
        (["images", "--job", "a", "--executors", "2"], "--executors and --volume need --on-cluster"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["batch", "classify", *arguments])
    assert (result.exit_code, message in result.output) == (2, True), result.output
