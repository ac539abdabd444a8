"""What cannot work is refused by name, before anything is sent where it can be known before."""

from __future__ import annotations

import inspect
import io
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
from task_rows import PICTURE, RECORDING, ROWS, TASK_OF, Call

import trunkline
from loopback import Visit, whole
from trunkline import errors
from trunkline.sandbox import SandboxServer
from trunkline.tasks import text

NAMES = sorted(ROWS)


def model_of(function: str) -> str:
    """Return a model that needs no look-up, so that whatever is sent is the call itself."""
    return f"huggingface/hf-inference/sandbox/{TASK_OF[function]}-demo"


def refused(call: Call, server: SandboxServer, function: str, *args: Any, **keywords: Any) -> str:
    """Return what a call is refused with; nothing may have been sent."""
    provider = "fal-ai/" if function in MOVING else "hf-inference/"
    model = f"huggingface/{provider}sandbox/{TASK_OF[function]}-demo"
    with pytest.raises(errors.InvalidInputError) as caught:
        call(function, model, *args, **keywords)
    assert len(server.requests) == 0
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


MOVING = {"text_to_video", "image_to_video", "image_text_to_video", "image_text_to_image"}
"""Functions of tasks that hf-inference does not serve."""


# arguments and parameters of another type


def positions() -> list[tuple[str, int, str]]:
    """Return each function's arguments: its name, which one, and that one's name."""
    found = []
    for function in NAMES:
        names = list(inspect.signature(getattr(trunkline, function)).parameters)[1:]
        found += [(function, i, names[i]) for i in range(len(ROWS[function].arguments))]
    return found


MAY_BE_NONE = {("image_edit", "prompt"), ("image_text_to_image", "image"),
               ("image_text_to_video", "image"), ("image_to_video", "prompt")}  # fmt: skip
FILES = {"image", "audio", "file"}


@pytest.mark.parametrize(("function", "place", "name"), positions())
def test_an_argument_of_another_type_is_refused_by_its_name(
    call: Call, server: SandboxServer, function: str, place: int, name: str
) -> None:
    wrong: list[Any] = [3, 2.5, True, object(), {1, 2}]
    if (function, name) not in MAY_BE_NONE:
        wrong.append(None)
    if name not in FILES:
        wrong += [b"bytes", [None]]
    for value in wrong:
        args = list(ROWS[function].arguments)
        args[place] = value
        said = refused(call, server, function, *args)
        assert name in said or (name in FILES and "cannot be used" in said)


def keywords_of(function: str) -> list[str]:
    said = text.text_completion if function == "text_completion" else getattr(trunkline, function)
    parameters = inspect.signature(said).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


FREE = {"return_timestamps", "sampling_rate", "stream", "truncation", "word_boxes"}
"""Parameters with values of several kinds, or that matter with some inputs only."""


@pytest.mark.parametrize("function", NAMES)
def test_a_parameter_of_another_type_is_refused_by_its_name(
    call: Call, server: SandboxServer, function: str
) -> None:
    for name in set(keywords_of(function)) - FREE:
        for value in (object(), b"bytes", [[3]]):
            assert name in refused(
                call, server, function, *ROWS[function].arguments, **{name: value}
            )


@pytest.mark.parametrize("function", NAMES)
def test_a_number_that_is_none_is_refused(call: Call, server: SandboxServer, function: str) -> None:
    numbers = {"guidance_scale", "threshold", "temperature", "top_p", "speed", "num_frames"}
    for name in numbers & set(keywords_of(function)):
        for value in (math.nan, math.inf):
            said = refused(call, server, function, *ROWS[function].arguments, **{name: value})
            assert f"{name} is {value}; a finite number is expected." in said


OPENAIS = [
    ("speech", {"response_format": "mp3"}),
    ("transcription", {"response_format": "verbose_json"}),
    ("text_completion", {"logprobs": 3}),
    ("text_completion", {"stop": ["\n", "."]}),
    ("text_completion", {"stop": []}),
    ("image_generation", {"response_format": "b64_json", "size": (32, 16)}),
]


