"""The Spark session. Tests: tests/spark/test_session.py, tests/spark/test_batch.py."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lookbook.errors import LookbookError

_JAVA_VERSIONS = (17, 21)
# Java moves few bytes for each image: optimizing its code more takes longer than it saves, and so does a parallel GC.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_ATTEMPTS = 4  # of a task; a local session would give up after the first


class SparkEnded(LookbookError):
    """The process of Spark has ended before the job. Kubernetes starts a job with this exit code again."""

    exit_code = 75


@contextmanager
def open_session(
    name: str, options: dict[str, str], advice: str = "run the same command again to classify the rest"
) -> Iterator[SparkSession]:
    """A session on this machine's CPUs, or on the master that `options` name.

    Raises LookbookError if Java is missing, the session cannot start, or a job fails; `advice` is what to do then.
    """
    check_java()
    # The workers run this interpreter, with the libraries that it has.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    logging = Path(__file__).with_name("log4j2.properties")
    defaults = {
        "spark.master": f"local[*,{_ATTEMPTS}]",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.extraJavaOptions": f"{_JAVA_OPTIONS} -Dlog4j2.configurationFile={logging}",
        "spark.executor.extraJavaOptions": _JAVA_OPTIONS,
        # No limit: tasks may list many rejects, of which the driver keeps few.
        "spark.driver.maxResultSize": "0",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "128",
    }
    if options.get("spark.master", "local").startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    for key, value in (defaults | options | _driver_host(options)).items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except (PySparkException, Py4JJavaError) as error:
        raise LookbookError(f"Spark did not start: {reason(error)}; check --conf and JAVA_HOME") from error
    try:
        yield session
    except (PySparkException, Py4JJavaError) as error:
        raise LookbookError(f"the job failed: {reason(error)}; {advice}") from error
    except (Py4JError, ConnectionError) as error:
        raise SparkEnded(
            f"the Java process of Spark has ended, maybe because it ran out of memory: {advice}"
        ) from error
    finally:
        with suppress(Py4JError, ConnectionError):
            session.stop()


def _driver_host(options: dict[str, str]) -> dict[str, str]:
    """The driver's address as Spark wants it: an IPv6 address, which Kubernetes gives without brackets, in brackets."""
    host = options.get("spark.driver.host", "")
    return {"spark.driver.host": f"[{host}]"} if ":" in host and not host.startswith("[") else {}


def reason(error: BaseException) -> str:
    """What went wrong, in one line, without the stack traces that Spark and its workers add."""
    java = error.java_exception if isinstance(error, Py4JJavaError) else None
    lines = str(java or error).splitlines()
    traces = [number for number, line in enumerate(lines) if line.endswith("Traceback (most recent call last):")]
    if traces:
        # The exception of a worker follows the indented lines of its trace.
        lines = [line for line in lines[traces[-1] + 1 :] if line[:1].strip()]
    return lines[0].strip().removeprefix("lookbook.errors.LookbookError: ")


def check_java() -> None:
    """Raises LookbookError if there is no Java that Spark works with."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin/java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        where = f"JAVA_HOME={home} has no bin/java" if home else "there is no java on the PATH"
        raise LookbookError(f"Spark needs Java 17 or 21, and {where}: install one and set JAVA_HOME")
    version = _major_version(java)
    if version not in _JAVA_VERSIONS:
        raise LookbookError(f"Spark needs Java 17 or 21, and {java} is version {version}: set JAVA_HOME to one of them")


def _major_version(java: str) -> int:
    shown = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    for line in shown.stderr.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "java.specification.version":
            return int(value.strip().removeprefix("1."))
    raise LookbookError(f"cannot determine the version of {java}: set JAVA_HOME to Java 17 or 21")
