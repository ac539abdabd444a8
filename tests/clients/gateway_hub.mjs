// Scenarios for @huggingface/inference, unchanged, at a gateway. Arguments: a scenario, and the gateway's
// URL with a key as its user. Prints what came of it as JSON.
import { InferenceClient } from "@huggingface/inference";

const [scenario, told] = process.argv.slice(2);
const url = new URL(told);
const model = "meta-llama/Llama-3.3-70B-Instruct";
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "get_weather", parameters } }];
const client = new InferenceClient(url.username, { endpointUrl: `${url.origin}/v1` });

async function read(asked, at = client) {
  const found = { text: "", arguments: "", usage: null };
  for await (const chunk of at.chatCompletionStream(asked)) {
    found.usage = chunk.usage ?? found.usage;
    found.text += chunk.choices[0]?.delta.content ?? "";
    for (const call of chunk.choices[0]?.delta.tool_calls ?? []) found.arguments += call.function.arguments ?? "";
  }
  return found;
}

async function failure(work) {
  try {
    await work();
    return null;
  } catch (error) {
    const { name, message, httpResponse } = error;
    return { name, message, status: httpResponse?.status ?? null, id: httpResponse?.requestId ?? null };
  }
}

const scenarios = {
  async chat() {
    const found = {};
    for (const endpointUrl of [url.origin, `${url.origin}/v1`, `${url.origin}/v1/chat/completions`]) {
      const at = new InferenceClient(url.username, { endpointUrl });
      const whole = await at.chatCompletion({ model, messages });
      found[new URL(endpointUrl).pathname] = [whole.choices[0].message.content, (await read({ model, messages }, at)).text];
    }
    return found;
  },

  async tools() {
    const whole = await client.chatCompletion({ model, messages, tools });
    return [whole.choices[0].message.tool_calls[0].function.arguments, (await read({ model, messages, tools })).arguments];
  },

  async errors() {
    const found = {};
    for (const fault of ["400", "401", "402", "429", "500", "truncated", "error-mid-stream"]) {
      found[fault] = await failure(() => read({ model: `hubjs/fault-${fault}`, messages }));
    }
    return found;
  },
};

process.stdout.write(JSON.stringify(await scenarios[scenario]()));
