"""A tour: chat, streaming, vision, tools and other tasks. Runs against Hugging Face, or against the sandbox.

Against the sandbox: `trunkline sandbox` in one terminal; in another
`eval "$(trunkline sandbox --env)"; HF_TOKEN=hf_sandbox python examples/tour.py`.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from trunkline import (
    completion,
    cost,
    embedding,
    image,
    image_generation,
    run_tools,
    speech,
    transcription,
)

# a red square of 8 x 8 pixels
RED_SQUARE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkAKP8/wc53yE8AAAAA"
    "SUVORK5CYII="
)


def chat() -> None:
    """Ask one provider, and see on the receipt who answered and what it took."""
    answer = completion(
        model="huggingface/together/deepseek-ai/DeepSeek-R1",
        messages=[{"role": "user", "content": "How many r's are in the word 'strawberry'?"}],
    )
    print(answer.text)
    print(answer.receipt)
    print(cost(answer))


def streaming() -> None:
    """Leave the choice of provider to the router, and print the answer as it is written."""
    stream = completion(
        model="huggingface/meta-llama/Llama-3.3-70B-Instruct",
        messages=[{"role": "user", "content": "Name three rivers."}],
        stream=True,
    )
    for text in stream.text:
        print(text, end="", flush=True)
    print()
    print(stream.usage)


def vision() -> None:
    """Show a model an image that this program has as bytes."""
    answer = completion(
        model="huggingface/sambanova/meta-llama/Llama-3.2-11B-Vision-Instruct",
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "What's in this image?"}, image(RED_SQUARE)],
            }
        ],
    )
    print(answer.text)


def tools() -> None:
    """Let a model call a Python function, and answer from what it returned."""

    def get_weather(city: str, unit: str = "celsius") -> str:
        """Return the weather in a city.

        Args:
            city: The city's name.
            unit: celsius or fahrenheit.
        """
        return f"17 degrees {unit} and clear in {city}"

    run = run_tools(
        "huggingface/sambanova/meta-llama/Llama-3.3-70B-Instruct",
        [{"role": "user", "content": "What is the weather in Paris?"}],
        [get_weather],
    )
    for call in run.calls:
        print(f"{call.name}({call.arguments}) -> {call.content}")
    print(run.text)


def pictures() -> None:
    """Have an image made, which is a job at its provider, and keep it as a file."""
    made = image_generation(
        "huggingface/fal-ai/black-forest-labs/FLUX.1-dev",
        "an astronaut riding a horse",
        on_progress=lambda progress: print(f"{progress.seconds:.1f} s: {progress.state}"),
    )
    folder = Path(tempfile.mkdtemp(prefix="trunkline-"))
    print(made.image, "->", made.image.save(folder / "astronaut"))


def sound() -> None:
    """Say a text aloud, and write down what was said."""
    spoken = speech("huggingface/replicate/hexgrad/Kokoro-82M", "The Rhine is 1,230 km long.")
    print(spoken)
    written = transcription("huggingface/hf-inference/openai/whisper-large-v3", spoken)
    print(written.text)


def vectors() -> None:
    """Turn sentences into vectors: those that mean nearly the same are near."""
    sentences = ["A cat sleeps on the sofa.", "A cat naps on the sofa.", "Stocks fell on Monday."]
    found = embedding(
        "huggingface/hf-inference/sentence-transformers/all-MiniLM-L6-v2", sentences
    ).vectors
    for other, sentence in zip(found[1:], sentences[1:], strict=True):
        near = sum(a * b for a, b in zip(found[0], other, strict=True))
        print(f"{near:.2f}  {sentences[0]} / {sentence}")


def main() -> None:
    """Run the whole tour, or the parts named on the command line."""
    parts = {
        part.__name__: part for part in (chat, streaming, vision, tools, pictures, sound, vectors)
    }
    for name in sys.argv[1:] or parts:
        print(f"\n--- {name}")
        parts[name]()


if __name__ == "__main__":
    main()
