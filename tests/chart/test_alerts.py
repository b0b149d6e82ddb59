"""The alert rules, as Prometheus evaluates them: `promtool test rules`."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.chart import Object, render
from tests.support.requirements import lacking

PODS = {"lookbook_store_up{pod='a'}": "1x60", "lookbook_store_up{pod='b'}": "1x60"}
REQUESTS = {"lookbook_requests_total{code='201'}": "0+100x60", "lookbook_requests_total{code='503'}": "0+0.5x60"}
JOB = "{namespace='default', job_name='lookbook-schema-1a2b3c4d'"
BACKUP = "kube_job_failed{namespace='default', job_name='lookbook-backup-29401260', condition='true'}"
BATCH = "kube_job_failed{namespace='default', job_name='lookbook-batch-spring-2026', condition='true'}"
OTHERS = {
    "lookbook_store_up{namespace='default', service='other'}": "0x60",
    "lookbook_store_up{namespace='other', service='lookbook'}": "0x60",
    f"kube_job_status_active{JOB}}}": "0x60",
    f"kube_job_failed{JOB}, condition='true'}}": "0x60",
}
# Each alert with the series that make it fire, a minute when it does not fire yet, and one when it does. The value
# "a+bx60" begins at a and grows by b each minute.
CASES: dict[str, list[tuple[dict[str, str], int, int]]] = {
    "LookbookAbsent": [({}, 4, 5)],
    "LookbookStoreDown": [({**PODS, "lookbook_store_up{pod='b'}": "1x5 0x60"}, 7, 8)],
    "LookbookErrors": [({**PODS, **REQUESTS, "lookbook_requests_total{code='500'}": "0+2x60"}, 5, 6)],
    "LookbookFull": [({**PODS, "lookbook_refused_total{reason='queue'}": "0+1x60"}, 10, 11)],
    "LookbookStoreSlow": [
        (
            {
                **PODS,
                "lookbook_store_seconds_bucket{le='0.5'}": "0+98x60",
                "lookbook_store_seconds_bucket{le='1'}": "0+100x60",
                "lookbook_store_seconds_bucket{le='+Inf'}": "0+100x60",
            },
            10,
            11,
        )
    ],
    "LookbookModelsDiffer": [
        ({**PODS, "lookbook_model_info{digest='1'}": "1x60", "lookbook_model_info{digest='2'}": "1x60"}, 29, 30)
    ],
    "LookbookDrift": [
        ({**PODS, "lookbook_drift_status{version='1'}": "1x60", "lookbook_drift_status{version='2'}": "2x60"}, 29, 30)
    ],
    "LookbookSchemaFailed": [
        ({**PODS, f"kube_job_status_active{JOB}}}": "1x60"}, 14, 15),
        ({**PODS, f"kube_job_failed{JOB}, condition='true'}}": "1x60"}, 14, 15),
    ],
    "LookbookBackupFailed": [({**PODS, BACKUP: "0x5 1x60"}, 5, 6)],
    "LookbookBatchFailed": [({**PODS, BATCH: "0x5 1x60"}, 5, 6)],
}
CALM = {
    **PODS,
    **REQUESTS,
    "lookbook_refused_total{reason='queue'}": "5x60",
    "lookbook_store_seconds_bucket{le='0.5'}": "0+100x60",
    "lookbook_store_seconds_bucket{le='+Inf'}": "0+100x60",
    "lookbook_model_info{digest='1'}": "1x60",
    "lookbook_drift_status{version='1'}": "1x60",
}


def series(values: dict[str, str]) -> list[Object]:
    """The series, with the labels that Prometheus adds for this release, and series of other releases."""
    ours = {
        name if name.startswith("kube_") else name.replace("{", "{namespace='default', service='lookbook', "): value
        for name, value in values.items()
    }
    return [{"series": name, "values": value} for name, value in {**OTHERS, **ours}.items()]


def firing(minute: int, *alerts: str) -> Object:
    """The expectation that these alerts, and no others, fire at a minute."""
    return {
        "expr": "group by (alertname) (ALERTS{alertstate='firing'})",
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": f"{{alertname='{alert}'}}", "value": 1} for alert in alerts],
    }


@pytest.fixture(scope="module")
def rules() -> Object:
    (rule,) = [item for item in render("--set", "monitoring.alerts=true") if item["kind"] == "PrometheusRule"]
    spec: Object = rule["spec"]
    return spec


def promtool(folder: Path, rules: Object, tests: list[Object]) -> "subprocess.CompletedProcess[str]":
    if not shutil.which("promtool"):
        lacking("no promtool on the PATH: the test of the alerts needs it", "PROMTOOL")
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": tests}))
    command = ["promtool", "test", "rules", str(folder / "tests.yaml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_each_alert_fires_alone_and_in_time(rules: Object, tmp_path: Path) -> None:
    assert {rule["alert"] for group in rules["groups"] for rule in group["rules"]} == CASES.keys()
    tests = [{"interval": "1m", "input_series": series(CALM), "promql_expr_test": [firing(60)]}]
    for alert, cases in CASES.items():
        for values, quiet, fires in cases:
            expected = [firing(quiet), firing(fires, alert)]
            tests.append({"interval": "1m", "input_series": series(values), "promql_expr_test": expected})
    result = promtool(tmp_path, rules, tests)
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_alert_that_does_not_fire_is_found(rules: Object, tmp_path: Path) -> None:
    test = {"interval": "1m", "input_series": series(CALM), "promql_expr_test": [firing(60, "LookbookFull")]}
    assert promtool(tmp_path, rules, [test]).returncode