@pytest.mark.parametrize(("function", "keywords"), OPENAIS)
def test_names_that_mean_something_else_in_a_chat_mean_what_the_task_says(
    call: Call, function: str, keywords: dict[str, Any]
) -> None:
    arguments = ROWS[function].arguments
    model = f"huggingface/deepinfra/sandbox/{TASK_OF[function]}-demo"
    assert call(function, model, *arguments, **keywords).receipt.provider == "deepinfra"


async def _tell(progress: object) -> None:
    """What nobody would await."""


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    # a text is no list of its letters
    ("zero_shot_classification", ("x", "a"), {}, r"candidate_labels is a str.*\n.*\['a'\] for one"),
    ("zero_shot_image_classification", (PICTURE, "a"), {}, "candidate_labels is a str"),
    ("rerank", ("q", "abc"), {}, r"documents is a str; a list.*\n.*\['abc'\]"),
    ("rerank", ("q", {"a": "b"}), {}, "documents is a dict; a list"),
    ("sentence_similarity", ("q", "abc"), {}, "sentences is a str; a list"),
    ("fill_mask", ("a [MASK]",), {"targets": "good"}, "targets is a str; a list"),
    ("token_classification", ("Sarah",), {"ignore_labels": "PER"}, "ignore_labels is a str"),
    ("transcription", (RECORDING,), {"timestamp_granularities": "word"}, "is a str; a list"),
    ("text_completion", ("x",), {"stop": [3]}, r"stop\[0\] is an int"),
    # lists
    ("embedding", (["a", None],), {}, r"input\[1\] is None; a string is expected"),
    ("embedding", ((x for x in "ab"),), {}, r"input is a generator.*\n.*list\(input\) makes one"),
    ("embedding", ([],), {}, "input is empty"),
    ("sparse_embedding", ([],), {}, "input is empty"),
    ("rerank", ("q", []), {}, "documents is empty"),
    ("rerank", ("q", [{"text": "a"}, {"txt": "b"}]), {}, r"documents\[1\] has no 'text'"),
    ("zero_shot_classification", ("x", []), {}, "candidate_labels is empty"),
    ("sentence_similarity", ("q", []), {}, "sentences is empty"),
    # sizes
    *(
        ("image_generation", ("x",), {"size": size}, "a size such as '640x360' is expected")
        for size in ("x", "640", "0x5", "-1x5", "1.5x2", (1,), (1, 2, 3), (1, math.nan),
                     {"width": 3}, 3, [], "", (1.5, 2), b"1x2")
    ),
    ("image_edit", (PICTURE, "x"), {"target_size": "big"}, "target_size is 'big'; a size"),
    ("image_to_video", (PICTURE,), {"target_size": "big"}, "target_size is 'big'; a size"),
    ("image_generation", ("x",), {"response_format": "png"}, "'url' or 'b64_json' is expected"),
    # numbers that are too small
    ("image_generation", ("x",), {"n": 0}, "n is 0; at least 1"),
    ("image_generation", ("x",), {"num_inference_steps": -3}, "at least 1"),
    ("text_completion", ("x",), {"max_tokens": 0}, "max_tokens is 0; at least 1"),
    ("text_completion", ("x",), {"max_tokens": "9"}, "max_tokens is '9'; an integer"),
    ("rerank", ("q", ["a"]), {"top_n": 0}, "top_n is 0; at least 1"),
    ("embedding", ("x",), {"dimensions": 0}, "dimensions is 0; at least 1"),
    ("embedding", ("x",), {"encoding_format": "hex"}, "'hex' is no encoding_format"),
    ("embedding", ("x",), {"pooling": "max"}, "'max' is no pooling"),
    ("translation", ("x",), {"src_lang": "en"}, "src_lang and tgt_lang go together"),
    # what JSON cannot say
    ("summarization", ("half \ud800",), {}, r"surrogates not allowed.*\n.*replace"),
    ("embedding", (["a", "\udfff"],), {}, "surrogates not allowed"),
    # tables
    *(
        ("tabular_classification", (table,), {}, said)
        for table, said in (
            ({}, "table is a dict; columns"),
            ([], "table is a list; columns"),
            ([[1, 2]], "table is a list; columns"),
            ({"a": "abc"}, "Column 'a' is a str; a list"),
            ({"a": {1, 2}}, "Column 'a' is a set; a list"),
            ({"a": [1], "b": [1, 2]}, "different lengths: {'a': 1, 'b': 2}"),
            ({"a": []}, "table has no rows"),
            ({"a": [1, math.nan]}, r"Row 1 of column 'a' is nan.*\n.*None where"),
            ({"a": [b"x"]}, "Row 0 of column 'a' is a bytes; text or a number"),
        )
    ),
    ("table_question_answering", ("q", {"a": [1], "b": []}), {}, "different lengths"),
    # options
    ("summarization", ("x",), {"timeout": 0}, "timeout is 0; seconds above 0"),
    ("summarization", ("x",), {"deadline": -1}, "deadline is -1"),
    ("summarization", ("x",), {"deadline": math.nan}, "deadline is nan"),
    ("summarization", ("x",), {"max_retries": -1}, "max_retries is -1"),
    ("summarization", ("x",), {"max_bytes": 0}, "max_bytes is 0"),
    ("summarization", ("x",), {"on_progress": _tell}, "on_progress is an async function"),
    ("summarization", ("x",), {"on_progress": 3}, "on_progress is 3; a function is expected"),
    ("summarization", ("x",), {"engine": "vllm"}, r"engine is 'vllm'; one of openai.*\n.*'openai'"),
    ("summarization", ("x",), {"extra_headers": {"a": "b\r\nc: d"}}, "header 'a'"),
    ("summarization", ("x",), {"extra_body": [1]}, "extra_body is"),
    ("summarization", ("x",), {"download": "no"}, "download is 'no'"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "args", "keywords", "said"), WRONG)
