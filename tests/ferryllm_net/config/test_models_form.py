"""Models in short: each a provider and an exact route."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, load_settings
from support.planted import PROVIDER_KEY

GOOD = """\
models:
  gpt-4.1:
    backend_type: openai
    endpoint: https://a.example/v1
    api_key: ${KEY}
    timeout_seconds: 12.5
    retry: 3
    ssl_verify: false
    headers:
      X-Team: blue
    transforms:
      - type: drop
        path: $.metadata
  mine:
    backend_type: anthropic
    endpoint: https://b.example
    api_key_env: KEY
    model: claude-opus-4-7
"""


def test_an_entry_is_a_provider_and_an_exact_route(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(GOOD)
    settings = load_settings(path, {"KEY": PROVIDER_KEY})
    first, second = settings.providers
    assert (first.name, first.type, first.base_url) == ("models.gpt-4.1", "openai", "https://a.example/v1")
    assert (first.timeouts.request_secs, first.ssl_verify) == (12.5, False)
    assert first.headers.force == (("x-team", "blue"),)
    assert [one.api_key.reveal() for one in (first, second) if one.api_key is not None] == [PROVIDER_KEY] * 2
    one, two = settings.routes
    assert (one.match, one.match_type, one.provider) == ("gpt-4.1", "exact", "models.gpt-4.1")
    assert one.overrides.retry is not None
    assert (one.overrides.retry.retries, two.overrides.retry) == (3, None)
    assert len(one.policies.transforms.request) == 1
    assert (two.match, two.rewrite_model) == ("mine", "claude-opus-4-7")


def test_faults_are_told_where_the_entry_stands(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(
        "models:\n  a:\n    backend_type: opena\n    endpoint: a.example\n    timeout: 3\n"
        "  b:\n    endpoint: https://x:y@b.example\n    backend_type: openai\n    headers: {Host: x}\n"
        "  c: 5\n  d:\n    backend_type: ollama\n    endpoint: http://127.0.0.1:1\n    model: ' '\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    assert [(one.line, one.key) for one in caught.value.problems] == [
        (3, "models.a.backend_type"),
        (4, "models.a.endpoint"),
        (5, "models.a.timeout"),
        (7, "models.b.endpoint"),
        (9, "models.b.headers.Host"),
        (10, "models.c"),
        (14, "models.d.model"),
    ]
