// Scenarios for @huggingface/inference, unchanged, on a gateway's `/hf`. Arguments: a scenario and what it is
// told, as JSON, and the gateway's URL with a key as its user. Prints what came of it as JSON.
import { InferenceClient } from "@huggingface/inference";

const [asked, told] = process.argv.slice(2);
const [scenario, given] = JSON.parse(asked);
const url = new URL(told), { origin } = url;
console.log = console.error; // what the library tells people is no part of what is printed

// The two lines: the library's addresses are constants, and jobs are asked after by the global fetch.
const { fetch: ask } = globalThis, seen = [];
const send = (target, init) => {
  seen.push(`${init?.method ?? "GET"} ${new URL(target).pathname}`);
  return ask(target, init);
};
const there = /^https:\/\/(router\.)?huggingface\.co\//;
globalThis.fetch = (url, init) => send(url.replace?.(there, `${origin}/hf/`) ?? url, init);
const client = new InferenceClient("hf_" + url.username);

const model = "meta-llama/Llama-3.3-70B-Instruct";
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=",
  "base64",
);
const image = () => new Blob([png], { type: "image/png" });
const sound = () => new Blob([Buffer.from(given.wav, "base64")], { type: "audio/wav" });
const table = { a: ["1", "2"] };

const tasks = {
  "audio-classification": (c, o) => c.audioClassification({ ...o, inputs: sound() }),
  "audio-to-audio": (c, o) => c.audioToAudio({ ...o, inputs: sound() }),
  "automatic-speech-recognition": (c, o) => c.automaticSpeechRecognition({ ...o, inputs: sound() }),
  conversational: (c, o) => c.chatCompletion({ ...o, messages }),
  "document-question-answering": (c, o) =>
    c.documentQuestionAnswering({ ...o, inputs: { question: "q", image: image() } }),
  "feature-extraction": (c, o) => c.featureExtraction({ ...o, inputs: "hi" }),
  "fill-mask": (c, o) => c.fillMask({ ...o, inputs: "A [MASK] day" }),
  "image-classification": (c, o) => c.imageClassification({ ...o, inputs: image() }),
  "image-segmentation": (c, o) => c.imageSegmentation({ ...o, inputs: image() }),
  "image-text-to-image": (c, o) => c.imageTextToImage({ ...o, inputs: image(), parameters: { prompt: "p" } }),
  "image-text-to-video": (c, o) => c.imageTextToVideo({ ...o, inputs: image(), parameters: { prompt: "p" } }),
  "image-to-image": (c, o) => c.imageToImage({ ...o, inputs: image(), parameters: { prompt: "p" } }),
  "image-to-text": (c, o) => c.imageToText({ ...o, inputs: image() }),
  "image-to-video": (c, o) => c.imageToVideo({ ...o, inputs: image(), parameters: { prompt: "p" } }),
  "object-detection": (c, o) => c.objectDetection({ ...o, inputs: image() }),
  "question-answering": (c, o) => c.questionAnswering({ ...o, inputs: { question: "q", context: "c" } }),
  "sentence-similarity": (c, o) =>
    c.sentenceSimilarity({ ...o, inputs: { source_sentence: "a", sentences: ["b", "c"] } }),
  summarization: (c, o) => c.summarization({ ...o, inputs: "One. Two." }),
  "table-question-answering": (c, o) => c.tableQuestionAnswering({ ...o, inputs: { query: "q", table } }),
  "tabular-classification": (c, o) => c.tabularClassification({ ...o, inputs: { data: table } }),
  "tabular-regression": (c, o) => c.tabularRegression({ ...o, inputs: { data: table } }),
  "text-classification": (c, o) => c.textClassification({ ...o, inputs: "good" }),
  "text-generation": (c, o) => c.textGeneration({ ...o, inputs: "Once", parameters: { max_new_tokens: 5 } }),
  "text-to-audio": (c, o) => c.textToAudio({ ...o, inputs: "rain" }),
  "text-to-image": (c, o) => c.textToImage({ ...o, inputs: "a cat" }),
  "text-to-speech": (c, o) => c.textToSpeech({ ...o, inputs: "hello" }),
  "text-to-video": (c, o) => c.textToVideo({ ...o, inputs: "a dog" }),
  "token-classification": (c, o) => c.tokenClassification({ ...o, inputs: "Paris" }),
  translation: (c, o) => c.translation({ ...o, inputs: "x", parameters: { src_lang: "en", tgt_lang: "fr" } }),
  "visual-question-answering": (c, o) =>
    c.visualQuestionAnswering({ ...o, inputs: { question: "q", image: image() } }),
  "zero-shot-classification": (c, o) =>
    c.zeroShotClassification({ ...o, inputs: "x", parameters: { candidate_labels: ["a", "b"] } }),
  "zero-shot-image-classification": (c, o) =>
    c.zeroShotImageClassification({ ...o, inputs: { image: image() }, parameters: { candidate_labels: ["a", "b"] } }),
};

async function read(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
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
  async tasks() {
    const one = async ([provider, task, model]) => {
      const failed = await failure(async () => {
        const found = await tasks[task](client, { provider, model });
        if (found === undefined || found === null || found.size === 0) throw new Error("nothing came");
      });
      return [`${provider} ${task}`, failed];
    };
    return { failed: Object.fromEntries(await Promise.all(given.rows.map(one))), seen };
  },

  async chats() {
    const one = async ([provider, model]) => {
      const whole = await client.chatCompletion({ provider, model, messages });
      const streamed = await read(client.chatCompletionStream({ provider, model, messages }));
      return [provider, { whole: whole.choices[0].message.content, streamed }];
    };
    return Object.fromEntries(await Promise.all(given.rows.map(one)));
  },

  async auto() {
    const whole = await client.chatCompletion({ model, messages });
    const task = await failure(() => client.textToImage({ model: "black-forest-labs/FLUX.1-schnell", inputs: "x" }));
    return { whole: whole.choices[0].message.content, task, seen };
  },

  async errors() {
    const found = {};
    for (const fault of ["400", "401", "402", "404", "429", "500", "truncated", "error-mid-stream"]) {
      const asked = { provider: "groq", model: `conversational/fault-${fault}`, messages };
      found[fault] = {
        whole: await failure(() => client.chatCompletion(asked, { retry_on_error: false })),
        streamed: await failure(() => read(client.chatCompletionStream(asked, { retry_on_error: false }))),
      };
    }
    const stranger = new InferenceClient("hf_nobodys");
    found.key = await failure(() => stranger.textToImage({ provider: "hf-inference", model, inputs: "x" }));
    found.model = await failure(() => client.chatCompletion({ provider: "groq", model: "no/such", messages }));
    return found;
  },

  async aborted() {
    const leave = new AbortController();
    const asked = { provider: "groq", model: "conversational/fault-stall;seconds=30", messages };
    const stream = client.chatCompletionStream(asked, { signal: leave.signal });
    await stream.next();
    leave.abort();
    return failure(() => read(stream));
  },
};

const awake = setInterval(() => {}, 1000); // the library waits between polls in a way that lets node end
process.stdout.write(JSON.stringify((await scenarios[scenario]()) ?? null));
clearInterval(awake);