def test_a_value_that_cannot_be_meant_is_refused(
    call: Call,
    server: SandboxServer,
    function: str,
    args: tuple[Any, ...],
    keywords: dict[str, Any],
    said: str,
) -> None:
    said = re.sub(r"(?<=lengths: )(.*)", lambda found: re.escape(found[0]), said)
    assert re.search(said, refused(call, server, function, *args, **keywords))


TYPOS = [
    ("image_generation", "num_inference_step", "num_inference_steps"),
    ("image_generation", "negativ_prompt", "negative_prompt"),
    ("image_generation", "sise", "size"),
    ("text_completion", "max_token", "max_tokens"),
    ("speech", "voise", "voice"),
    ("embedding", "dedline", "deadline"),
]


@pytest.mark.parametrize(("function", "typo", "meant"), TYPOS)
def test_a_typo_in_a_keyword_gets_the_nearest_of_the_functions_own(
    call: Call, server: SandboxServer, function: str, typo: str, meant: str
) -> None:
    said = refused(call, server, function, *ROWS[function].arguments, **{typo: 3})
    assert f"no parameter {typo!r}. Did you mean {meant!r}?" in said
    assert "extra_body" in said
    with pytest.raises(errors.UnknownParameterError, match=f"mean '{meant}'"):
        getattr(trunkline, function)("sandbox/org/m", *ROWS[function].arguments, **{typo: 3})


class Frame:
    """A DataFrame, as far as anything here looks at one."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = list(columns)
        self._columns = columns

    def __getitem__(self, name: str) -> Series:
        return Series(self._columns[name])

    def to_dict(self) -> None:
        raise AssertionError("its form differs between libraries")


class Series:
    """A column whose items are no Python numbers, as an array's are not."""

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __iter__(self) -> Any:
        return iter([object()] * len(self._values))

    def tolist(self) -> list[Any]:
        return self._values


