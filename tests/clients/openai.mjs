// Scenarios for OpenAI's JavaScript client, unchanged. Arguments: a scenario, and the sandbox's URL.
// Prints what came of it as JSON.
import OpenAI from "openai";

const [scenario, url] = process.argv.slice(2);
const model = "meta-llama/Llama-3.3-70B-Instruct";
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "hf_good", maxRetries: 0 });
const { completions } = client.chat;

const scenarios = {
  async chat() {
    const whole = await completions.create({ model, messages });
    const options = { include_usage: true };
    let text = "";
    let usage = null;
    for await (const chunk of await completions.create({ model, messages, stream: true, stream_options: options })) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    return { whole: whole.choices[0].message.content, counted: whole.usage, text, usage };
  },

  async tools() {
    const heard = [];
    const weather = {
      name: "get_weather",
      parse: JSON.parse,
      function: ({ city }) => (heard.push(city), "18 degrees"),
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    };
    const runner = completions.runTools({ model, messages, tools: [{ type: "function", function: weather }] });
    return { answer: await runner.finalContent(), heard };
  },

  async errors() {
    const found = {};
    for (const fault of ["400", "401", "403", "404", "409", "422", "429", "500", "error-mid-stream"]) {
      const headers = { "x-sandbox-fault": fault };
      try {
        for await (const _ of await completions.create({ model, messages, stream: true }, { headers }));
        found[fault] = null;
      } catch (error) {
        found[fault] = { kind: error.constructor.name, status: error.status ?? null };
      }
    }
    return found;
  },
};

process.stdout.write(JSON.stringify(await scenarios[scenario]()));
