"""An executor's process, without a driver."""

import os
import subprocess
import sys

import pytest

from tests.support.commands import SOURCES


@pytest.mark.usefixtures("java")
def test_it_looks_for_the_driver() -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": SOURCES,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@127.0.0.1:1",
        "SPARK_EXECUTOR_ID": "1",
        "SPARK_EXECUTOR_CORES": "1",
        "SPARK_EXECUTOR_MEMORY": "128m",
        "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
        "SPARK_EXECUTOR_POD_NAME": "lookbook-exec-1",
        "SPARK_APPLICATION_ID": "spark-1",
        "SPARK_RESOURCE_PROFILE_ID": "0",
        "SPARK_JAVA_OPT_0": "-Dspark.rpc.connect.threads=1",
        "SPARK_JAVA_OPT_1": "-Dspark.driver.host=127.0.0.1",
    }
    command = [sys.executable, "-m", "lookbook.spark.executor", "executor"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode != 0
    assert "127.0.0.1:1" in result.stderr
