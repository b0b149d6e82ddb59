"""What a session needs, and what becomes of a job when Spark ends."""

import subprocess
import sys
from pathlib import Path

import pytest
from lookbook.spark import session

# Prints the exit code and the message of each error, which the command uses.
SESSIONS = """
import os, signal
from lookbook.errors import LookbookError
from lookbook.spark.session import open_session

for master in ("local-cluster[1,1,64]", "local[1]"):
    try:
        with open_session("test", {"spark.master": master, "spark.driver.memory": "512m"}) as session:
            os.kill(session.sparkContext._gateway.proc.pid, signal.SIGKILL)
            session.range(10).count()
    except LookbookError as error:
        print(error.exit_code, error)
"""


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("fd00:10:244::7", {"spark.driver.host": "[fd00:10:244::7]"}),
        ("[fd00:10:244::7]", {}),
        ("10.244.0.7", {}),
        ("driver.example", {}),
    ],
)
def test_an_ipv6_address_of_the_driver_is_in_brackets(host: str, expected: dict[str, str]) -> None:
    assert session._driver_host({"spark.driver.host": host}) == expected


@pytest.mark.usefixtures("java")
def test_a_failed_start_and_the_end_of_spark_are_one_line_each(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SESSIONS], capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False
    )
    assert result.returncode == 0, result.stderr
    refused, ended = result.stdout.splitlines()
    assert refused.startswith("1 Spark did not start: org.apache.spark.SparkException: Asked to launch cluster with")
    assert refused.endswith("; check --conf and JAVA_HOME")
    assert ended == (
        "75 the Java process of Spark has ended, maybe because it ran out of memory: "
        "run the same command again to classify the rest"
    )
