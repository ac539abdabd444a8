"""LiteLLM's snippets, word for word, after `install_as_litellm()`; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from trunkline import errors
from trunkline.compat import litellm
from trunkline.errors import InvalidInputError
from trunkline.types import Chunk, ChunkChoice, Delta

BEFORE = "import trunkline\ntrunkline.install_as_litellm()\n"


def run(program: str, *, before: str = BEFORE) -> str:
    """Run a program in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", before + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_chats_streams_and_errors_work_under_litellms_names() -> None:
    said = run(
        """
        import asyncio
        import litellm
        from litellm import acompletion, completion, stream_chunk_builder
        from litellm.exceptions import RateLimitError, AuthenticationError
        import litellm.exceptions

        messages = [{"role": "user", "content": "hi"}]
        litellm.set_verbose = True
        answer = completion(model="sandbox/demo", messages=messages, num_retries=1, verbose=True)
        assert answer["choices"][0]["message"]["content"] == answer.choices[0].message.content
        assert isinstance(answer, litellm.ModelResponse)
        again = asyncio.run(acompletion(model="sandbox/demo", messages=messages))
        assert again.text == answer.text
        chunks = list(completion(model="sandbox/demo", messages=messages, stream=True))
        assert stream_chunk_builder(chunks, messages=messages).text == answer.text
        assert isinstance(chunks[0], litellm.ModelResponseStream)
        assert litellm.exceptions.RateLimitError is RateLimitError is litellm.RateLimitError
        try:
            completion(model="", messages=messages)
        except litellm.BadRequestError as error:
            print("caught", error.llm_provider)
        """
    )
    assert said == "caught None"


def test_a_name_that_is_absent_says_so_and_names_itself() -> None:
    said = run(
        """
        import litellm
        try:
            from litellm import Router
        except ImportError as error:
            print(error)
        try:
            litellm.Router
        except AttributeError as error:
            print(error)
        try:
            import litellm.proxy.proxy_server
        except ImportError as error:
            print(error)
        try:
            from litellm.types.utils import ModelResponse
        except ImportError as error:
            print(error)
        print(hasattr(litellm, "batch_completion"), getattr(litellm, "Router", None))
        """
    ).splitlines()
    assert "'Router'" in said[0]
    assert "'Router'" in said[1]
    assert "'proxy'" in said[2]
    assert "'types'" in said[3]
    assert all("Trunkline" in line for line in said[:4])
    assert said[4] == "False None"


def test_the_other_tasks_work_in_litellms_order_and_with_its_keywords() -> None:
    said = run(
        """
        import asyncio
        import litellm
        from litellm import aembedding, embedding, image_generation, rerank, speech, transcription

        vectors = embedding("sandbox/org/m", ["a", "b"], num_retries=1)
        assert isinstance(vectors, litellm.EmbeddingResponse)
        assert [row.index for row in vectors.data] == [0, 1]
        again = asyncio.run(aembedding(model="sandbox/org/m", input=["a", "b"]))
        assert again.vectors == vectors.vectors
        picture = image_generation("a cat", "sandbox/org/m")
        assert picture.data[0].b64_json
        spoken = speech("sandbox/org/m", "hello")
        assert isinstance(transcription("sandbox/org/m", spoken), litellm.TranscriptionResponse)
        assert litellm.text_completion("Once", "sandbox/org/m").text
        print(rerank("sandbox/org/m", "cats", ["dogs bark", "cats purr"]).results[0].index)
        """
    )
    assert said == "1"


def test_installing_twice_is_harmless_and_other_imports_work_as_before() -> None:
    said = run(
        """
        import litellm as first
        trunkline.install_as_litellm()
        import litellm as second
        import wave
        try:
            import no_such_module_at_all
        except ModuleNotFoundError as error:
            print(first is second, error)
        """
    )
    assert said == "True No module named 'no_such_module_at_all'"


def test_a_litellm_that_is_there_already_is_not_replaced() -> None:
    said = run(
        """
        import sys, types
        sys.modules["litellm"] = types.ModuleType("litellm")
        import trunkline
        try:
            trunkline.install_as_litellm()
        except trunkline.ConfigurationError as error:
            print(error)
        """,
        before="",
    )
    assert "imported already" in said


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"base_url": "https://h", "api_base": "https://h"}, "api_base are the same thing"),
        ({"timeout": 1, "request_timeout": 2}, "timeout are the same thing"),
        ({"custom_llm_provider": "bedrock"}, "custom_llm_provider"),
        ({"fallbacks": ["x"]}, "no parameter 'fallbacks'"),
        ({"base_url": "h"}, "does not begin with http"),
    ],
)
def test_keywords_that_cannot_be_meant_are_refused(keywords: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        litellm.completion("openai/m", [{"role": "user", "content": "hi"}], **keywords)


def test_no_messages_are_refused_as_elsewhere() -> None:
    with pytest.raises(InvalidInputError, match="messages is empty"):
        litellm.completion("sandbox/demo")


def test_every_error_of_ours_that_litellm_knows_has_its_name_there() -> None:
    for name in ("RateLimitError", "Timeout", "NotFoundError", "ContextWindowExceededError"):
        assert litellm._ERRORS[name] is getattr(errors, name)


def test_chunks_are_folded_as_they_are() -> None:
    chunks = [Chunk("c", "m", [ChunkChoice(0, Delta(content=t))]) for t in "ab"]
    assert litellm.stream_chunk_builder(chunks).text == "ab"
