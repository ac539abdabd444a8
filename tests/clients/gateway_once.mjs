// OpenAI's JavaScript client, made to name its requests, at a gateway. Arguments: a scenario, and the
// gateway's URL with a key as its user. Prints what came of it as JSON.
import OpenAI from "openai";

const [, told] = process.argv.slice(2);
const url = new URL(told);
const client = new OpenAI({ baseURL: `${url.origin}/v1`, apiKey: url.username, maxRetries: 2 });
client.idempotencyHeader = "Idempotency-Key"; // as versions have it that name what they send
const { completions } = client.chat;
const wish = {
  model: "meta-llama/Llama-3.3-70B-Instruct",
  messages: [{ role: "user", content: "Hello." }],
  max_tokens: 9,
};

const ids = [];
for (const options of [{}, {}, { idempotencyKey: "by hand" }, { idempotencyKey: "by hand" }]) {
  const answer = await completions.create(wish, options);
  ids.push(answer._request_id);
}
const again = await completions.create(wish, { idempotencyKey: "by hand" }).asResponse();
let text = "";
for await (const chunk of await completions.create({ ...wish, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
const failed = await completions
  .create({ ...wish, model: "org/fault-500:groq" })
  .catch((error) => error.headers.get("idempotent-replayed"));
console.log(
  JSON.stringify({
    ids,
    replayed: again.headers.get("idempotent-replayed"),
    original: again.headers.get("x-original-request-id"),
    text,
    failed,
  }),
);
