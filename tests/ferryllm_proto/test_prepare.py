"""What a provider would get, without asking for an answer."""

from __future__ import annotations

import pytest

from ferryllm_proto import DIALECTS, RemoteProtocolError, ir
from ferryllm_proto.loss import Disposition
from ferryllm_proto.opaque import wrap
from ferryllm_proto.policy.headers import HeaderPolicy
from ferryllm_proto.policy.prompt_cache import PromptCachePolicy
from ferryllm_proto.policy.reasoning import Applied, ReasoningMode, ReasoningPolicy
from ferryllm_proto.policy.route import NO_POLICIES, RoutePolicies
from ferryllm_proto.policy.transforms import Drop, Transforms
from ferryllm_proto.prepare import Target, prepare, refusal

CHAT = DIALECTS["openai"]
MESSAGES = DIALECTS["anthropic"]
BODY = b'{"messages":[{"role":"user","content":"hi"}],"model":"mine","x_unknown":0.70}'


def test_g1_g2_bytes_pass_but_for_the_spliced_model() -> None:
    prepared = prepare(CHAT, Target(CHAT, "theirs"), BODY)
    assert prepared.upstream.body == BODY.replace(b'"mine"', b'"theirs"')
    assert (prepared.model, prepared.stream, prepared.request, prepared.losses) == ("mine", False, None, ())


def test_another_dialect_gets_a_translation_and_its_losses() -> None:
    prepared = prepare(CHAT, Target(MESSAGES, "theirs"), BODY)
    assert prepared.request is not None
    assert prepared.model == "mine"
    assert b'"theirs"' in prepared.upstream.body
    assert [(loss.path, loss.disposition) for loss in prepared.losses] == [("x_unknown", Disposition.DROPPED)]


def test_what_another_provider_minted_is_taken_out_on_the_way_to_the_same_dialect() -> None:
    token = wrap(ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "secret", "rs_1"))
    body = (
        b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":['
        b'{"type":"thinking","thinking":"t","signature":"%b"},{"type":"text","text":"b"}]},'
        b'{"role":"user","content":"c"}]}' % token.encode()
    )
    prepared = prepare(MESSAGES, Target(MESSAGES), body)
    assert b"ferry1." not in prepared.upstream.body
    assert [loss.disposition for loss in prepared.losses] == [Disposition.DROPPED]


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_a_model_has_to_be_named_in_the_body(backend: str) -> None:
    for name in (None, "theirs"):
        with pytest.raises(RemoteProtocolError) as caught:
            prepare(CHAT, Target(DIALECTS[backend], name), b'{"messages":[]}')
        assert caught.value.error.param == "model"


def test_g5_a_refusal_names_the_field_it_lost() -> None:
    body = BODY.replace(b'"x_unknown":0.70', b'"n":2')
    with pytest.raises(RemoteProtocolError) as caught:
        prepare(CHAT, Target(MESSAGES), body)
    (loss,) = refusal(caught.value)
    assert (loss.path, loss.disposition) == ("n", Disposition.REFUSED)
    assert refusal(RemoteProtocolError("model: this field is required", code="missing_required_parameter")) == ()


def test_policies_change_bytes_that_pass_by_splices_and_translations_as_a_request() -> None:
    policies = RoutePolicies(
        ReasoningPolicy(ReasoningMode.FORCE, "low"), PromptCachePolicy(breakpoints=True, key="team")
    )
    passed = prepare(CHAT, Target(CHAT, "gpt-5.2", policies=policies), BODY)
    expected = BODY.replace(b'"mine"', b'"gpt-5.2"')[:-1] + b',"reasoning_effort":"low"}'
    assert passed.upstream.body == expected
    assert passed.reasoning == Applied(None, "low", True)
    made = prepare(CHAT, Target(MESSAGES, "claude-opus-4-7", policies=policies), BODY)
    assert b'"output_config":{"effort":"low"}' in made.upstream.body
    assert made.shaped.breakpoints == 1
    assert made.request is not None
    assert made.request.reasoning is None, "answers are written for what the client asked"


def test_headers_of_the_configuration_are_on_every_way() -> None:
    policies = NO_POLICIES.at(HeaderPolicy(force=(("x-team", "blue"),)))
    for backend in (CHAT, MESSAGES):
        prepared = prepare(CHAT, Target(backend, "m", policies=policies), BODY)
        assert ("x-team", "blue") in prepared.upstream.headers


def test_transforms_come_before_everything_else() -> None:
    policies = RoutePolicies(transforms=Transforms(request=(Drop(lambda value: [("x_unknown",)]),)))
    assert prepare(CHAT, Target(MESSAGES, "m", policies=policies), BODY).losses == ()