@pytest.mark.parametrize(
    "table",
    [Frame(a=[1, 2], b=["x", None]), {"a": Series([1, 2]), "b": ("x", None)},
     [{"a": 1, "b": "x"}, {"a": 2}]],
    ids=["frame", "columns", "rows"],
)  # fmt: skip
def test_a_table_may_be_a_frame_columns_or_rows(
    call: Call, server: SandboxServer, table: Any
) -> None:
    found = call("tabular_classification", model_of("tabular_classification"), table)
    assert len(found) == 2
    assert server.requests[-1].json == {"inputs": {"data": {"a": [1, 2], "b": ["x", None]}}}
    call("table_question_answering", model_of("table_question_answering"), "which b?", table)
    asked = server.requests[-1].json["inputs"]["table"]
    assert asked == {"a": ["1", "2"], "b": ["x", ""]}  # what is missing is no word "None"


# files


@pytest.fixture
def vast(tmp_path: Path) -> Path:
    """A file of 2 GB that takes no room."""
    path = tmp_path / "vast.wav"
    path.touch()
    os.truncate(path, 2**31)
    return path


def test_a_file_of_two_gigabytes_is_not_read(call: Call, server: SandboxServer, vast: Path) -> None:
    for function in ("transcription", "image_classification"):
        said = refused(call, server, function, vast)
        assert "2,147,483,648 bytes; the limit is" in said
        with vast.open("rb") as file:
            assert "2,147,483,648 bytes; the limit is" in refused(call, server, function, file)


SOURCES: list[tuple[str, Any, str]] = [
    ("transcription", b"hello there, this is text", "The content is text, and audio is expected"),
    ("transcription", PICTURE, "is a PNG image, and audio is expected"),
    ("transcription", io.StringIO("x"), "open in text mode"),
    ("image_classification", RECORDING, "is a WAV recording, and an image is expected"),
    ("image_classification", "nowhere.png", "'nowhere.png' cannot be read: there is no such file"),
    ("image_classification", ".", "it is a directory"),
    ("image_classification", b"", "The content is empty"),
    ("image_classification", io.BytesIO(), "has nothing left to read"),
    ("image_classification", "ftp://example.org/a.png", "it is not an http"),
    ("image_classification", "data:image/png;base64,#", "base64 is malformed"),
    ("image_classification", b"<!doctype html>", "is a web page"),
]


@pytest.mark.parametrize(("function", "source", "said"), SOURCES)
def test_a_file_of_another_kind_is_refused(
    call: Call, server: SandboxServer, function: str, source: Any, said: str
) -> None:
    assert said in refused(call, server, function, source)


def test_a_file_above_the_callers_own_limit_is_refused(call: Call, server: SandboxServer) -> None:
    assert "has 139 bytes; the limit is 10" in refused(
        call, server, "image_classification", PICTURE, max_bytes=10
    )


def pages(visit: Visit) -> None:
    """Answer /page with a web page that says it is a picture, and /gone with 404."""
    while True:
        target = visit.request().target
        page = b"<!doctype html><title>Cats</title>"
        if "gone" in target:
            visit.send(whole(b"gone", status=404, content_type="text/plain"))
        else:
            visit.send(whole(page, content_type="image/png"))


def test_an_image_by_url_that_is_a_web_page_is_said_to_be_one(
    call: Call, server: SandboxServer, serve: Any
) -> None:
    upstream = serve(pages)
    base = upstream.url.removesuffix("/v1")
    said = refused(call, server, "image_classification", f"{base}/page.png?secret=1")
    assert "is a web page, and an image is expected" in said
    assert "secret" not in said
    with pytest.raises(errors.NotFoundError, match="could not be fetched"):
        call("image_classification", model_of("image_classification"), f"{base}/gone.png")
    assert len(server.requests) == 0
    assert all("authorization" not in request.headers for request in upstream.requests)


# models, providers and tasks that do not go together


class Case:
    """What a call of image_generation, or another, has to fail with."""

    def __init__(
        self,
        model: str,
        kind: type[errors.APIError],
        *said: str,
        function: str = "image_generation",
        posts: int = 0,
        token: str = "hf_good",
    ) -> None:
        self.model, self.kind, self.said = model, kind, said
        self.function, self.posts, self.token = function, posts, token


