"""Fields of a Gemini request (wire.md 5.1; the types of the official SDK)."""

# A row is a line, so that the marks stand under each other:
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from .row import Place, Row

_DOOR = "/v1beta/models/m:generateContent"
_SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
_OWN_SCHEMA = {"type": "OBJECT", "properties": {"x": {"type": "INTEGER"}}, "required": ["x"]}
_FUNCTION = {"name": "look", "description": "looks", "parametersJsonSchema": _SCHEMA}
_OTHER = {"name": "find", "description": "finds", "parametersJsonSchema": _SCHEMA}
_ASK = {"role": "user", "parts": [{"text": "hi"}]}
_PNG = {"mimeType": "image/png", "data": "iVBORw0KGgo="}
_CALL = {"functionCall": {"name": "look", "args": {"x": 1}}}
_RESULT = {"functionResponse": {"name": "look", "response": {"result": "found"}}}


def _body(*contents: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"contents": list(contents) or [_ASK], **fields}


def _place(path: str, at: str, body: dict[str, Any]) -> Place:
    return Place("gemini", path, at, body, _DOOR)


_BODY = _place("", "", _body())
_CONFIG = _place("generationConfig", "generationConfig", _body(generationConfig={}))
_JSON = _place("generationConfig", "generationConfig", _body(generationConfig={"responseMimeType": "application/json"}))
_TOOLED = _place("", "", _body(tools=[{"functionDeclarations": [_FUNCTION, _OTHER]}]))
_TOOL = _place("tools[].functionDeclarations[]", "tools[0].functionDeclarations[0]", _body(tools=[{"functionDeclarations": [_FUNCTION]}]))
_OWN = _place("tools[].functionDeclarations[]", "tools[0].functionDeclarations[0]", _body(tools=[{"functionDeclarations": [{"name": "look", "parameters": _OWN_SCHEMA}]}]))
_CALLING = _place("toolConfig.functionCallingConfig", "toolConfig.functionCallingConfig", _body(tools=[{"functionDeclarations": [_FUNCTION, _OTHER]}], toolConfig={"functionCallingConfig": {}}))
_ENTRY = _place("tools[]", "tools[0]", _body(tools=[{"functionDeclarations": [_FUNCTION]}]))
_CONTENT = _place("contents[]", "contents[1]", _body(_ASK, {"role": "user", "parts": [{"text": "go on"}]}, _ASK))


def _part(part: dict[str, Any]) -> Place:
    return _place("contents[].parts[]", "contents[0].parts[0]", _body({"role": "user", "parts": [part, {"text": "see"}]}))


def _said(part: dict[str, Any]) -> Place:
    return _place("contents[].parts[]", "contents[1].parts[0]", _body(_ASK, {"role": "model", "parts": [part, {"text": "so"}]}, _ASK))


_TEXT = _part({"text": "look"})
_IMAGE = _part({"inlineData": _PNG})
_FILE = _part({"fileData": {"fileUri": "https://example.com/a.png", "mimeType": "image/png"}})
_ANSWER = _said({"text": "yes"})
_CALLS = _body(_ASK, {"role": "model", "parts": [_CALL]}, {"role": "user", "parts": [_RESULT]}, tools=[{"functionDeclarations": [_FUNCTION]}])
_CALLED = _place("contents[].parts[]", "contents[1].parts[0]", _CALLS)
_ANSWERED = _place("contents[].parts[]", "contents[2].parts[0]", _CALLS)
_ASKED = _place("contents[].parts[]", "contents[1].parts[0]", _body(_ASK, {"role": "model", "parts": [{"functionCall": {"id": "c1", **_CALL["functionCall"]}}]}, {"role": "user", "parts": [{"functionResponse": {"id": "c1", **_RESULT["functionResponse"]}}]}, tools=[{"functionDeclarations": [_FUNCTION]}]))
_CODE = _said({"executableCode": {"language": "PYTHON", "code": "1"}})
_OUTPUT = _said({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}})
_ANSWER_CONTENT = _place("contents[]", "contents[1]", _body(_ASK, {"role": "model", "parts": [{"text": "yes"}]}, _ASK))
_SYSTEM = _place("systemInstruction", "systemInstruction", _body(systemInstruction={"parts": [{"text": "be brief"}]}))
_SYSTEM_PART = _place("systemInstruction.parts[]", "systemInstruction.parts[0]", _SYSTEM.body)

