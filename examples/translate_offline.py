"""The pieces of a dialect without any I/O: requests, whole answers and streams between two protocols.

python examples/translate_offline.py
"""

from ferryllm_proto import DIALECTS, Answer

anthropic, openai = DIALECTS["anthropic"], DIALECTS["openai"]

# A client's request, understood, and said again in the provider's words.
request = anthropic.decode_request(
    b"""{
      "model": "claude-opus-4-8", "max_tokens": 200, "top_k": 40,
      "system": "Be brief.",
      "messages": [{"role": "user", "content": "Weather in Paris?"}],
      "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
    }"""
)
upstream, losses = openai.encode_request(request, model="gpt-5.5")
print(upstream.method, upstream.path)
print(upstream.body.decode())
for loss in losses:
    print("lost:", loss)

# The provider's whole answer in the client's words.
response = openai.decode_response(
    b"""{
      "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5.5",
      "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Sunny."}}],
      "usage": {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}
    }"""
)
answer = Answer(model=request.model, seed=1, request=request)
print(anthropic.encode_response(response, answer).decode())

# The same as a stream, one event at a time.
decoder, encoder = openai.stream_decoder(), anthropic.stream_encoder(answer)
chunk = b'data: {"id":"c","model":"gpt-5.5","choices":[{"index":0,"delta":{"content":"Sunny."}}]}\n\n'
for event in decoder.receive_data(chunk):
    print(encoder.send(event).decode(), end="")
# The provider's connection ends too early: the client is told, in its own words.
for event in decoder.receive_eof():
    print(encoder.send(event).decode(), end="")
