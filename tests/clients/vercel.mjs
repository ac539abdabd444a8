// Scenarios for Vercel's `ai` at a gateway, by chats (@ai-sdk/openai-compatible, and @ai-sdk/openai's
// `chat`) and by responses (@ai-sdk/openai's own way). Arguments: a scenario, and the gateway's URL
// with a key as its user. Prints what came of it as JSON.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

const [scenario, told] = process.argv.slice(2);
const url = new URL(told);
const baseURL = `${url.origin}/v1`;
const apiKey = url.username;
const openai = createOpenAI({ baseURL, apiKey });
const compatible = createOpenAICompatible({
  name: "gateway",
  baseURL,
  apiKey,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const llama = "meta-llama/Llama-3.3-70B-Instruct";
const plain = "emulator/sandbox/demo";
const quiet = { maxRetries: 0 };

// each way to ask, and a model for it: one that makes responses itself, one that is asked by chats
const ways = {
  compatible: compatible(plain),
  chat: openai.chat(llama),
  native: openai(llama),
  chatted: openai(plain),
};
const named = (way, name) =>
  ({ compatible: compatible(name), chat: openai.chat(name), native: openai(name), chatted: openai(name) })[way];

async function each(work) {
  const found = {};
  for (const [way, model] of Object.entries(ways)) found[way] = await work(model, way);
  return found;
}

function seen(error) {
  const cause = error.lastError ?? error;
  return {
    name: cause.name ?? null,
    status: cause.statusCode ?? null,
    message: String(cause.message ?? cause),
    again: cause.isRetryable ?? null,
    code: cause.data?.error?.code ?? cause.code ?? null,
  };
}

async function failure(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return seen(error);
  }
}

const prompt = "What is the weather in Paris?";
const report = z.object({ sky: z.enum(["clear", "cloudy"]), degrees: z.number().int(), windy: z.boolean() });

function weather(heard) {
  return tool({
    description: "Tell the weather.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (heard.push(city), "18 degrees"),
  });
}

const scenarios = {
  text: () =>
    each(async (model) => {
      const whole = await generateText({ model, prompt, ...quiet });
      const stream = streamText({ model, prompt, ...quiet });
      let text = "";
      for await (const piece of stream.textStream) text += piece;
      return {
        whole: whole.text,
        text,
        reason: [whole.finishReason, await stream.finishReason],
        usage: [whole.usage.outputTokens ?? null, (await stream.usage).outputTokens ?? null],
        id: whole.response.headers["x-request-id"],
        warnings: whole.warnings.length,
      };
    }),

  tools: () =>
    each(async (model) => {
      const heard = [];
      const asked = { model, prompt, tools: { get_weather: weather(heard) }, stopWhen: stepCountIs(3), ...quiet };
      const whole = await generateText(asked);
      const stream = streamText(asked);
      const text = await stream.text;
      return { heard, whole: whole.text, text, steps: [whole.steps.length, (await stream.steps).length] };
    }),

  // a second turn over what the first one left, as chats in an application are kept
  turns: () =>
    each(async (model) => {
      const kept = model.provider === "openai.responses" ? { openai: { store: false } } : {};
      const options = { model, system: "Be short.", providerOptions: kept, ...quiet };
      const messages = [{ role: "user", content: prompt }];
      const first = await generateText({ ...options, messages });
      messages.push(...first.response.messages, { role: "user", content: "And tomorrow?" });
      return (await generateText({ ...options, messages })).text;
    }),

  referred: () =>
    failure(async () => {
      const messages = [{ role: "user", content: prompt }];
      const first = await generateText({ model: ways.chatted, messages, ...quiet });
      messages.push(...first.response.messages, { role: "user", content: "And tomorrow?" });
      await generateText({ model: ways.chatted, messages, ...quiet });
    }),

  objects: () =>
    each(async (model) => {
      const whole = await generateObject({ model, prompt, schema: report, ...quiet });
      const stream = streamObject({ model, prompt, schema: report, ...quiet });
      for await (const _ of stream.partialObjectStream);
      return { whole: whole.object, streamed: await stream.object };
    }),

  images: () =>
    each(async (_, way) => {
      const model = named(way, way === "native" || way === "chat" ? vision : `emulator/${vision}`);
      const content = [{ type: "text", text: "What is this?" }, { type: "image", image: pixel, mediaType: "image/png" }];
      return (await generateText({ model, messages: [{ role: "user", content }], ...quiet })).text;
    }),

  cut: () => each(async (model) => (await generateText({ model, prompt, maxOutputTokens: 3, ...quiet })).finishReason),

  thoughts: async () => {
    const model = compatible("emulator/sandbox/demo");
    const asked = { model, prompt, ...quiet, providerOptions: { gateway: { reasoningEffort: "high" } } };
    const whole = await generateText(asked);
    const stream = streamText(asked);
    await stream.text;
    return { whole: whole.reasoningText ?? null, streamed: (await stream.reasoningText) ?? null };
  },

  errors: () =>
    each(async (_, way) => {
      const found = {};
      for (const fault of ["400", "401", "402", "404", "429-int", "500", "503"]) {
        const model = named(way, `${way === "native" || way === "chat" ? "" : "emulator/"}ai-${way}/fault-${fault}`);
        found[fault] = await failure(() => generateText({ model, prompt, ...quiet }));
      }
      const stranger = { compatible: createOpenAICompatible, chat: createOpenAI, native: createOpenAI, chatted: createOpenAI }[way];
      const made = stranger({ name: "stranger", baseURL, apiKey: "tl-nobodys" });
      const model = way === "chat" ? made.chat(llama) : made(llama);
      found.stranger = await failure(() => generateText({ model, prompt, ...quiet }));
      return found;
    }),

  broken: async () => {
    const found = {};
    for (const way of ["compatible", "chat", "chatted"]) {
      for (const fault of ["truncated", "error-mid-stream"]) {
        const errors = [];
        const stream = streamText({
          model: named(way, `emulator/ai-${way}/fault-${fault}`),
          prompt,
          onError: ({ error }) => errors.push(seen(error)),
          ...quiet,
        });
        let text = "";
        for await (const piece of stream.textStream) text += piece;
        found[`${way} ${fault}`] = { errors, said: text.length > 0 };
      }
    }
    return found;
  },

  again: () =>
    each(async (_, way) => {
      const model = named(way, `emulator/ai-again-${way}/fault-flaky-503`);
      return (await generateText({ model, prompt, maxRetries: 2 })).text;
    }),

  aborted: async () => {
    const found = {};
    for (const way of ["compatible", "chatted"]) {
      const leaving = new AbortController();
      const model = named(way, `emulator/ai-gone-${way}/fault-stall;seconds=30`);
      const stream = streamText({ model, prompt, abortSignal: leaving.signal, onError: () => {}, ...quiet });
      for await (const part of stream.fullStream) {
        if (part.type === "text-delta") leaving.abort();
        if (part.type === "abort") found[way] = "aborted";
      }
    }
    return found;
  },

  vectors: async () => {
    const model = compatible.textEmbeddingModel("tei/sandbox/tei");
    const { embeddings, usage } = await embedMany({ model, values: ["red", "green"], ...quiet });
    return { sizes: embeddings.map((row) => row.length), tokens: usage.tokens };
  },
};

const vision = "meta-llama/Llama-3.2-11B-Vision-Instruct";
const pixel = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=",
  "base64",
);

process.stdout.write(JSON.stringify(await scenarios[scenario]()));
