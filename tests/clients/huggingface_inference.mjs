// Scenarios for @huggingface/inference, unchanged. Arguments: a scenario, and the sandbox's URL.
// Prints what came of it as JSON.
import { InferenceClient } from "@huggingface/inference";

const [scenario, url] = process.argv.slice(2);
const model = "meta-llama/Llama-3.3-70B-Instruct";
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const weather = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
const tools = [{ type: "function", function: { name: "get_weather", parameters: weather } }];

// The router and the Hub are constants of the library; `fetch` is the door that it leaves open.
const asked = [];
const moved = (target, init) => {
  const { origin, pathname, search } = new URL(target);
  asked.push(`${init?.method ?? "GET"} ${origin}${pathname}`);
  return fetch(url + pathname + search, init);
};
const failing = (fault) => (target, init) =>
  fetch(target, { ...init, headers: { ...init.headers, "x-sandbox-fault": fault } });

const client = new InferenceClient("hf_good", { endpointUrl: url });
const routed = new InferenceClient("hf_good", { fetch: moved });

async function read(stream) {
  const found = { text: "", name: "", arguments: "", finish: null, usage: null, chunks: 0 };
  for await (const chunk of stream) {
    found.chunks += 1;
    found.usage = chunk.usage ?? found.usage;
    const choice = chunk.choices[0];
    if (!choice) continue;
    found.text += choice.delta.content ?? "";
    found.finish = choice.finish_reason ?? found.finish;
    for (const call of choice.delta.tool_calls ?? []) {
      found.name += call.function.name ?? "";
      found.arguments += call.function.arguments ?? "";
    }
  }
  return found;
}

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    const { status, requestId, body } = error.httpResponse ?? {};
    return { name: error.name, message: error.message, status, requestId, body };
  }
}

const scenarios = {
  async whole() {
    return client.chatCompletion({ model, messages });
  },

  async streamed() {
    const options = { include_usage: true };
    return read(client.chatCompletionStream({ model, messages, stream_options: options }));
  },

  async parallel() {
    const ask = (n) =>
      read(client.chatCompletionStream({ model, messages: [{ role: "user", content: `Number ${n}` }] }));
    return Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(ask));
  },

  async tools() {
    const given = { model, messages, tools, tool_choice: "auto" };
    const whole = await client.chatCompletion(given);
    const call = whole.choices[0].message.tool_calls[0];
    const told = { role: "tool", tool_call_id: call.id, content: "18 degrees" };
    const last = await client.chatCompletion({
      model,
      messages: [...messages, whole.choices[0].message, told],
    });
    const streamed = await read(client.chatCompletionStream(given));
    return { call, finish: whole.choices[0].finish_reason, answer: last.choices[0].message.content, streamed };
  },

  async schema() {
    const schema = { type: "object", properties: { windy: { type: "boolean" } }, required: ["windy"] };
    const format = { type: "json_schema", json_schema: { name: "report", strict: true, schema } };
    const whole = await client.chatCompletion({ model, messages, response_format: format });
    return JSON.parse(whole.choices[0].message.content);
  },

  async image() {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
    ];
    const vision = "meta-llama/Llama-3.2-11B-Vision-Instruct";
    const whole = await client.chatCompletion({ model: vision, messages: [{ role: "user", content }] });
    return whole.choices[0].message.content;
  },

  async providers() {
    const pairs = { groq: model, together: model, cohere: "CohereLabs/aya-expanse-32b", "hf-inference": "HuggingFaceTB/SmolLM3-3B", "zai-org": "zai-org/GLM-5.2" };
    const answers = {};
    for (const [provider, model] of Object.entries(pairs)) {
      const whole = await routed.chatCompletion({ provider, model, messages });
      const { text } = await read(routed.chatCompletionStream({ provider, model, messages }));
      answers[provider] = { whole: whole.choices[0].message.content, streamed: text, model: whole.model };
    }
    return { answers, asked };
  },

  async auto() {
    const whole = await routed.chatCompletion({ model, messages });
    const { text } = await read(routed.chatCompletionStream({ model, messages }));
    return { whole: whole.choices[0].message.content, streamed: text, asked };
  },

  async billing() {
    const ask = (billTo) => routed.chatCompletion({ model, messages }, { billTo });
    return { ours: await failure(() => ask("sandbox-org")), others: await failure(() => ask("other-org")) };
  },

  async statuses() {
    const found = {};
    for (const fault of ["400", "401", "402", "403", "404", "422", "429", "500", "502", "503", "504"]) {
      const options = { fetch: failing(fault), retry_on_error: false };
      found[fault] = {
        whole: await failure(() => client.chatCompletion({ model, messages }, options)),
        streamed: await failure(() => read(client.chatCompletionStream({ model, messages }, options))),
      };
    }
    return found;
  },

  async streamErrors() {
    const found = {};
    for (const fault of ["error-first", "error-mid-stream", "error-string", "error-tgi", "cut", "json-200"]) {
      const options = { fetch: failing(fault) };
      found[fault] = await failure(() => read(client.chatCompletionStream({ model, messages }, options)));
    }
    return found;
  },

  async forms() {
    const demo = { model: "sandbox/demo", messages };
    const found = {};
    for (const fault of ["crlf-lines", "split-crlf", "mixed-lines", "no-space", "keep-alive", "no-done", "usage-twice", "drip;seconds=0"]) {
      const options = { fetch: failing(fault) };
      found[fault] = (await read(client.chatCompletionStream(demo, options))).text;
    }
    return { whole: (await client.chatCompletion(demo)).choices[0].message.content, found };
  },

  async again() {
    const options = { fetch: failing("flaky-503") };
    return (await client.chatCompletion({ model, messages }, options)).choices[0].message.content;
  },

  async unknownModel() {
    return failure(() => routed.chatCompletion({ provider: "groq", model: "no/such", messages }));
  },

  async aborted() {
    const leave = new AbortController();
    const stream = client.chatCompletionStream({ model, messages }, { signal: leave.signal });
    await stream.next();
    leave.abort();
    return failure(() => read(stream));
  },
};

process.stdout.write(JSON.stringify((await scenarios[scenario]()) ?? null));
