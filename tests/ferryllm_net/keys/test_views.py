"""Keys as they are shown: all but what would open anything."""

from __future__ import annotations

import msgspec

from ferryllm_net.keys.bounds import NO_BOUNDS, Bounds
from ferryllm_net.keys.stored import KeyText, StoredKey, StoredProject, Terms
from ferryllm_net.keys.views import bounds_text, key_view, project_view

NOW = 1_800_000_000.0
TEXTS = (KeyText(b"SECRETDIGEST", "fy-AbCd", NOW), KeyText(b"x", "fy-Gone", NOW, NOW + 5))
KEY = StoredKey("key_1", "ci", NOW, Terms("ada", models=("m*",), bounds=Bounds(daily_cost=5)), TEXTS, NOW + 60)


def test_a_key_is_shown_with_its_state_and_without_digests() -> None:
    view = key_view(KEY, NOW + 5)
    assert view == {
        "id": "key_1",
        "name": "ci",
        "state": "active",
        "user": "ada",
        "project": "",
        "models": ["m*"],
        "providers": [],
        "limits": {"daily_cost": 5e-9},
        "unpriced": False,
        "created": "2027-01-15T08:00:00Z",
        "expires": "2027-01-15T08:01:00Z",
        "revoked": None,
        "texts": [{"shown": "fy-AbCd", "created": "2027-01-15T08:00:00Z", "ends": None}],
    }
    assert b"SECRET" not in msgspec.json.encode(view)
    assert len(key_view(KEY, NOW)["texts"]) == 2  # type: ignore[arg-type]  # it is a list


def test_a_project_is_shown_with_its_limits() -> None:
    view = project_view(StoredProject("web", NOW, Bounds(monthly_tokens=7)))
    assert view == {"name": "web", "limits": {"monthly_tokens": 7}, "created": "2027-01-15T08:00:00Z"}


def test_bounds_are_a_line_for_people() -> None:
    bounds = Bounds(60, 100_000, 4, daily_cost=5_000_000_000, monthly_requests=1000, total_tokens=1)
    assert bounds_text(bounds) == (
        "60 requests a minute, 100,000 tokens a minute, 4 at once, $5.00 a day, 1,000 requests a month, 1 tokens in all"
    )
    assert bounds_text(NO_BOUNDS) == ""
