"""What the attempts of many requests share: circuits, bounds of providers, sessions."""

from __future__ import annotations

import msgspec

from ferryllm_proto import Gateway, Route, RouteTable
from ferryllm_proto.actions import Open, SendHead
from ferryllm_proto.inputs import ClientLost, UpstreamEnd, UpstreamHead
from ferryllm_proto.routing.affinity import AffinityRules
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.breaker import BreakerRules, State
from ferryllm_proto.routing.choice import ProviderBounds, Routing
from ferryllm_proto.routing.retry import RetryRules
from support.driver import GATEWAY, Driver, answer, only, refuse


def gateway(*routes: Route, retry: RetryRules | None = None) -> Gateway:
    providers = {**GATEWAY.providers, "third": msgspec.structs.replace(GATEWAY.providers["chat"], name="third")}
    return Gateway(RouteTable(routes), providers, retry=retry or RetryRules(retries=1, backoff=0.5))


SPARE = gateway(Route("claude-", "chat", rewrite_model="gpt-5.4", fallbacks=(Target("messages", "real"),)))


def breaking(failures: int = 1) -> Routing:
    return Routing(BreakerRules(failures=failures, cooldown=20.0))


def test_a_circuit_opens_is_tried_by_one_and_closes() -> None:
    routing = breaking()
    alone = gateway(Route("claude-", "chat"), retry=RetryRules())
    driver = Driver(alone, routing=routing)
    driver.ask()
    refuse(driver, 500)
    assert "provider circuit opened" in driver.notes()
    turned = Driver(alone, routing=routing, now=105.0)
    turned.ask()
    assert turned.status == 529
    assert ("retry-after", "15") in only(turned.actions, SendHead)[0].headers
    assert turned.record.error is not None
    assert (turned.record.error.code, turned.record.attempts) == ("circuit_open", 0)
    probe, other = (Driver(alone, routing=routing, now=121.0) for _ in range(2))
    probe.ask()
    assert "provider circuit half-open after cooldown" in probe.notes()
    other.ask()
    assert other.record.attempts == 0
    answer(probe)
    assert "provider circuit closed" in probe.notes()
    assert not routing.health.troubled


def test_a_probe_whose_client_leaves_is_given_back() -> None:
    routing = breaking()
    alone = gateway(Route("claude-", "chat"), retry=RetryRules())
    driver = Driver(alone, routing=routing)
    driver.ask()
    refuse(driver, 500)
    probe = Driver(alone, routing=routing, now=121.0)
    probe.ask()
    assert routing.health.state("chat", "claude-x", 121.0) is State.PROBING
    probe.feed(ClientLost())
    assert probe.tries == [("chat", "cancelled")]
    assert routing.health.state("chat", "claude-x", 121.0) is State.OPEN
    assert routing.loads.at("chat") == 0


def test_a_good_answer_forgives_what_failed_meanwhile() -> None:
    routing = breaking(failures=2)
    alone = gateway(Route("claude-", "chat"), retry=RetryRules())
    good, bad, worse = (Driver(alone, routing=routing) for _ in range(3))
    for driver in (good, bad, worse):
        driver.ask()
    refuse(bad, 500)
    answer(good)
    refuse(worse, 500)
    assert routing.health.state("chat", "claude-x", 100.0) is State.CLOSED


def test_an_open_circuit_is_gone_round() -> None:
    routing = breaking()
    for provider in ("chat", "messages"):
        driver = Driver(msgspec.structs.replace(SPARE, retry=RetryRules()), routing=routing)
        driver.ask()
        assert [one.provider for one in only(driver.actions, Open)] == [provider]
        driver.feed(UpstreamHead(500, ()))
        driver.feed(ClientLost()) if provider == "messages" else driver.feed(UpstreamEnd())


def test_a_target_at_its_bound_is_passed_over_until_it_has_room() -> None:
    routing = Routing(BreakerRules(), bounds={"chat": ProviderBounds(concurrency=1)})
    first, second, third = (Driver(SPARE, routing=routing) for _ in range(3))
    first.ask()
    second.ask()
    assert [only(one.actions, Open)[0].provider for one in (first, second)] == ["chat", "messages"]
    answer(first)
    third.ask()
    assert only(third.actions, Open)[0].provider == "chat"


def test_the_tokens_of_an_answer_replace_what_was_taken_for_it() -> None:
    routing = Routing(BreakerRules(), bounds={"chat": ProviderBounds(tokens_per_minute=1100)})
    small = gateway(Route("claude-", "chat"), retry=RetryRules())
    for _ in range(3):
        driver = Driver(small, routing=routing)
        driver.ask(stream=False)
        answer(driver, stream=False)  # 10 tokens each
        assert driver.status == 200


TWO = Route("claude-", "chat", targets=(Target("chat", "m"), Target("third", "m")))


def test_a_session_stays_where_it_was_answered() -> None:
    routing = Routing(BreakerRules())
    sticky = msgspec.structs.replace(gateway(TWO), affinity=AffinityRules())
    asked = []
    for _ in range(6):
        driver = Driver(sticky, routing=routing)
        driver.ask(("x-session-id", "s1"))
        asked.append(only(driver.actions, Open)[0].provider)
        answer(driver)
    assert len(set(asked)) == 1
    driver = Driver(sticky, routing=routing)
    driver.ask(("x-session-id", "s1"))
    refuse(driver, 401)
    answer(driver)
    driver = Driver(sticky, routing=routing)
    driver.ask(("x-session-id", "s1"))
    assert only(driver.actions, Open)[0].provider != asked[0], "it went on to where it was answered last"
