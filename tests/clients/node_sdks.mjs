// The official Node SDKs and the AI SDK, one after the other, against one gateway and one model.
//
//   node node_sdks.mjs BASE_URL MODEL
//
// Prints one JSON object a line: which client, which case, what it got. Everything is judged by the caller.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [base, model] = process.argv.slice(2);
globalThis.AI_SDK_LOG_WARNINGS = false; // they go where the answers go
const require = createRequire(pathToFileURL(process.env.NODE_SDKS + "/x.js"));
const load = async (name) => {
  const found = require(name);
  return found;
};

const TEXT = "mock: text=hello from afar";
const TOOL = 'mock: tool=get_weather {"city":"Paris"}\nmock: then=it is sunny\nmock: reasoning=let me think';
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

const say = (client, name, value) => console.log(JSON.stringify({ client, case: name, ...value }));
const attempt = async (client, name, run) => {
  try {
    say(client, name, await run());
  } catch (error) {
    say(client, name, { error: `${error?.name}: ${error?.message}`.slice(0, 600) });
  }
};

async function chat() {
  const OpenAI = (await load("openai")).default;
  const client = new OpenAI({ apiKey: "any", baseURL: `${base}/v1`, maxRetries: 0 });
  await attempt("openai.chat", "whole", async () => {
    const done = await client.chat.completions.create({ model, messages: [{ role: "user", content: TEXT }] });
    return { text: done.choices[0].message.content, model: done.model };
  });
  await attempt("openai.chat", "loop", async () => {
    const tools = [{ type: "function", function: { name: "get_weather", parameters: SCHEMA } }];
    const messages = [{ role: "user", content: TOOL }];
    const stream = client.chat.completions.stream({ model, messages, tools });
    const first = (await stream.finalChatCompletion()).choices[0];
    const [call] = first.message.tool_calls;
    messages.push(first.message, { role: "tool", tool_call_id: call.id, content: "sunny" });
    const last = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
    return { name: call.function.name, input: JSON.parse(call.function.arguments), text: last.choices[0].message.content };
  });
}

async function responses() {
  const OpenAI = (await load("openai")).default;
  const client = new OpenAI({ apiKey: "any", baseURL: `${base}/v1`, maxRetries: 0 });
  await attempt("openai.responses", "whole", async () => {
    const done = await client.responses.create({ model, input: TEXT, store: false });
    return { text: done.output_text, model: done.model };
  });
  await attempt("openai.responses", "loop", async () => {
    const tools = [{ type: "function", name: "get_weather", parameters: SCHEMA, strict: false }];
    const input = [{ role: "user", content: TOOL }];
    const ask = { model, tools, store: false, include: ["reasoning.encrypted_content"] };
    const first = await client.responses.stream({ ...ask, input }).finalResponse();
    const call = first.output.find((item) => item.type === "function_call");
    input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output: "sunny" });
    const last = await client.responses.stream({ ...ask, input }).finalResponse();
    const text = last.output.flatMap((item) => item.content ?? []).map((part) => part.text ?? "").join("");
    return { name: call.name, input: JSON.parse(call.arguments), text };
  });
}

async function messages() {
  const Anthropic = (await load("@anthropic-ai/sdk")).default;
  const client = new Anthropic({ apiKey: "any", baseURL: base, maxRetries: 0 });
  await attempt("anthropic", "whole", async () => {
    const done = await client.messages.create({ model, max_tokens: 900, messages: [{ role: "user", content: TEXT }] });
    return { text: done.content[0].text, model: done.model };
  });
  await attempt("anthropic", "loop", async () => {
    const tools = [{ name: "get_weather", input_schema: SCHEMA }];
    const said = [{ role: "user", content: TOOL }];
    const ask = { model, max_tokens: 4000, tools, thinking: { type: "enabled", budget_tokens: 2000 } };
    const first = await client.messages.stream({ ...ask, messages: said }).finalMessage();
    const call = first.content.find((block) => block.type === "tool_use");
    said.push({ role: "assistant", content: first.content });
    said.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "sunny" }] });
    const last = await client.messages.stream({ ...ask, messages: said }).finalMessage();
    return { name: call.name, input: call.input, text: last.content.map((block) => block.text ?? "").join("") };
  });
}

