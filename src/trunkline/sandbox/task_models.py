"""The sandbox's models for tasks other than chat: real names, and who could serve them."""

from __future__ import annotations

from trunkline.sandbox.served import Model, Served

_WHISPER = "8099696689d249cf8b122d833c36ac3f75505c666a395ca40ef26f68e7d3d16e"
_KOKORO = "f559560eb822dc509045f3921a1921234918b91739db4bf3daab2169b71c7a13"
_MOCHI = "1944af04d098ef69bed7f9d335d102e652203f268ec4aaa2d836f6217217e460"
_LORA = "flux_lora_frosting_lane_flux_000002500.safetensors"


def _model(name: str, task: str, served: tuple[Served, ...], tag: str | None = None) -> Model:
    return Model(name, served, task=task, pipeline_tag=tag or task)


def _own(name: str, task: str, *others: Served) -> Model:
    """Return a model that Hugging Face serves itself, as its only provider or the last one."""
    return _model(name, task, (*others, Served("hf-inference", name)))


_IMAGES = (
    _model("black-forest-labs/FLUX.1-dev", "text-to-image", (
        Served("fal-ai", "fal-ai/flux/dev"),
        Served("replicate", "black-forest-labs/flux-dev"),
        Served("wavespeed", "wavespeed-ai/flux-dev"),
        Served("together", "black-forest-labs/FLUX.1-dev"),
    )),
    _own("black-forest-labs/FLUX.1-schnell", "text-to-image",
        Served("together", "black-forest-labs/FLUX.1-schnell"),
        Served("nscale", "black-forest-labs/FLUX.1-schnell"),
        Served("deepinfra", "black-forest-labs/FLUX-1-schnell"),
        Served("fal-ai", "fal-ai/flux/schnell"),
        Served("replicate", "black-forest-labs/flux-schnell"),
    ),
    _own("stabilityai/stable-diffusion-xl-base-1.0", "text-to-image",
        Served("nscale", "stabilityai/stable-diffusion-xl-base-1.0"),
        Served("fal-ai", "fal-ai/fast-sdxl", status="error"),
    ),
    _model("zai-org/GLM-Image", "text-to-image", (Served("zai-org", "glm-image"),)),
    _model("Qwen/Qwen-Image", "text-to-image", (
        Served("fal-ai", "fal-ai/qwen-image", status="staging"),
        Served("replicate", "qwen/qwen-image"),
    )),
    Model("stabilityai/stable-diffusion-3.5-large", (
        Served("fal-ai", "fal-ai/stable-diffusion-v35-large"),
        Served("hf-inference", "stabilityai/stable-diffusion-3.5-large"),
    ), task="text-to-image", pipeline_tag="text-to-image", gated=True),
    _model("alvdansen/frosting_lane_flux", "text-to-image", (
        Served("fal-ai", "fal-ai/flux-lora", lora=_LORA),
    )),
    _model("nerijs/pixel-art-xl", "text-to-image", (
        Served("fal-ai", "fal-ai/lora", lora="pixel-art-xl.safetensors"),
    )),
    _model("openfree/flux-chatgpt-ghibli-lora", "text-to-image", (
        Served("replicate", "black-forest-labs/flux-dev-lora",
               lora="flux-chatgpt-ghibli-lora.safetensors"),
        Served("wavespeed", "wavespeed-ai/flux-dev-lora", lora=""),
    )),
    _model("black-forest-labs/FLUX.1-Kontext-dev", "image-to-image", (
        Served("fal-ai", "fal-ai/flux-kontext/dev"),
        Served("replicate", "black-forest-labs/flux-kontext-dev"),
        Served("wavespeed", "wavespeed-ai/flux-kontext-dev"),
        Served("together", "black-forest-labs/FLUX.1-kontext-dev"),
    )),
    _model("Qwen/Qwen-Image-Edit", "image-to-image", (
        Served("together", "Qwen/Qwen-Image-Edit"),
        Served("replicate", "qwen/qwen-image-edit"),
    )),
    _own("timbrooks/instruct-pix2pix", "image-to-image"),
    _model("black-forest-labs/FLUX.2-dev", "image-text-to-image", (
        Served("fal-ai", "fal-ai/flux-2/edit"),
        Served("wavespeed", "wavespeed-ai/flux-2-dev/edit"),
    )),
    _model("briaai/RMBG-2.0", "image-segmentation", (
        Served("fal-ai", "fal-ai/bria/background/remove"),
    )),
    _own("facebook/detr-resnet-50-panoptic", "image-segmentation"),
    _model("zai-org/GLM-OCR", "image-to-text", (Served("zai-org", "glm-ocr"),)),
    _own("Salesforce/blip-image-captioning-base", "image-to-text"),
    _own("google/vit-base-patch16-224", "image-classification"),
    _own("facebook/detr-resnet-50", "object-detection"),
    _own("openai/clip-vit-large-patch14", "zero-shot-image-classification"),
    _own("dandelin/vilt-b32-finetuned-vqa", "visual-question-answering"),
    _own("impira/layoutlm-document-qa", "document-question-answering"),
)  # fmt: skip

