"""Keys and browsers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.dialect import Headers
from ferryllm_proto.policy.access import AccessRules, identify, key_digest, owner, without_keys
from ferryllm_proto.policy.cors import CorsPolicy
from ferryllm_proto.policy.key_text import key_text
from ferryllm_proto.routing.keys import ClientKey, KeyBook, Refusal

ONE, TWO = (ClientKey(name, key_digest(f"fk-{name}-0123456789")) for name in ("one", "two"))
KEYS = KeyBook((ONE, TWO))
OPEN = AccessRules(hosts=("gateway.local",))
LOCAL = ("host", "127.0.0.1:3000")
JSON = ("content-type", "application/json")


def check(
    rules: AccessRules | KeyBook, method: str, headers: Headers, target: str = "", *, uploads: bool = False
) -> ir.Error | None:
    """Why a request is turned away: by a gateway with keys, or by one without."""
    keys = rules if isinstance(rules, KeyBook) else None
    found = identify(
        AccessRules() if isinstance(rules, KeyBook) else rules, keys, method, headers, target, uploads=uploads
    )
    return found.error if isinstance(found, Refusal) else None


def whose(headers: Headers, target: str = "") -> str:
    found = identify(AccessRules(), KEYS, "POST", headers, target)
    assert isinstance(found, ClientKey)
    return owner(found)


def kind(error: ir.Error | None) -> ir.ErrorKind | None:
    return None if error is None else error.kind


@pytest.mark.parametrize(
    "headers",
    [
        [("x-api-key", "fk-one-0123456789")],
        [("X-Api-Key", "fk-two-0123456789")],
        [("authorization", "Bearer fk-one-0123456789")],
        [("Authorization", "bearer  fk-one-0123456789 ")],
        [("authorization", "Bearer fk-one-0123456789"), ("x-api-key", "fk-one-0123456789")],
    ],
)
def test_e16_known_key_is_accepted_in_either_header(headers: list[tuple[str, str]]) -> None:
    assert check(KEYS, "POST", headers) is None


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ([], "no API key"),
        ([("x-api-key", "fk-one-012345678")], "not known"),
        ([("x-api-key", "")], "not known"),
        ([("authorization", "Basic abc")], "Bearer"),
        ([("authorization", "Bearer ")], "Bearer"),
        ([("authorization", "Bearer fk-one-0123456789"), ("x-api-key", "fk-two-0123456789")], "different"),
        ([("x-api-key", "fk-one-0123456789"), ("x-api-key", "other")], "different"),
    ],
)
def test_missing_wrong_and_contradicting_keys_are_refused(headers: list[tuple[str, str]], word: str) -> None:
    error = check(KEYS, "POST", headers)
    assert error is not None
    assert error.kind is ir.ErrorKind.AUTHENTICATION
    assert word in error.message
    assert "fk-one" not in error.message


def test_with_keys_a_browser_with_a_key_may_come_in() -> None:
    headers = [("x-api-key", "fk-one-0123456789"), ("origin", "https://app.example"), ("host", "gateway.example")]
    assert check(KEYS, "POST", headers) is None


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:3000", "localhost:3000", "LOCALHOST", "[::1]:3000", "127.8.8.8", "a.localhost", "gateway.local:1"],
)
def test_without_keys_loopback_hosts_and_the_configured_one_are_accepted(host: str) -> None:
    assert check(OPEN, "POST", [("host", host), JSON]) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "192.168.0.4:3000", "", "127.0.0.1.evil.example"]
)
def test_without_keys_a_foreign_host_on_loopback_is_refused(host: str) -> None:
    assert kind(check(OPEN, "POST", [("host", host), JSON])) is ir.ErrorKind.PERMISSION


def test_without_keys_beyond_loopback_any_host_is_accepted() -> None:
    assert check(AccessRules(loopback=False), "POST", [("host", "gpu-box:3000"), JSON]) is None


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (("origin", "https://evil.example"), ir.ErrorKind.PERMISSION),
        (("origin", "null"), ir.ErrorKind.PERMISSION),
        (("origin", "http://127.0.0.1:5173"), ir.ErrorKind.PERMISSION),
        (("origin", "http://127.0.0.1:3000"), None),
        (("sec-fetch-site", "cross-site"), ir.ErrorKind.PERMISSION),
        (("sec-fetch-site", "same-site"), ir.ErrorKind.PERMISSION),
        (("sec-fetch-site", "same-origin"), None),
        (("sec-fetch-site", "none"), None),
    ],
)
def test_without_keys_other_sites_pages_are_refused(extra: tuple[str, str], expected: ir.ErrorKind | None) -> None:
    assert kind(check(OPEN, "POST", [LOCAL, JSON, extra])) is expected


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", None),
        ("Application/JSON; charset=utf-8", None),
        ("application/vnd.api+json", None),
        ("text/plain", ir.ErrorKind.MEDIA_TYPE),
        ("application/x-www-form-urlencoded", ir.ErrorKind.MEDIA_TYPE),
        ("multipart/form-data; boundary=x", ir.ErrorKind.MEDIA_TYPE),
    ],
)
def test_without_keys_types_a_form_can_send_are_refused(content_type: str, expected: ir.ErrorKind | None) -> None:
    assert kind(check(OPEN, "POST", [LOCAL, ("content-type", content_type)])) is expected


def test_without_keys_a_get_needs_no_type() -> None:
    assert check(OPEN, "GET", [LOCAL]) is None


# --- whose a stored object is ----------------------------------------------------------------------------


def test_an_owner_is_the_same_by_every_way_a_key_can_come() -> None:
    key = "fk-one-0123456789"
    ways = [
        whose([("authorization", f"Bearer {key}")]),
        whose([("Authorization", f"bearer  {key} ")]),
        whose([("x-api-key", key)]),
        whose([("x-goog-api-key", key)]),
        whose([], f"/v1/responses?key={key}"),
    ]
    assert set(ways) == {owner(ONE)}
    assert ways[0] != whose([("x-api-key", "fk-two-0123456789")])


def test_n5_a_key_in_a_query_is_read_with_its_escapes_undone() -> None:
    rules = KeyBook((ClientKey("k", key_digest("fk+one/0=12\u00e9")),))
    for query in ("key=fk+one/0=12%C3%A9", "alt=sse&key=fk%2Bone%2F0%3D12%c3%a9", "%6bey=fk%2bone%2f0%3d12%C3%A9"):
        assert check(rules, "POST", [], f"/v1beta/models/m:generateContent?{query}") is None
    assert check(rules, "POST", [], "/v1beta/models/m:generateContent?key=fk%2520one") is not None


def test_n5_keys_of_the_gateway_are_no_part_of_a_providers_query() -> None:
    assert without_keys("") == ""
    assert without_keys("key=k") == ""
    assert without_keys("include=a%20b&key=k&%6Bey=k&monkey=1&limit=2") == "include=a%20b&monkey=1&limit=2"


def test_an_owner_tells_neither_the_key_nor_what_opens_the_gateway() -> None:
    name = owner(ONE)
    assert "fk-one" not in name
    assert bytes.fromhex(name) != ONE.digest


def test_a_key_whose_id_lasts_owns_the_same_under_another_text() -> None:
    one, other = (ClientKey("key_1", key_digest(text), lasting=True) for text in ("old", "new"))
    assert owner(one) == owner(other) != owner(ClientKey("key_2", one.digest, lasting=True))
    assert owner(one) not in (owner(ClientKey("key_1", one.digest)), "")


@pytest.mark.parametrize(("cut", "word"), [(0, "is not known here"), (1, "has a slip in it, or is cut short")])
def test_a_mistyped_key_is_told_from_one_that_is_not_known(cut: int, word: str) -> None:
    text = key_text(7)
    error = check(KEYS, "POST", [("x-api-key", text[: len(text) - cut])])
    assert error is not None
    assert word in error.message
    assert text[:8] not in error.message


def test_without_keys_there_is_one_owner() -> None:
    assert owner(None) == ""


# --- keys that are known and of no use -------------------------------------------------------------------

NOW = 1_795_262_400.0


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (ClientKey("k", ONE.digest, expires=NOW), "key_expired"),
        (ClientKey("k", ONE.digest, revoked=NOW - 1), "key_revoked"),
        (ClientKey("k", ONE.digest, expires=NOW + 1, revoked=NOW + 1), None),
    ],
)
def test_a_key_is_of_use_until_it_expires_or_is_revoked(key: ClientKey, code: str | None) -> None:
    found = identify(AccessRules(), KeyBook((key,)), "POST", [("x-api-key", "fk-one-0123456789")], "", NOW)
    if code is None:
        assert found is key
    else:
        assert isinstance(found, Refusal)
        assert (found.error.code, found.error.kind) == (code, ir.ErrorKind.AUTHENTICATION)


HINT = "ferryllm-provider:" + b"openai".hex()


def test_behind_a_hint_stands_the_key() -> None:
    headers = [("authorization", f"Bearer {HINT}:fk-one-0123456789")]
    assert identify(AccessRules(), KEYS, "POST", headers, hints=True) is ONE
    refused = identify(AccessRules(), KEYS, "POST", headers)
    assert isinstance(refused, Refusal)
    assert refused.reason == "key"


def test_a_hint_alone_is_no_key() -> None:
    refused = identify(AccessRules(), KEYS, "POST", [("x-api-key", HINT)], hints=True)
    assert isinstance(refused, Refusal)
    assert "hint alone" in refused.error.message
    assert identify(AccessRules(loopback=False), None, "GET", [("x-api-key", HINT)], hints=True) is None


FORM = ("content-type", "multipart/form-data; boundary=x")


@pytest.mark.parametrize("name", ["x-api-key", "x-goog-api-key", "api-key"])
def test_without_keys_an_upload_needs_some_key_which_no_page_can_send_unasked(name: str) -> None:
    refused = check(OPEN, "POST", [LOCAL, FORM], uploads=True)
    assert kind(refused) is ir.ErrorKind.PERMISSION
    assert "key" in refused.message  # type: ignore[union-attr]  # its kind was just compared
    assert check(OPEN, "POST", [LOCAL, FORM, (name, "any")], uploads=True) is None
    assert check(OPEN, "POST", [LOCAL, FORM, ("authorization", "Bearer any")], uploads=True) is None


@pytest.mark.parametrize(
    "header",
    [
        ("authorization", "Basic YTpi"),  # a browser may send one by itself
        ("cookie", "a=b"),
        ("user-agent", "OpenAI/Python"),
        ("accept", "application/json"),
    ],
)
def test_what_a_form_can_send_opens_no_upload(header: tuple[str, str]) -> None:
    assert kind(check(OPEN, "POST", [LOCAL, FORM, header], uploads=True)) is ir.ErrorKind.PERMISSION


@pytest.mark.parametrize("header", [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")])
def test_a_key_does_not_let_another_sites_page_upload(header: tuple[str, str]) -> None:
    headers = [LOCAL, FORM, ("authorization", "Bearer any"), header]
    assert kind(check(OPEN, "POST", headers, uploads=True)) is ir.ErrorKind.PERMISSION


def test_elsewhere_an_upload_stays_refused_whatever_key_it_has() -> None:
    headers = [LOCAL, FORM, ("authorization", "Bearer any")]
    assert kind(check(OPEN, "POST", headers)) is ir.ErrorKind.MEDIA_TYPE


def test_with_keys_an_upload_needs_a_right_one() -> None:
    assert check(KEYS, "POST", [FORM, ("authorization", "Bearer fk-one-0123456789")], uploads=True) is None
    assert kind(check(KEYS, "POST", [FORM], uploads=True)) is ir.ErrorKind.AUTHENTICATION


def test_curl_needs_no_type_and_a_page_does() -> None:
    form = ("content-type", "application/x-www-form-urlencoded")
    assert check(OPEN, "POST", [LOCAL, form, ("user-agent", "curl/8.5.0")]) is None
    for other in ("Mozilla/5.0", "xcurl/8", ""):
        assert kind(check(OPEN, "POST", [LOCAL, form, ("user-agent", other)])) is ir.ErrorKind.MEDIA_TYPE
    crossed = [LOCAL, form, ("user-agent", "curl/8.5.0"), ("origin", "https://evil.example")]
    assert kind(check(OPEN, "POST", crossed)) is ir.ErrorKind.PERMISSION


PAGE = "https://app.example.com"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([LOCAL, ("origin", PAGE), ("sec-fetch-site", "cross-site")], None),
        ([LOCAL, ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")], ir.ErrorKind.PERMISSION),
        ([LOCAL, ("sec-fetch-site", "cross-site")], ir.ErrorKind.PERMISSION),
        ([("host", "evil.example"), ("origin", PAGE)], ir.ErrorKind.PERMISSION),
        ([LOCAL, ("origin", PAGE), ("content-type", "text/plain")], ir.ErrorKind.MEDIA_TYPE),
    ],
)
def test_a_page_that_is_named_comes_in_and_nothing_else_does(
    headers: list[tuple[str, str]], found: ir.ErrorKind | None
) -> None:
    assert kind(check(AccessRules(pages=CorsPolicy((PAGE,))), "POST", headers)) is found


@given(
    st.sampled_from([None, "null", "http://127.0.0.1:3000", "http://evil.example"]),
    st.sampled_from([None, "none", "cross-site", "same-origin"]),
    st.sampled_from([None, "application/json", " application/json ", "text/plain", "application/JSON; a=b"]),
    st.sampled_from(["127.0.0.1:3000", "gateway.local", "evil.example", "[::1]:1", "x" * 300, ""]),
)
def test_the_usual_request_is_judged_as_all_others(
    origin: str | None, site: str | None, content: str | None, host: str
) -> None:
    given_ = {"host": host, "origin": origin, "sec-fetch-site": site, "content-type": content}
    headers = tuple((name, value) for name, value in given_.items() if value is not None)
    # A parameter of the content type and a space before the host mean nothing: with them it is no usual request.
    unusual = [(name, f"{value};" if name == "content-type" else f" {value}") for name, value in headers]
    assert kind(check(OPEN, "POST", headers)) == kind(check(OPEN, "POST", unusual))
    assert (check(OPEN, "POST", headers) is None) == (
        host in ("127.0.0.1:3000", "gateway.local", "[::1]:1")
        and (origin is None or origin == f"http://{host}")
        and site in (None, "none", "same-origin")
        and (content is None or "json" in content.lower())
    )
