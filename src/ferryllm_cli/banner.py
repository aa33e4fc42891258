"""What `ferryllm serve` prints when it is ready: where it listens, what it serves, and commands to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferryllm_net.config import Settings
    from ferryllm_net.gateway import Doors


def banner(settings: Settings, doors: Doors) -> str:
    """The text; ``doors`` are what is listened on."""
    bound = next((one for one in doors.bound if one.settings.address.host), None)
    if bound is None:
        base, further = "", list(doors.texts[1:])
    else:
        address = bound.settings.address
        base = f"{'https' if bound.settings.tls else 'http'}://{_reachable(address.host)}:{address.port}"
        further = [one.text for one in doors.bound if one is not bound]
    workers = f", {settings.server.workers} workers" if settings.server.workers > 1 else ""
    how = f"({settings.server.backend}{workers}), configuration: {settings.source or 'none'}"
    lines = [f"ferryllm listens on {base or doors.texts[0]} {how}"]
    lines.extend(f"  and on {text}" for text in further)
    if settings.demo:
        lines.append("No provider key was found: a built-in demo provider answers. Nothing leaves this machine.")
    else:
        for provider in settings.providers:
            key = "key set" if provider.api_key is not None or provider.key_url is not None else "no key"
            lines.append(f"  provider {provider.name} ({provider.type}, {key}) {provider.base_url}")
    model = _example_model(settings)
    if model is None or not base:
        return "\n".join(lines)
    return "\n".join([*lines, "", "Try it (paste as it is):", "", commands(base, model, _key(settings))])


_PROMPT = "Reply with one word: pong"


def commands(base: str, model: str, key: str) -> str:
    """Commands that work as printed against a gateway at ``base``; ``key`` may be a shell variable."""
    turn = f'"messages":[{{"role":"user","content":"{_PROMPT}"}}]'
    python_turn = f'messages=[{{"role": "user", "content": "{_PROMPT}"}}]'
    post = f"-H 'content-type: application/json' -H \"authorization: Bearer {key}\""
    codex = "-c model_providers.ferryllm"
    return f"""\
# Chat Completions
curl -s {base}/v1/chat/completions {post} \\
  -d '{{"model":"{model}",{turn}}}'

# Responses
curl -s {base}/v1/responses {post} \\
  -d '{{"model":"{model}","input":"{_PROMPT}"}}'

# Messages, streamed
curl -sN {base}/v1/messages {post} \\
  -d '{{"model":"{model}","max_tokens":64,"stream":true,{turn}}}'

# Gemini
curl -s {base}/v1beta/models/{model}:generateContent {post} \\
  -d '{{"contents":[{{"parts":[{{"text":"{_PROMPT}"}}]}}]}}'

# Ollama, streamed
curl -sN {base}/api/chat {post} \\
  -d '{{"model":"{model}",{turn}}}'

# OpenAI's Python SDK
OPENAI_BASE_URL={base}/v1 OPENAI_API_KEY={key} python3 -c '
from openai import OpenAI
answer = OpenAI().chat.completions.create(model="{model}", {python_turn})
print(answer.choices[0].message.content)'

# Anthropic's Python SDK
ANTHROPIC_BASE_URL={base} ANTHROPIC_API_KEY={key} python3 -c '
from anthropic import Anthropic
answer = Anthropic().messages.create(model="{model}", max_tokens=64, {python_turn})
print(answer.content[0].text)'

# Claude Code
ANTHROPIC_BASE_URL={base} ANTHROPIC_API_KEY={key} claude --bare --print --model {model} "{_PROMPT}"

# Codex
FERRYLLM_KEY={key} codex exec --skip-git-repo-check --model {model} \\
  -c model_provider=ferryllm {codex}.name=ferryllm {codex}.base_url={base}/v1 \\
  {codex}.env_key=FERRYLLM_KEY {codex}.wire_api=responses "{_PROMPT}"

# Gemini CLI
GOOGLE_GEMINI_BASE_URL={base} GEMINI_API_KEY={key} gemini --model {model} --prompt "{_PROMPT}"

# Ollama's own programs
OLLAMA_HOST={base} ollama run {model} "{_PROMPT}"
"""


def _reachable(host: str) -> str:
    if host in ("0.0.0.0", ""):
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def _example_model(settings: Settings) -> str | None:
    """A name that certainly has a route and a provider that knows it; None when we can not tell."""
    if settings.demo:
        return "demo"
    for route in settings.routes:
        if route.match_type == "exact" and route.match != "*":
            return route.match
    return None


def _key(settings: Settings) -> str:
    return "$FERRYLLM_KEY" if settings.auth.enabled else "any"
