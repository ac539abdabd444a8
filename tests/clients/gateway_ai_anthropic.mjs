// Scenarios for Vercel's ai with @ai-sdk/anthropic, unchanged, at a gateway. Arguments: a scenario, and the
// gateway's URL with a key as its user. Prints what came of it as JSON.
import { createAnthropic } from "@ai-sdk/anthropic";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [scenario, told] = process.argv.slice(2);
const url = new URL(told);
const anthropic = createAnthropic({ baseURL: `${url.origin}/v1`, apiKey: url.username });
const model = anthropic("emulator/sandbox/demo");
const prompt = "What is the weather in Paris?";
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";
const usual = { model, prompt, maxRetries: 0, maxOutputTokens: 200 };

const weather = (heard) =>
  tool({
    description: "Tell the weather.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (heard.push(city), "18 degrees"),
  });

async function failure(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return { name: error.name, status: error.statusCode ?? null, message: error.message };
  }
}

async function streamed(more) {
  const parts = [];
  const result = streamText({ ...usual, ...more, onError: () => {} });
  for await (const part of result.fullStream) parts.push(part);
  const error = parts.find((part) => part.type === "error")?.error;
  return {
    text: parts.filter((part) => part.type === "text-delta").map((part) => part.text).join(""),
    thought: parts.filter((part) => part.type === "reasoning-delta").map((part) => part.text).join(""),
    called: parts.filter((part) => part.type === "tool-call").map((part) => part.input),
    finish: parts.find((part) => part.type === "finish")?.finishReason ?? null,
    usage: parts.find((part) => part.type === "finish")?.totalUsage ?? null,
    error: error ? { name: error.name ?? null, message: error.message ?? String(error) } : null,
  };
}

const scenarios = {
  async chat() {
    const { text, finishReason, usage, response } = await generateText({ ...usual, system: "Be brief." });
    return { text, finishReason, usage, id: response.id, streamed: await streamed({ system: "Be brief." }) };
  },

  async thinking() {
    const providerOptions = { anthropic: { thinking: { type: "enabled", budgetTokens: 2048 } } };
    const whole = await generateText({ ...usual, maxOutputTokens: 4000, providerOptions });
    const messages = [{ role: "user", content: prompt }, ...whole.response.messages, { role: "user", content: prompt }];
    const second = await generateText({ ...usual, prompt: undefined, messages });
    const pieces = await streamed({ maxOutputTokens: 4000, providerOptions });
    return { thought: whole.reasoningText, text: whole.text, second: second.text, streamed: pieces };
  },

  async tools() {
    const heard = [];
    const tools = { get_weather: weather(heard) };
    const whole = await generateText({ ...usual, tools, stopWhen: stepCountIs(4) });
    const pieces = await streamed({ tools, stopWhen: stepCountIs(4) });
    return { heard, text: whole.text, steps: whole.steps.length, streamed: pieces };
  },

  async object() {
    const schema = z.object({ sky: z.string(), degrees: z.number().int(), windy: z.boolean() });
    return (await generateObject({ ...usual, schema })).object;
  },

  async images() {
    const image = { type: "image", image: new Uint8Array(Buffer.from(PNG, "base64")), mediaType: "image/png" };
    const messages = [{ role: "user", content: [{ type: "text", text: "What is this?" }, image] }];
    const { text } = await generateText({ ...usual, prompt: undefined, messages });
    return text;
  },

  async errors() {
    const found = {};
    for (const fault of ["400", "402", "404", "429-int", "500", "503"]) {
      const faulty = anthropic(`emulator/ai-errors/fault-${fault}`);
      found[fault] = await failure(() => generateText({ ...usual, model: faulty }));
    }
    for (const fault of ["error-mid-stream", "truncated"]) {
      found[fault] = (await streamed({ model: anthropic(`emulator/ai-errors/fault-${fault}`) })).error;
    }
    const stranger = createAnthropic({ baseURL: `${url.origin}/v1`, apiKey: "tl-wrong" });
    found.stranger = await failure(() => generateText({ ...usual, model: stranger("m") }));
    return found;
  },

  async aborted() {
    const controller = new AbortController();
    const gone = anthropic("emulator/ai-gone/fault-stall;seconds=30");
    const result = streamText({ ...usual, model: gone, abortSignal: controller.signal, onError: () => {} });
    for await (const part of result.fullStream) {
      if (part.type === "text-delta") controller.abort();
      if (part.type === "abort") return "aborted";
    }
    return "ended";
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
