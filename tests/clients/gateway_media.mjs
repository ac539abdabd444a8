// Scenarios for OpenAI's JavaScript client, unchanged, at a gateway: pictures, sounds, videos. Arguments: a
// scenario, and the gateway's URL with a key as its user. Prints what came of it as JSON.
import OpenAI, { toFile } from "openai";

const [scenario, told] = process.argv.slice(2);
const url = new URL(told);
const client = new OpenAI({ baseURL: `${url.origin}/v1`, apiKey: url.username, maxRetries: 0 });
const flux = "huggingface/together/black-forest-labs/FLUX.1-schnell";
const server = "server/sandbox/any";

async function failure(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return { status: error.status ?? null, code: error.code ?? null, param: error.param ?? null };
  }
}

const begins = (b64) => Buffer.from(b64, "base64").subarray(1, 4).toString();

async function picture() {
  const made = await client.images.generate({ model: server, prompt: "a cat", size: "64x32" });
  return Buffer.from(made.data[0].b64_json, "base64");
}

const scenarios = {
  async pictures() {
    const bytes = await client.images.generate({ model: flux, prompt: "a cat", response_format: "b64_json" });
    const linked = await client.images.generate({ model: flux, prompt: "a cat", response_format: "url" });
    const image = await toFile(await picture(), "a.png", { type: "image/png" });
    const edited = await client.images.edit({ model: server, image, prompt: "in winter" });
    const both = [image, await toFile(await picture(), "b.png", { type: "image/png" })];
    const several = await client.images.edit({ model: server, image: both, prompt: "in winter" });
    return {
      bytes: begins(bytes.data[0].b64_json),
      url: linked.data[0].url,
      edited: begins(edited.data[0].b64_json),
      several: begins(several.data[0].b64_json),
    };
  },

  async sounds() {
    const spoken = await client.audio.speech.create({ model: server, input: "Hello there.", voice: "alloy" });
    const sound = Buffer.from(await spoken.arrayBuffer());
    const file = () => toFile(sound, "hello.wav", { type: "audio/wav" });
    const heard = await client.audio.transcriptions.create({ model: server, file: await file() });
    const srt = await client.audio.transcriptions.create({ model: server, file: await file(), response_format: "srt" });
    const english = await client.audio.translations.create({ model: server, file: await file() });
    return {
      type: spoken.headers.get("content-type"),
      begins: sound.subarray(0, 4).toString(),
      heard: heard.text,
      srt,
      english: english.text,
    };
  },

  async videos() {
    let video = await client.videos.create({ model: "Wan-AI/Wan2.1-T2V-14B", prompt: "a cat on the moon" });
    const first = video.status;
    while (video.status === "queued" || video.status === "in_progress") {
      await new Promise((resolve) => setTimeout(resolve, 1050));
      video = await client.videos.retrieve(video.id);
    }
    const content = await client.videos.downloadContent(video.id);
    const bytes = Buffer.from(await content.arrayBuffer());
    const frame = await toFile(await picture(), "a.png", { type: "image/png" });
    const moved = await client.videos.create({
      model: "Wan-AI/Wan2.1-I2V-14B-480P",
      prompt: "it moves",
      input_reference: frame,
    });
    const off = await client.videos.delete(moved.id);
    return { first, last: video.status, begins: bytes.subarray(4, 8).toString(), off: off.deleted };
  },

  async errors() {
    const file = await toFile(Buffer.from("no sound at all"), "a.wav");
    return {
      quality: await failure(() => client.images.generate({ model: flux, prompt: "a cat", quality: "hd" })),
      file: await failure(() => client.audio.transcriptions.create({ model: server, file })),
      video: await failure(() => client.videos.retrieve("video_123")),
    };
  },

  async leaving() {
    const leave = new AbortController();
    const model = "huggingface/fal-ai/text-to-image/fault-job-endless";
    setTimeout(() => leave.abort(), 1500);
    return failure(() => client.images.generate({ model, prompt: "a cat" }, { signal: leave.signal }));
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
