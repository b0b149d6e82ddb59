"""Becomes an executor on Kubernetes: `python -m lookbook.spark.executor`. Tests: tests/spark/test_executor.py.

Spark describes the executor in the environment, as the entrypoint of its own container image expects it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pyspark

_CLASS = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"


def command(environment: Mapping[str, str]) -> list[str]:
    """The command of the executor's Java VM."""
    options = [value for name, value in sorted(environment.items()) if name.startswith("SPARK_JAVA_OPT_")]
    memory, logging = environment["SPARK_EXECUTOR_MEMORY"], Path(__file__).with_name("log4j2.properties")
    return [
        *("java", *options, f"-Dlog4j2.configurationFile={logging}", f"-Xms{memory}", f"-Xmx{memory}"),
        *("-cp", f"{Path(pyspark.__file__).parent}/jars/*", _CLASS),
        *("--driver-url", environment["SPARK_DRIVER_URL"]),
        *("--executor-id", environment["SPARK_EXECUTOR_ID"]),
        *("--cores", environment["SPARK_EXECUTOR_CORES"]),
        *("--app-id", environment["SPARK_APPLICATION_ID"]),
        *("--hostname", environment["SPARK_EXECUTOR_POD_IP"]),
        *("--resourceProfileId", environment["SPARK_RESOURCE_PROFILE_ID"]),
        *("--podName", environment["SPARK_EXECUTOR_POD_NAME"]),
    ]


if __name__ == "__main__":
    arguments = command(os.environ)
    os.execvp(arguments[0], arguments)  # noqa: S606
