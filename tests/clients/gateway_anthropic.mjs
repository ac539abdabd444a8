// Scenarios for Anthropic's JavaScript client, unchanged, at a gateway. Arguments: a scenario, and the
// gateway's URL with a key as its user. Prints what came of it as JSON.
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";

const [scenario, told] = process.argv.slice(2);
const url = new URL(told);
const client = new Anthropic({ baseURL: url.origin, apiKey: url.username, maxRetries: 0 });
const model = "meta-llama/Llama-3.3-70B-Instruct";
const plain = "emulator/sandbox/demo";
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const asked = { model: plain, messages, max_tokens: 200 };
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "get_weather", description: "Tell the weather.", input_schema: schema }];

async function failure(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return {
      kind: error.constructor.name,
      status: error.status ?? null,
      type: error.type ?? error.error?.error?.type ?? null,
      id: error.requestID ?? null,
      message: error.message,
    };
  }
}

async function gathered(more) {
  const seen = { text: "", thinking: "", json: "", blocks: [] };
  const stream = client.messages
    .stream({ ...asked, ...more })
    .on("text", (text) => (seen.text += text))
    .on("thinking", (text) => (seen.thinking += text))
    .on("inputJson", (text) => (seen.json += text))
    .on("contentBlock", (block) => seen.blocks.push(block));
  const message = await stream.finalMessage();
  return { ...seen, message, id: stream.request_id };
}

const scenarios = {
  async chat() {
    const { data, request_id } = await client.messages.create({ ...asked, model }).withResponse();
    return { message: data, id: request_id };
  },

  async stream() {
    const whole = await client.messages.create(asked);
    return { whole, streamed: await gathered({}) };
  },

  async thinking() {
    const thinking = { type: "enabled", budget_tokens: 2048 };
    const streamed = await gathered({ thinking });
    const history = [...messages, { role: "assistant", content: streamed.message.content }, ...messages];
    const second = await client.messages.create({ ...asked, messages: history });
    return { streamed, second };
  },

  async tools() {
    const streamed = await gathered({ tools, tool_choice: { type: "any" } });
    const several = await gathered({ model: "emulator/sandbox/fault-tools-in-turn", tools });
    return { streamed, several };
  },

  async loop() {
    const heard = [];
    const run = ({ city }) => (heard.push(city), "18 degrees");
    const weather = betaTool({ name: "get_weather", description: "Tell.", inputSchema: schema, run });
    const whole = await client.beta.messages.toolRunner({ ...asked, tools: [weather] });
    const runner = client.beta.messages.toolRunner({ ...asked, tools: [weather], stream: true });
    let streamed;
    for await (const stream of runner) streamed = await stream.finalMessage();
    return { heard, whole, streamed };
  },

  async counting() {
    const counted = await client.messages.countTokens({ model, messages });
    const names = [];
    for await (const one of client.models.list()) names.push(one.id);
    return { counted, names, one: await client.models.retrieve(model) };
  },

  async errors() {
    const found = {};
    for (const fault of ["400", "401", "402", "404", "429-int", "500", "503", "529", "error-mid-stream", "truncated"]) {
      found[fault] = await failure(() => gathered({ model: `emulator/js-errors/fault-${fault}` }));
    }
    const stranger = new Anthropic({ baseURL: url.origin, apiKey: "tl-wrong", maxRetries: 0 });
    found.stranger = await failure(() => stranger.messages.create(asked));
    const image = { type: "image", source: { type: "base64", media_type: "image/bmp", data: "AA==" } };
    const shown = [{ role: "user", content: [{ type: "text", text: "?" }, image] }];
    found.wrong = await failure(() => client.messages.create({ ...asked, messages: shown }));
    return found;
  },

  async again() {
    const patient = new Anthropic({ baseURL: url.origin, authToken: url.username, apiKey: null, maxRetries: 2 });
    const message = await patient.messages.create({ ...asked, model: "js-messages-again/fault-flaky-503" });
    return message.content[0].text;
  },

  async aborted() {
    const gone = client.messages.stream({ ...asked, model: "emulator/js-messages-gone/fault-stall;seconds=30" });
    gone.on("text", () => gone.abort());
    return failure(() => gone.finalMessage());
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