FLUX = "black-forest-labs/FLUX.1-dev"
LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
PLACES = [
    Case(f"huggingface/groq/{LLAMA}", errors.ModelNotSupportedError, "groq does not serve text-to-image",
         "Those who do: deepinfra, fal-ai"),
    Case(f"huggingface/togehter/{FLUX}", errors.ModelNotSupportedError, "Did you mean 'together'?",
         "Those who serve text-to-image: deepinfra, fal-ai"),
    Case("sandbox-org/served-by-nobody", errors.ModelNotSupportedError, "No provider serves",
         "pipeline_tag=text-to-image", "api_base="),
    Case("sandbox-org/served-by-a-stranger", errors.ModelNotSupportedError, "nimbus-ai alone serves",
         "pip install --upgrade"),
    Case(LLAMA, errors.ModelNotSupportedError, "not text-to-image; use completion()"),
    Case(FLUX, errors.ModelNotSupportedError, "use image_generation()", function="embedding"),
    Case("sandbox-org/served-for-two-tasks:replicate", errors.ModelNotSupportedError,
         "use image_edit()", "For text-to-image it is served by fal-ai"),
    Case(f"huggingface/nscale/{FLUX}", errors.ModelNotSupportedError, "nscale does not serve",
         "served by fal-ai, replicate, wavespeed and together"),
    Case(f"{FLUX}:fastest", errors.InvalidInputError, "chat only", "Name a provider"),
    Case("no/such-model", errors.NotFoundError, "The Hub has no model no/such-model", "spelling"),
    Case("stabilityai/stable-diffusion-3.5-large", errors.PermissionDeniedError, "conditions",
         "gated", posts=1),
    Case("together", errors.InvalidInputError, "'together' is a provider", "<org>/<model>"),
    Case("org/m", errors.ModelNotSupportedError, "No provider serves sparse-embedding",
         "runs TEI", "api_base=", function="sparse_embedding"),
    Case(f"huggingface/fal-ai/{FLUX}", errors.AuthenticationError, "trunkline doctor", posts=1,
         token="hf_invalid"),
    Case(f"huggingface/fal-ai/{FLUX}", errors.PaymentRequiredError, "credits", "billing", posts=1,
         token="hf_nocredits"),
    Case(f"huggingface/fal-ai/{FLUX}", errors.PermissionDeniedError, "permission", posts=1,
         token="hf_nopermission"),
]  # fmt: skip


@pytest.mark.parametrize("case", PLACES, ids=lambda case: f"{case.model}-{case.function}")
def test_what_does_not_go_together_is_explained(
    call: Call, server: SandboxServer, case: Case
) -> None:
    with pytest.raises(case.kind) as caught:
        call(case.function, case.model, *ROWS[case.function].arguments, token=case.token)
    for words in case.said:
        assert words in str(caught.value)
    assert caught.value.hint
    posts = [seen for seen in server.requests if seen.method == "POST"]
    assert len(posts) == case.posts
    if case.posts:
        assert (caught.value.provider, caught.value.status) == ("fal-ai", posts[0].status)
        assert caught.value.request_id


WORKS = [
    ("fill_mask", "bert-base-uncased", "hf-inference"),  # renamed: the Hub sends on
    ("image_generation", "Qwen/Qwen-Image", "replicate"),  # the other offer is staging
    ("image_generation", "Qwen/Qwen-Image:fal-ai", "fal-ai"),
    ("image_generation", "stabilityai/stable-diffusion-xl-base-1.0:fal-ai", "fal-ai"),
    ("image_generation", "sandbox-org/served-for-two-tasks", "fal-ai"),
    ("image_generation", f"{FLUX}:preferred", "fal-ai"),
]


@pytest.mark.parametrize(("function", "model", "provider"), WORKS)
def test_what_is_merely_odd_works(call: Call, function: str, model: str, provider: str) -> None:
    row = ROWS[function]
    found = call(function, model, *row.arguments, **row.keywords)
    row.holds(found)
    assert found.receipt.provider == provider


def test_a_provider_without_the_task_lacks_it_in_the_emulator_too() -> None:
    with pytest.raises(errors.ModelNotSupportedError, match="groq does not serve text-to-image"):
        trunkline.image_generation("sandbox/groq/org/m", "x")
