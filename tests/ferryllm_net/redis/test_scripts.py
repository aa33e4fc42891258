"""The scripts are in the package, and known by what they say."""

from __future__ import annotations

import hashlib

from ferryllm_net.redis.scripts import script


def test_a_script_is_its_parts_one_behind_the_other() -> None:
    found = script("buckets", "admit")
    assert found.name == "admit"
    assert found.text.startswith(b"-- A bucket")
    assert b"-- Whether a request may go on" in found.text
    assert found.digest == hashlib.sha1(found.text).hexdigest()
    assert script("buckets", "admit") is found
