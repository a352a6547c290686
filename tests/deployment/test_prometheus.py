"""The scrape configuration and the alerts, under promtool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from scoresvc.examples import read_example
from tests.deployment.proxies import replaced

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")

# Each alert fires in the service that is ill, and not in the healthy one.
RULE_TESTS = """
rule_files: [scoresvc.alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="scoresvc",instance="down",game="a"}', values: '1 1 0x20'}
      - {series: 'up{job="scoresvc",instance="up",game="a"}', values: '1x20'}
      - {series: 'scoresvc_requests_total{instance="full",game="a",call="score",status="503"}', values: '0+5x20'}
      - {series: 'scoresvc_requests_total{instance="up",game="a",call="score",status="503"}', values: '7x20'}
      - {series: 'scoresvc_requests_total{instance="up",game="a",call="score",status="200"}', values: '0+9x20'}
    alert_rule_test:
      - alertname: ScoresNotReady
        eval_time: 10m
        exp_alerts:
          - exp_labels: {severity: critical, job: scoresvc, instance: down, game: a}
            exp_annotations: {summary: "a does not answer, or answers 503: its log says why."}
          - exp_labels: {severity: critical, instance: full, game: a}
            exp_annotations: {summary: "a does not answer, or answers 503: its log says why."}
  - interval: 1m
    input_series:
      - {series: 'scoresvc_waiting_writes{instance="stuck",game="a"}', values: '3x20'}
      - {series: 'scoresvc_commits_total{instance="stuck",game="a"}', values: '8x20'}
      - {series: 'scoresvc_waiting_writes{instance="busy",game="a"}', values: '300x20'}
      - {series: 'scoresvc_commits_total{instance="busy",game="a"}', values: '0+8x20'}
      - {series: 'scoresvc_waiting_writes{instance="idle",game="a"}', values: '0x20'}
      - {series: 'scoresvc_commits_total{instance="idle",game="a"}', values: '8x20'}
    alert_rule_test:
      - alertname: ScoresWritesWait
        eval_time: 10m
        exp_alerts:
          - exp_labels: {severity: critical, instance: stuck, game: a}
            exp_annotations: {summary: "a has writes that wait, and none was committed for two minutes."}
  - interval: 4m
    input_series:
      - {series: 'scoresvc_last_backup_timestamp_seconds{instance="old",game="a"}', values: '0x800'}
      - {series: 'scoresvc_last_backup_timestamp_seconds{instance="fresh",game="a"}', values: '0+240x800'}
    alert_rule_test:
      - alertname: ScoresNoBackup
        eval_time: 50h
        exp_alerts:
          - exp_labels: {severity: warning, instance: old, game: a}
            exp_annotations: {summary: "The last backup of a is older than two days."}
"""


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in the place of /etc/prometheus."""
    (tmp_path / "scoresvc.token").touch()
    (tmp_path / "prometheus.yml").write_text(replaced(read_example("prometheus"), "/etc/prometheus", str(tmp_path)))
    (tmp_path / "scoresvc.alerts.yml").write_text(read_example("alerts"))
    return tmp_path


def test_prometheus_takes_the_configuration_and_the_alerts(folder: Path) -> None:
    result = promtool(folder, "check", "config", "prometheus.yml")

    assert result.returncode == 0, result.stderr
    assert "3 rules found" in result.stdout


def test_an_alert_fires_for_what_it_names_alone(folder: Path) -> None:
    (folder / "rule_tests.yml").write_text(RULE_TESTS)

    result = promtool(folder, "test", "rules", "rule_tests.yml")

    assert result.returncode == 0, result.stdout + result.stderr
