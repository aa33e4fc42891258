"""What differs between two settings of the same providers, in words for the log: which key came anew, never what."""

from __future__ import annotations

from ferryllm_net.config import ProviderSettings, Settings
from ferryllm_net.telemetry import Log


def renewed(old: Settings, new: Settings) -> list[tuple[ProviderSettings, ProviderSettings]]:
    """The providers that are in both and differ, as they were and as they are."""
    before = {provider.name: provider for provider in old.providers}
    pairs = ((before[provider.name], provider) for provider in new.providers if provider.name in before)
    return [(was, is_) for was, is_ in pairs if was != is_]


def say_changes(log: Log, old: Settings, new: Settings) -> None:
    """Log which providers have another key or another URL from a file."""
    for was, now in renewed(old, new):
        if now.api_key != was.api_key and now.key_file is not None:
            kind = "watched file" if now.key_watched else "file"
            log.info(f"api key reloaded from {kind}", provider=now.name, file=now.key_file)
        elif now.api_key != was.api_key and now.key_url is not None:
            log.info("api key fetched anew", provider=now.name)
        if now.base_url != was.base_url and now.key_watched:
            log.info("base url reloaded from watched file", provider=now.name, base_url=now.base_url, file=now.key_file)
