"""Java libraries from Maven."""

import shutil
import subprocess
from pathlib import Path

from tests.support.places import ROOT
from tests.support.requirements import lacking

_POM = """
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>lookbook</groupId><artifactId>tests</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>
  </dependency></dependencies>
</project>
"""


def jars(artifact: str, group: str = "org.apache.hadoop", version: str = "3.5.0", seconds: float = 600) -> Path:
    """A folder with the artifact and what it needs; skips the test where Maven is missing."""
    folder = ROOT / "build" / artifact
    if shutil.which("mvn") is None:
        lacking("Hadoop needs Maven, and there is no mvn on the PATH", "SPARK")
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        pom, fetching = folder.with_suffix(".xml"), folder.with_suffix(".part")
        pom.write_text(_POM.format(group, artifact, version))
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={fetching}", "-DincludeScope=runtime"]
        run = subprocess.run(["mvn", "-q", "-B", "-f", pom, *goal], capture_output=True, text=True, timeout=seconds)
        if run.returncode:
            lacking(f"Maven cannot fetch {artifact}: {run.stdout.strip().splitlines()[:1]}", "SPARK")
        fetching.rename(folder)
    return folder