_VIDEOS = (
    _model("Wan-AI/Wan2.1-T2V-14B", "text-to-video", (
        Served("fal-ai", "fal-ai/wan-t2v"),
        Served("novita", "wan-t2v"),
        Served("replicate", "wavespeedai/wan-2.1-t2v-480p"),
        Served("wavespeed", "wavespeed-ai/wan-2.1/t2v-480p"),
        Served("together", "Wan-AI/Wan2.1-T2V-14B"),
    )),
    _model("genmo/mochi-1-preview", "text-to-video", (
        Served("fal-ai", "fal-ai/mochi-v1"),
        Served("replicate", f"genmoai/mochi-1:{_MOCHI}"),
    )),
    _model("Wan-AI/Wan2.1-I2V-14B-480P", "image-to-video", (
        Served("fal-ai", "fal-ai/wan-i2v"),
        Served("wavespeed", "wavespeed-ai/wan-2.1/i2v-480p"),
        Served("together", "Wan-AI/Wan2.1-I2V-14B"),
    )),
    _model("Lightricks/LTX-Video", "image-text-to-video", (
        Served("fal-ai", "fal-ai/ltx-video/image-to-video"),
        Served("wavespeed", "wavespeed-ai/ltx-video/i2v"),
    )),
    _model("MiniMaxAI/MiniMax-H3", "image-text-to-video", (Served("novita", "MiniMax-H3"),)),
)  # fmt: skip

_SOUNDS = (
    _own("openai/whisper-large-v3", "automatic-speech-recognition",
        Served("fal-ai", "fal-ai/whisper"),
        Served("replicate", f"openai/whisper:{_WHISPER}"),
        Served("deepinfra", "openai/whisper-large-v3"),
        Served("together", "openai/whisper-large-v3"),
    ),
    _model("hexgrad/Kokoro-82M", "text-to-speech", (
        Served("fal-ai", "fal-ai/kokoro/american-english"),
        Served("replicate", f"jaaari/kokoro-82m:{_KOKORO}"),
        Served("deepinfra", "hexgrad/Kokoro-82M"),
        Served("together", "hexgrad/Kokoro-82M"),
    )),
    _own("espnet/kan-bayashi_ljspeech_vits", "text-to-speech"),
    _model("stabilityai/stable-audio-open-1.0", "text-to-audio", (
        Served("fal-ai", "fal-ai/stable-audio"),
    )),
    _own("facebook/musicgen-small", "text-to-audio"),
    _own("speechbrain/sepformer-wham", "audio-to-audio", Served("fal-ai", "fal-ai/deepfilternet3")),
    _own("superb/hubert-large-superb-er", "audio-classification"),
)  # fmt: skip

_TEXTS = (
    _model("mistralai/Mixtral-8x7B-v0.1", "text-generation", (
        Served("together", "mistralai/Mixtral-8x7B-v0.1"),
        Served("featherless-ai", "mistralai/Mixtral-8x7B-v0.1"),
    )),
    _model("Qwen/Qwen3-8B-Base", "text-generation", (
        Served("deepinfra", "Qwen/Qwen3-8B-Base"),
        Served("novita", "qwen/qwen3-8b-base"),
        Served("scaleway", "qwen3-8b-base"),
        Served("ovhcloud", "Qwen3-8B-Base"),
    )),
    _own("openai-community/gpt2", "text-generation"),
    _model("Qwen/Qwen3-Embedding-8B", "feature-extraction", (
        Served("scaleway", "qwen3-embedding-8b"),
        Served("deepinfra", "Qwen/Qwen3-Embedding-8B"),
    )),
    _own("intfloat/multilingual-e5-large-instruct", "feature-extraction",
        Served("together", "intfloat/multilingual-e5-large-instruct"),
    ),
    _own("BAAI/bge-small-en-v1.5", "feature-extraction"),
    _own("sentence-transformers/all-MiniLM-L6-v2", "sentence-similarity"),
    _own("BAAI/bge-reranker-v2-m3", "text-ranking"),
    _model("Qwen/Qwen3-Reranker-8B", "text-ranking", (
        Served("deepinfra", "Qwen/Qwen3-Reranker-8B"),
        Served("together", "Qwen/Qwen3-Reranker-8B"),
        Served("novita", "qwen/qwen3-reranker-8b"),
        Served("scaleway", "qwen3-reranker-8b"),
    )),
    _own("distilbert/distilbert-base-uncased-finetuned-sst-2-english", "text-classification"),
    _own("dbmdz/bert-large-cased-finetuned-conll03-english", "token-classification"),
    _own("google-bert/bert-base-uncased", "fill-mask"),
    _own("FacebookAI/xlm-roberta-base", "fill-mask"),
    _own("facebook/bart-large-cnn", "summarization"),
    _own("google-t5/t5-base", "translation"),
    _own("facebook/bart-large-mnli", "zero-shot-classification"),
    _own("MoritzLaurer/DeBERTa-v3-base-mnli-fever-anli", "zero-shot-classification"),
    _own("deepset/roberta-base-squad2", "question-answering"),
    _own("google/tapas-base-finetuned-wtq", "table-question-answering"),
    _own("vvmnnnkv/wine-quality", "tabular-classification"),
    _own("scikit-learn/Fish-Weight", "tabular-regression"),
)  # fmt: skip

_ODD = (
    _model("sandbox-org/served-by-a-stranger", "text-to-image", (
        Served("nimbus-ai", "nimbus/painter-1"),
    )),
    _model("sandbox-org/served-by-nobody", "text-to-image", ()),
    _model("sandbox-org/served-for-two-tasks", "text-to-image", (
        Served("replicate", "sandbox-org/two-tasks", task="image-to-image"),
        Served("fal-ai", "sandbox-org/two-tasks"),
    )),
)  # fmt: skip
"""Mappings that a client has to get over."""

TASK_MODELS: tuple[Model, ...] = (*_IMAGES, *_VIDEOS, *_SOUNDS, *_TEXTS, *_ODD)
