"""What a session needs, and what becomes of a job when Spark ends."""

import subprocess
import sys
from pathlib import Path

import pytest
from lookbook.spark import session

# Ends with the exit code and the message of the error, as the command does.
ENDED = """
import os, signal
from lookbook.errors import LookbookError
from lookbook.spark.session import open_session

try:
    with open_session("test", {"spark.master": "local[1]", "spark.driver.memory": "512m"}) as session:
        os.kill(session.sparkContext._gateway.proc.pid, signal.SIGKILL)
        session.range(10).count()
except LookbookError as error:
    print(error)
    raise SystemExit(error.exit_code)
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
def test_the_end_of_spark_is_one_line_and_no_refusal(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", ENDED], capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False
    )
    assert result.returncode == session.SparkEnded.exit_code, result.stderr
    assert result.stdout == (
        "the Java process of Spark has ended, maybe out of memory: run the same command again to classify the rest\n"
    )