async function google() {
  const { GoogleGenAI } = await load("@google/genai");
  const client = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: base } });
  await attempt("google", "whole", async () => {
    const done = await client.models.generateContent({ model, contents: TEXT });
    return { text: done.text, model: done.modelVersion };
  });
  await attempt("google", "loop", async () => {
    const tools = [{ functionDeclarations: [{ name: "get_weather", parametersJsonSchema: SCHEMA }] }];
    const contents = [{ role: "user", parts: [{ text: TOOL }] }];
    const config = { tools, thinkingConfig: { includeThoughts: true } };
    const turn = async () => {
      const parts = [];
      for await (const chunk of await client.models.generateContentStream({ model, contents, config })) {
        parts.push(...(chunk.candidates?.[0]?.content?.parts ?? []));
      }
      return parts;
    };
    const first = await turn();
    const call = first.find((part) => part.functionCall).functionCall;
    contents.push({ role: "model", parts: first });
    const response = { id: call.id, name: call.name, response: { output: "sunny" } };
    contents.push({ role: "user", parts: [{ functionResponse: response }] });
    const last = await turn();
    const text = last.filter((part) => !part.thought).map((part) => part.text ?? "").join("");
    return { name: call.name, input: call.args, text };
  });
}

async function ollama() {
  const { Ollama } = await load("ollama");
  const client = new Ollama({ host: base });
  await attempt("ollama", "whole", async () => {
    const done = await client.chat({ model, messages: [{ role: "user", content: TEXT }] });
    return { text: done.message.content, model: done.model };
  });
  await attempt("ollama", "loop", async () => {
    const tools = [{ type: "function", function: { name: "get_weather", description: "w", parameters: SCHEMA } }];
    const said = [{ role: "user", content: TOOL }];
    const turn = async () => {
      const message = { role: "assistant", content: "", thinking: "", tool_calls: [] };
      for await (const part of await client.chat({ model, messages: said, tools, think: true, stream: true })) {
        message.content += part.message.content ?? "";
        message.thinking += part.message.thinking ?? "";
        message.tool_calls.push(...(part.message.tool_calls ?? []));
      }
      return message;
    };
    const first = await turn();
    const [call] = first.tool_calls;
    said.push(first, { role: "tool", content: "sunny", tool_name: call.function.name });
    const last = await turn();
    return { name: call.function.name, input: call.function.arguments, text: last.content };
  });
}

async function aisdk() {
  const { generateText, streamText, tool, jsonSchema, stepCountIs } = await load("ai");
  const { createOpenAI } = await load("@ai-sdk/openai");
  const { createAnthropic } = await load("@ai-sdk/anthropic");
  const { createGoogleGenerativeAI } = await load("@ai-sdk/google");
  const openai = createOpenAI({ apiKey: "any", baseURL: `${base}/v1` });
  const models = {
    "ai.chat": openai.chat(model),
    "ai.responses": openai.responses(model),
    "ai.anthropic": createAnthropic({ apiKey: "any", baseURL: `${base}/v1` })(model),
    "ai.google": createGoogleGenerativeAI({ apiKey: "any", baseURL: `${base}/v1beta` })(model),
  };
  for (const [name, one] of Object.entries(models)) {
    await attempt(name, "whole", async () => {
      const done = await generateText({ model: one, prompt: TEXT, maxRetries: 0 });
      return { text: done.text };
    });
    await attempt(name, "loop", async () => {
      const calls = [];
      const get_weather = tool({
        description: "the weather",
        inputSchema: jsonSchema(SCHEMA),
        execute: async (input) => (calls.push(input), "sunny"),
      });
      const errors = [];
      const run = streamText({
        model: one,
        prompt: TOOL,
        tools: { get_weather },
        stopWhen: stepCountIs(3),
        maxRetries: 0,
        onError: ({ error }) => errors.push(String(error?.message ?? error)),
      });
      let text = "";
      for await (const piece of run.textStream) text += piece;
      return { name: "get_weather", input: calls[0], text, ...(errors.length ? { error: errors.join("; ") } : {}) };
    });
  }
}

for (const part of [chat, responses, messages, google, ollama, aisdk]) await part();
