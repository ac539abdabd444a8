// Scenarios for OpenAI's JavaScript client, unchanged, at a gateway. Arguments: a scenario, and the
// gateway's URL with a key as its user. Prints what came of it as JSON.
import OpenAI from "openai";

const [scenario, told] = process.argv.slice(2);
const url = new URL(told);
const client = new OpenAI({ baseURL: `${url.origin}/v1`, apiKey: url.username, maxRetries: 0 });
const model = "meta-llama/Llama-3.3-70B-Instruct";
const plain = "emulator/sandbox/demo";
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const { completions } = client.chat;

async function failure(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return {
      kind: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? null,
      id: error.requestID ?? null,
      after: error.headers?.get("retry-after") ?? null,
    };
  }
}

async function read(asked) {
  let text = "";
  let usage = null;
  for await (const chunk of await completions.create({ ...asked, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text, usage };
}

const scenarios = {
  async chat() {
    const { data, response, request_id } = await completions.create({ model: plain, messages }).withResponse();
    const counted = await read({ model: plain, messages, stream_options: { include_usage: true } });
    const bare = await read({ model: plain, messages });
    const answer = data.choices[0].message.content;
    return { answer, used: data.usage, counted, bare, id: request_id, header: response.headers.get("x-request-id") };
  },

  async tools() {
    const heard = [];
    const weather = {
      name: "get_weather",
      parse: JSON.parse,
      function: ({ city }) => (heard.push(city), "18 degrees"),
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    };
    const tools = [{ type: "function", function: weather }];
    const whole = await completions.runTools({ model, messages, tools }).finalContent();
    const streamed = await completions.runTools({ model, messages, tools, stream: true }).finalContent();
    return { whole, streamed, heard };
  },

  async models() {
    const names = [];
    for await (const found of client.models.list()) names.push(found.id);
    return { names, one: await client.models.retrieve(model), lost: await failure(() => client.models.retrieve("no/such")) };
  },

  async tasks() {
    const input = ["red and blue", "green"];
    const { data } = await client.embeddings.create({ model: "tei/sandbox/tei", input });
    const asked = { model: "tgi/sandbox/tgi", prompt: "Once upon a time", max_tokens: 12 };
    const whole = (await client.completions.create(asked)).choices[0].text;
    let text = "";
    for await (const part of await client.completions.create({ ...asked, stream: true })) text += part.choices[0]?.text ?? "";
    return { sizes: data.map((row) => row.embedding.length), whole, text };
  },

  async errors() {
    const found = {};
    for (const fault of ["400", "401", "402", "404", "409", "422-text", "429-int", "500", "503", "error-mid-stream", "truncated"]) {
      found[fault] = await failure(() => read({ model: `js/fault-${fault}`, messages }));
    }
    const stranger = client.withOptions({ apiKey: "tl-nobodys" });
    found.stranger = await failure(() => stranger.chat.completions.create({ model, messages }));
    return found;
  },

  async again() {
    const patient = client.withOptions({ maxRetries: 2 });
    const answer = await patient.chat.completions.create({ model: "js-again/fault-flaky-503", messages });
    return answer.choices[0].message.content;
  },

  async aborted() {
    const stream = await completions.create({ model: "emulator/js-gone/fault-stall;seconds=30", messages, stream: true });
    for await (const _ of stream) break;
    const giving_up = { signal: AbortSignal.timeout(1500) };
    return failure(() => completions.create({ model: "emulator/js-wait/fault-stall-head;seconds=30", messages }, giving_up));
  },
};

process.stdout.write(JSON.stringify(await scenarios[scenario]()));
