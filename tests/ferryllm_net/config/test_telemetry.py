"""`[metrics]`, `[audit]` and `[request_log]`: files that can be written, rules that can be used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ferryllm_net.config.problems import Report, key_text
from ferryllm_net.config.telemetry import resolve_audit, resolve_metrics, resolve_request_log
from ferryllm_net.config.telemetry_schema import Audit, Metrics, Redact, RequestLog
from ferryllm_net.config.telemetry_settings import FileSettings, MetricsSettings, RequestLogSettings


@pytest.fixture
def report() -> Report:
    return Report(lambda path: ("f", None, key_text(path)))


def said(report: Report) -> str:
    return "\n".join(map(str, report.problems))


def request_log(config: RequestLog, base: Path, report: Report) -> RequestLogSettings:
    found = resolve_request_log(config, base, report)
    assert found is not None, said(report)
    assert said(report) == ""
    return found


def test_the_defaults_are_those_of_the_settings(tmp_path: Path, report: Report) -> None:
    assert resolve_metrics(Metrics(), report) == MetricsSettings()
    assert resolve_audit(Audit(), tmp_path, report) is None
    assert resolve_request_log(RequestLog(), tmp_path, report) is None
    assert said(report) == ""


def test_metrics_that_are_off_are_not_public(report: Report) -> None:
    resolve_metrics(Metrics(enabled=False, public=True), report)
    assert "warning: metrics.public: not used, because metrics.enabled is false" in said(report)


def test_paths_count_from_the_configuration_and_sizes_are_bytes(tmp_path: Path, report: Report) -> None:
    assert resolve_audit(Audit("a.log"), tmp_path, report) == FileSettings(str(tmp_path / "a.log"), None, 5)
    found = request_log(RequestLog("r.log", max_mb=2, keep_files=1, max_body_kb=3), tmp_path, report)
    assert (found.file, found.max_body) == (FileSettings(str(tmp_path / "r.log"), 2 << 20, 1), 3072)


def test_headers_are_compared_in_lower_case(tmp_path: Path, report: Report) -> None:
    assert request_log(RequestLog("r", redact_headers=("X-Tenant ",)), tmp_path, report).headers == {"x-tenant"}


@pytest.mark.parametrize("path", ["", " ", "a\0b", "nowhere/a.log", "."])
def test_a_place_that_is_none_is_refused(tmp_path: Path, report: Report, path: str) -> None:
    assert resolve_audit(Audit(path), tmp_path, report) is None
    assert resolve_request_log(RequestLog(path), tmp_path, report) is None
    assert "audit.path" in said(report)
    assert "request_log.path" in said(report)


@pytest.mark.skipif(sys.platform == "win32", reason="other permissions")
def test_a_file_that_can_not_be_written_is_refused(
    tmp_path: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # whoever tests may be root
    assert resolve_audit(Audit("a.log"), tmp_path, report) is None
    assert "cannot be written" in said(report)


def test_tables_without_a_path_say_that_they_do_nothing(tmp_path: Path, report: Report) -> None:
    resolve_audit(Audit(max_mb=5), tmp_path, report)
    resolve_request_log(RequestLog(sample=0.5), tmp_path, report)
    assert 'audit: not used, because it has no path (add path = "audit.jsonl")' in said(report)
    assert "request_log: not used" in said(report)


def test_a_log_of_no_parts_is_a_warning(tmp_path: Path, report: Report) -> None:
    assert resolve_request_log(RequestLog("r", parts=()), tmp_path, report) is not None
    assert "request_log.parts: empty" in said(report)


def test_rules_are_compiled(tmp_path: Path, report: Report) -> None:
    rules = (Redact(path="$.a", replacement="(gone)"), Redact(pattern="b+", replacement="B"))
    found = request_log(RequestLog("r", redact=rules), tmp_path, report)
    ((find, replacement),) = found.paths
    assert (list(find({"a": 1, "b": 2})), replacement) == ([("a",)], "(gone)")
    (substitute,) = found.patterns
    assert substitute("abba") == "aBa"


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (Redact(), "request_log.redact[0]: expected either path or pattern"),
        (Redact(path="$.a", pattern="b"), "request_log.redact[0]: expected either path or pattern"),
        (Redact(path="a["), "request_log.redact[0].path: no JSONPath"),
        (Redact(pattern="(?=a)"), "request_log.redact[0].pattern: no regular expression"),
        (Redact(pattern="a*"), "request_log.redact[0].pattern: matches a text of no length"),
        (Redact(pattern="a", replacement=r"\1"), "request_log.redact[0].replacement"),
    ],
)
def test_rules_that_can_not_be_used_are_errors(tmp_path: Path, report: Report, rule: Redact, problem: str) -> None:
    resolve_request_log(RequestLog("r", redact=(rule,)), tmp_path, report)
    assert problem in said(report)
