// Scenarios for OpenAI's JavaScript client, unchanged, asking a gateway for responses. Arguments: a
// scenario, and the gateway's URL with a key as its user. Prints what came of it as JSON.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const [scenario, told] = process.argv.slice(2);
const url = new URL(told);
const client = new OpenAI({ baseURL: `${url.origin}/v1`, apiKey: url.username, maxRetries: 0 });
const input = "What is the weather in Paris?";
// a model that makes responses itself, and one that is asked by chats
const models = { native: "meta-llama/Llama-3.3-70B-Instruct", chatted: "emulator/sandbox/demo" };
const weather = {
  type: "function",
  name: "get_weather",
  strict: true,
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};

async function both(work) {
  const found = {};
  for (const [way, model] of Object.entries(models)) found[way] = await work(model);
  return found;
}

async function failure(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return {
      kind: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? null,
      param: error.param ?? null,
      id: error.requestID ?? null,
    };
  }
}

async function read(asked) {
  const kinds = [];
  for await (const event of await client.responses.create({ input, ...asked, stream: true })) kinds.push(event.type);
  return kinds;
}

const scenarios = {
  text: () =>
    both(async (model) => {
      const { data, request_id } = await client.responses.create({ model, input }).withResponse();
      const stream = client.responses.stream({ model, input });
      let text = "";
      stream.on("response.output_text.delta", (event) => (text += event.delta));
      const last = await stream.finalResponse();
      const said = last.output.flatMap((item) => item.content ?? []).map((part) => part.text).join("");
      return { whole: data.output_text, text, last: said, usage: [data.usage, last.usage], id: request_id };
    }),

  tools: () =>
    both(async (model) => {
      const asked = [{ role: "user", content: input }];
      const tools = [weather];
      const first = await client.responses.stream({ model, input: asked, tools }).finalResponse();
      const heard = [];
      for (const item of first.output) {
        asked.push(item);
        if (item.type !== "function_call") continue;
        heard.push(JSON.parse(item.arguments).city);
        asked.push({ type: "function_call_output", call_id: item.call_id, output: "18 degrees" });
      }
      return { heard, text: (await client.responses.create({ model, input: asked, tools })).output_text };
    }),

  objects: () =>
    both(async (model) => {
      const report = z.object({ sky: z.enum(["clear", "cloudy"]), degrees: z.number().int(), windy: z.boolean() });
      const text = { format: zodTextFormat(report, "report") };
      return (await client.responses.parse({ model, input, text })).output_parsed;
    }),

  async errors() {
    const found = {};
    for (const fault of ["400", "401", "429-int", "500", "truncated", "error-mid-stream"]) {
      found[fault] = await failure(() => read({ model: `emulator/jsr/fault-${fault}` }));
    }
    const asked = { model: models.chatted, previous_response_id: "resp_1" };
    found.unsaid = await failure(() => read(asked));
    return found;
  },

  async aborted() {
    const model = "emulator/jsr-gone/fault-stall;seconds=30";
    for await (const event of await client.responses.create({ model, input, stream: true })) {
      if (event.type === "response.output_text.delta") break;
    }
    return true;
  },
};

process.stdout.write(JSON.stringify(await scenarios[scenario]()));
