"""Writes a tiny random Whisper that loads offline: `python mkwhisper.py FOLDER`.

It hears five seconds and writes 16 printable characters, greedily: the same sound, the same text.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

SECONDS = 5
FRAMES = SECONDS * 100
SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"),
    *("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
)


def tokenizer() -> WhisperTokenizer:
    """Return a tokenizer whose words are single bytes."""
    vocabulary = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *SPECIAL]
    with tempfile.TemporaryDirectory() as folder:
        words, merges = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        words.write_text(json.dumps({word: place for place, word in enumerate(vocabulary)}))
        merges.write_text("#version: 0.2\n")
        made = WhisperTokenizer.from_pretrained(folder)
    made.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    return made


def printable(word: str) -> bool:
    """Tell whether a token is one printable ASCII character, and no space."""
    return len(word) == 1 and word.isascii()


def model(tokens: WhisperTokenizer) -> WhisperForConditionalGeneration:
    """Return random weights, the same each time."""
    torch.manual_seed(0)
    special = {word: tokens.convert_tokens_to_ids(word) for word in SPECIAL}
    end, start = special["<|endoftext|>"], special["<|startoftranscript|>"]
    marks = {"eos_token_id": end, "pad_token_id": end, "bos_token_id": end}
    made = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokens),
            num_mel_bins=80,
            d_model=64,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            max_source_positions=FRAMES // 2,
            max_target_positions=64,
            decoder_start_token_id=start,
            init_std=0.5,  # with less, every sound is the same text
            **marks,
        )
    )
    made.generation_config = GenerationConfig(
        decoder_start_token_id=start,
        is_multilingual=False,
        no_timestamps_token_id=special["<|notimestamps|>"],
        suppress_tokens=[
            place for word, place in tokens.get_vocab().items() if not printable(word)
        ],
        max_new_tokens=16,
        do_sample=False,
        **marks,
    )
    return made


def main(folder: str) -> None:
    """Write the model with all that is needed to use it."""
    tokens = tokenizer()
    hears = WhisperFeatureExtractor(feature_size=80, chunk_length=SECONDS)
    WhisperProcessor(hears, tokens).save_pretrained(folder)
    model(tokens).save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1])