BODY: tuple[Row, ...] = (
    _BODY("cachedContent", "cachedContents/1", "!!!=!"),
    _BODY("labels", {"job": "7"}, "---=-"),
    _BODY("modelArmorConfig", {"promptTemplateName": "t"}, "---=-"),
    _BODY("safetySettings", [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}], "---=-"),
    _BODY("serviceTier", "flex", "==-=-"),
    _BODY("store", True, "-=-=-"),
    _BODY("store", False, "...=.", when="false"),
    _SYSTEM("role", "system", "...=."),
    _SYSTEM_PART("text", "be kind", "=====", instead="be brief"),
    _CALLING("mode", "ANY", "====!"),
    _CALLING("mode", "AUTO", "...=.", when="AUTO"),
    _CALLING("mode", "NONE", "=====", when="NONE"),
    _CALLING("allowedFunctionNames", ["look"], "====!", beside={"mode": "ANY"}, told=""),
    _CALLING("streamFunctionCallArguments", True, "---=-"),
    _TOOLED("toolConfig.includeServerSideToolInvocations", True, "---=-"),
    _TOOLED("toolConfig.retrievalConfig", {"languageCode": "de"}, "---=-"),
)

CONFIG: tuple[Row, ...] = (
    _CONFIG("audioTimestamp", True, "---=-"),
    _CONFIG("audioTranscriptionConfig", {"mode": "x"}, "---=-"),
    _CONFIG("candidateCount", 2, "!!!=!"),
    _CONFIG("candidateCount", 1, "...=.", when="1"),
    _CONFIG("enableAffectiveDialog", True, "---=-"),
    _CONFIG("enableEnhancedCivicAnswers", True, "---=-"),
    _CONFIG("frequencyPenalty", 0.5, "=--==", newer="---=="),
    _CONFIG("imageConfig", {"aspectRatio": "1:1"}, "---=-"),
    _CONFIG("logprobs", 3, "==!=="),
    _CONFIG("maxOutputTokens", 4000, "====="),
    _CONFIG("mediaResolution", "MEDIA_RESOLUTION_LOW", "---=-"),
    _CONFIG("modelSelectionConfig", {"featureSelectionPreference": "BALANCED"}, "---=-"),
    _CONFIG("presencePenalty", 0.5, "=--==", newer="---=="),
    _CONFIG("responseFormat", [{"image": {"mimeType": "image/png"}}], "!!!=!"),
    _JSON("responseJsonSchema", _SCHEMA, "====="),
    _CONFIG("responseLogprobs", True, "==!=="),
    _CONFIG("responseMimeType", "application/json", "==!==", when="application/json"),
    _CONFIG("responseMimeType", "text/plain", ".=.=.", when="text/plain"),
    _CONFIG("responseMimeType", "text/x.enum", "!!!=!", when="text/x.enum"),
    _CONFIG("responseModalities", ["TEXT", "IMAGE"], "!!!=!"),
    _CONFIG("responseModalities", ["TEXT"], "...=.", when='["TEXT"]'),
    _JSON("responseSchema", _OWN_SCHEMA, "==~=="),
    _CONFIG("routingConfig", {"manualMode": {"modelName": "m"}}, "---=-"),
    _CONFIG("seed", 7, "=--=="),
    _CONFIG("speechConfig", {"languageCode": "de-DE"}, "---=-"),
    _CONFIG("stopSequences", ["END"], "=!==="),
    _CONFIG("temperature", 0.5, "=====", newer="---=="),
    _CONFIG("temperature", 1.5, "==~==", newer="---==", when="above 1"),
    _CONFIG("thinkingConfig.includeThoughts", True, "---=-", newer="-===-"),
    _CONFIG("thinkingConfig.thinkingBudget", 2048, "--==-", newer="~~~=~"),
    _CONFIG("thinkingConfig.thinkingBudget", 0, "..==.", newer="=====", when="0"),
    _CONFIG("thinkingConfig.thinkingBudget", -1, "--==-", newer=".====", when="-1", told="thinkingConfig"),
    _CONFIG("thinkingConfig.thinkingLevel", "HIGH", "--==-", newer="====="),
    _CONFIG("topK", 4, "--===", newer="---=="),
    _CONFIG("topP", 0.5, "=====", newer="---=="),
    _CONFIG("translationConfig", {"targetLanguageCode": "de"}, "---=-"),
)

TOOLS: tuple[Row, ...] = (
    _TOOL("behavior", "BLOCKING", "---=-"),
    _TOOL("description", "seeks", "====="),
    _TOOL("name", "seek", "=====", instead="look"),
    _OWN("parameters", {**_OWN_SCHEMA, "title": "t"}, "=====", instead=_OWN_SCHEMA),
    _TOOL("parametersJsonSchema", {**_SCHEMA, "title": "t"}, "=====", instead=_SCHEMA),
    _TOOL("response", _OWN_SCHEMA, "---=-"),
    _TOOL("responseJsonSchema", _SCHEMA, "---=-"),
    _ENTRY("codeExecution", {}, "---=-"),
    _ENTRY("computerUse", {"environment": "ENVIRONMENT_BROWSER"}, "---=-"),
    _ENTRY("enterpriseWebSearch", {}, "---=-"),
    _ENTRY("exaAiSearch", {"apiKey": "k"}, "---=-"),
    _ENTRY("fileSearch", {"fileSearchStoreNames": ["s"]}, "---=-"),
    _ENTRY("googleMaps", {}, "---=-"),
    _ENTRY("googleSearch", {}, "-===-"),
    _ENTRY("googleSearchRetrieval", {}, "-===-"),
    _ENTRY("mcpServers", [{"name": "deep"}], "---=-"),
    _ENTRY("parallelAiSearch", {"apiKey": "k"}, "---=-"),
    _ENTRY("retrieval", {}, "---=-"),
    _ENTRY("urlContext", {}, "---=-"),
)

