"""Mends as the file's own form has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, load_settings
from ferryllm_net.config.file_words import in_words_of


@pytest.mark.parametrize(
    ("mend", "yaml", "json"),
    [
        ("write workers = 2, without quotes", "write workers: 2, without quotes", 'write "workers": 2, without quotes'),
        ("add [[providers]] with name", "add an item of providers with name", "add an item of providers with name"),
        (
            'add store = "sqlite" in [keys], or leave it out',
            'add store: "sqlite" in keys, or leave it out',
            'add "store": "sqlite" in keys, or leave it out',
        ),
        ("set auth.enabled = true", "set auth.enabled: true", 'set "auth.enabled": true'),
        ('write statuses = ["x"]', 'write statuses: ["x"]', 'write "statuses": ["x"]'),
        ("install ferryllm[yaml]", "install ferryllm[yaml]", "install ferryllm[yaml]"),
        ("keep providers[1]", "keep providers[1]", "keep providers[1]"),
    ],
)
def test_keys_and_tables_are_written_as_the_form_has_them(mend: str, yaml: str, json: str) -> None:
    assert in_words_of("/a/f.toml", mend) == mend
    assert in_words_of("environment", mend) == mend
    assert in_words_of("f.YML", mend) == yaml
    assert in_words_of("f.json", mend) == json


def test_problems_of_a_file_speak_its_form(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text('{\n"server": {"workers": "2"}}')
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    assert [(one.line, one.mend) for one in caught.value.problems if one.key == "server.workers"] == [
        (2, 'write "workers": 2, without quotes')
    ]
