from __future__ import annotations

import pytest

from ferryllm_proto.dialects.gemini import paths
from ferryllm_proto.errors import RemoteProtocolError


@pytest.mark.parametrize(
    ("path", "model", "stream", "sse", "version"),
    [
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", False, False, "v1beta"),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", "m", True, True, "v1beta"),
        ("/v1beta/models/m:streamGenerateContent", "m", True, False, "v1beta"),
        ("/v1/models/m:streamGenerateContent?key=x&%24alt=sse", "m", True, True, "v1"),
        ("/v1alpha/models/m:streamGenerateContent?$alt=json;enum-encoding=int", "m", True, False, "v1alpha"),
        ("/v1beta/models/models/m:generateContent", "m", False, False, "v1beta"),
        ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine", False, False, "v1beta"),
        ("/v1beta/models/a%2Fb%3A7b:generateContent", "a/b:7b", False, False, "v1beta"),
        ("/v1beta/models/org/model:7b:generateContent", "org/model:7b", False, False, "v1beta"),
        ("/v1/v1beta/models/m:countTokens", "m", False, False, "v1beta"),
        ("/v1/projects/p/locations/l/publishers/google/models/m:generateContent", "m", False, False, "v1"),
        ("/elsewhere", "", False, False, "v1beta"),
    ],
)
def test_n4_the_path_says_model_and_framing(path: str, model: str, stream: bool, sse: bool, version: str) -> None:
    asked = paths.read(path)
    assert (asked.model, asked.stream, asked.sse, asked.version) == (model, stream, sse, version)


def test_without_a_path_a_stream_is_of_events() -> None:
    assert paths.read(None) == paths.Asked("", "", "v1beta", True)


def test_a_path_is_built_with_escapes() -> None:
    assert paths.build("models/gemini-x", "generateContent") == "/v1beta/models/gemini-x:generateContent"
    assert paths.build("a/b c?", "countTokens", "v1") == "/v1/models/a/b%20c%3F:countTokens"
    assert paths.build("tunedModels/t", "generateContent") == "/v1beta/tunedModels/t:generateContent"


def test_escapes_round_trip() -> None:
    name = "ü/%41:x y"
    assert paths.read(paths.build(name, "generateContent")).model == name
    assert paths.unquote("%zz%4") == "%zz%4"


@pytest.mark.parametrize("model", ["a/../b", "..", "models/..", "a/./b", "tunedModels/../x"])
def test_no_name_of_a_model_leads_to_another_one(model: str) -> None:
    with pytest.raises(RemoteProtocolError, match="without segments of dots"):
        paths.build(model, paths.GENERATE)
    assert paths.build("a..b/.c", paths.GENERATE) == "/v1beta/models/a..b/.c:generateContent"