PARTS: tuple[Row, ...] = (
    _CONTENT("role", "model", "=====", instead="user"),
    _TEXT("text", "hello", "=====", instead="look"),
    _ANSWER("text", "no", "=====", instead="yes", when="of the model"),
    _ANSWER("thought", True, "---==", told=""),
    _ANSWER("thoughtSignature", "c2ln", "---=-"),
    _IMAGE("inlineData.data", "iVBORw0KGgoA", "=====", instead="iVBORw0KGgo="),
    _IMAGE("inlineData.mimeType", "image/webp", "====.", instead="image/png"),
    _IMAGE("inlineData.displayName", "a.png", "---=-"),
    _CONTENT("parts[].inlineData", {"mimeType": "application/pdf", "data": "JVBERi0x"}, "====!", when="a PDF"),
    _CONTENT("parts[].inlineData", {"mimeType": "audio/wav", "data": "AAAA"}, "==!=!", when="sound"),
    _CONTENT("parts[].inlineData", {"mimeType": "video/mp4", "data": "AAAA"}, "!!!=!", when="video"),
    _FILE("fileData.fileUri", "https://example.com/b.png", "====!", instead="https://example.com/a.png"),
    _FILE("fileData.mimeType", "image/webp", "...=!", instead="image/png"),
    _FILE("fileData.displayName", "a.png", "---=!"),
    _CONTENT("parts[].fileData", {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1", "mimeType": "application/pdf"}, "!!!=!", when="a file of Gemini's"),
    _ASKED("functionCall.name", "find", "=====", instead="look"),
    _CALLED("functionCall.args", {"x": 2}, "=====", instead={"x": 1}),
    _CALLED("functionCall.id", "call_1", "====="),
    _CALLED("functionCall.partialArgs", [{"jsonPath": "$.x", "numberValue": 1}], "---=-"),
    _CALLED("functionCall.willContinue", True, "---=-"),
    _CALLED("thoughtSignature", "c2ln", "---=-", when="of a call"),
    _ANSWERED("functionResponse.name", "look", "....."),
    _ANSWERED("functionResponse.response", {"result": "lost"}, "=====", instead={"result": "found"}),
    _ANSWERED("functionResponse.response", {"error": "broken"}, "~~==~", instead={"result": "found"}, when="an error"),
    _ANSWERED("functionResponse.id", "call_1", "...=."),
    _ANSWERED("functionResponse.parts", [{"inlineData": _PNG}], "~===~", told="functionResponse.parts[0]"),
    _ANSWERED("functionResponse.scheduling", "WHEN_IDLE", "---=-"),
    _ANSWERED("functionResponse.willContinue", False, "---=-"),
    _CODE("executableCode", {"language": "PYTHON", "code": "2"}, "~~~=~", instead={"language": "PYTHON", "code": "1"}),
    _OUTPUT("codeExecutionResult", {"outcome": "OUTCOME_OK", "output": "2"}, "~~~=~", instead={"outcome": "OUTCOME_OK", "output": "1"}),
    _ANSWER_CONTENT("parts[].toolCall", {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}, "~~~=~", told="parts[1]"),
    _ANSWER_CONTENT("parts[].toolResponse", {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "response": {}}, "~~~=~", told="parts[1]"),
    _IMAGE("videoMetadata", {"fps": 1}, "---=-"),
    _IMAGE("mediaResolution", {"level": "MEDIA_RESOLUTION_LOW"}, "---=-"),
    _IMAGE("mediaProcessing", "x", "---=-"),
    _TEXT("partMetadata", {"a": "b"}, "---=-"),
    _TEXT("audioMetadata", {"startOffset": "1s"}, "---=-"),
    _TEXT("audioTranscription", {"text": "t"}, "---=-"),
    _TEXT("documentMetadata", {"startPage": 1}, "---=-"),
    _TEXT("speechMetadata", {"speaker": "ann"}, "---=-"),
    _TEXT("spreadsheetMetadata", {"sheetIndex": 1}, "---=-"),
)

FIELDS: tuple[Row, ...] = (*BODY, *CONFIG, *TOOLS, *PARTS)
