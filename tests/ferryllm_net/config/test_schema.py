"""The schema names exactly the dialects that exist, and its Structs are strict by themselves."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from ferryllm_net.config.schema import Config, Provider, ProviderType
from ferryllm_proto import DIALECTS


def test_provider_types_are_the_dialects() -> None:
    assert set(get_args(ProviderType)) == set(DIALECTS)


def test_unknown_fields_are_refused_by_the_structs_too() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"server": {"lisen": "x"}}, Config)


def test_a_provider_needs_name_type_and_base_url_alone() -> None:
    required = [field.name for field in msgspec.structs.fields(Provider) if field.required]
    assert required == ["name", "type", "base_url"]
