"""all-MiniLM-L6-v2 behind the sandbox: the sandbox's routes, with a real model's vectors.

`python embedder.py serve MODEL PORT` serves on loopback; `python embedder.py vectors MODEL` reads a
JSON list of texts and writes the vectors that the model itself gives. Runs with transformers' peer.
"""

from __future__ import annotations

import asyncio
import json
import sys

import torch
from transformers import AutoModel, AutoTokenizer

LONGEST = 256
"""Tokens of a text that the model sees, as its `sentence_bert_config.json` says."""
BATCH = 32


class Embedder:
    """The model as its authors describe its use: the mean of the tokens' vectors, of length 1."""

    def __init__(self, folder: str) -> None:
        self._tokens = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModel.from_pretrained(folder).eval()

    def __call__(self, texts: list[str]) -> list[list[float]]:
        """Return a vector for each text."""
        found: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            found += self._batch(texts[start : start + BATCH])
        return found

    def _batch(self, texts: list[str]) -> list[list[float]]:
        given = self._tokens(
            texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        with torch.inference_mode():
            vectors = self._model(**given).last_hidden_state
        mask = given["attention_mask"].unsqueeze(-1).float()
        means = (vectors * mask).sum(1) / mask.sum(1)
        numbers: list[list[float]] = torch.nn.functional.normalize(means).tolist()
        return numbers


def serve(folder: str, port: int) -> None:
    """Serve until stopped."""
    from trunkline.sandbox import Sandbox, SandboxServer

    server = SandboxServer(Sandbox(embed=Embedder(folder)), port=port)
    asyncio.run(server.serve_forever())


def main(action: str, folder: str, *rest: str) -> None:
    """Do what the command line says."""
    if action == "serve":
        serve(folder, int(rest[0]))
    else:
        json.dump(Embedder(folder)(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
