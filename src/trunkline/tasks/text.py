"""The text tasks: what each function takes, and what it brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from trunkline.errors import InvalidInputError
from trunkline.routing.ask import Ask
from trunkline.tasks.arguments import plain_table, some_texts, text, text_table, texts

if TYPE_CHECKING:
    from trunkline.calls import Calls
    from trunkline.types.parameters import TaskOptions
    from trunkline.types.results import (
        Answer,
        EmbeddingResponse,
        Entity,
        Filling,
        Items,
        Label,
        RerankResponse,
        TableAnswer,
        TextCompletion,
        TextOutput,
    )


def text_completion(
    calls: Calls,
    model: str,
    prompt: str,
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    n: int | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    frequency_penalty: float | None = None,
    presence_penalty: float | None = None,
    repetition_penalty: float | None = None,
    logprobs: int | None = None,
    echo: bool | None = None,
    suffix: str | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[TextCompletion]:
    """Continue a prompt: OpenAI's `/v1/completions`, Hugging Face's text-generation.

    `max_tokens` and the sampling parameters mean what they mean in OpenAI's API. For models that
    chat, use completion(). Raises APIError.
    """
    parameters = {
        "max_new_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "n": n,
        "stop": [stop] if isinstance(stop, str) else some_texts(stop, "stop"),
        "seed": seed,
        "frequency_penalty": frequency_penalty,
        "presence_penalty": presence_penalty,
        "repetition_penalty": repetition_penalty,
        "logprobs": logprobs,
        "echo": echo,
        "suffix": suffix,
    }
    return calls.ask("text-generation", model, text(prompt, "prompt"), parameters, options)


def embedding(
    calls: Calls,
    model: str,
    input: str | Sequence[str],  # noqa: A002 - OpenAI's name
    *,
    dimensions: int | None = None,
    encoding_format: Literal["float", "base64"] | None = None,
    normalize: bool | None = None,
    truncate: bool | None = None,
    truncation_direction: Literal["left", "right"] | None = None,
    prompt_name: str | None = None,
    pooling: Literal["mean", "cls", "none"] | None = None,
    user: str | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[EmbeddingResponse]:
    """Turn texts into vectors: OpenAI's shape, in the order of `input`; `.numpy()` for an array.

    Any number of texts: more than a provider takes at once go out in several requests. A model that
    gives a vector for each token needs `pooling`. Raises APIError.
    """
    inputs = input if isinstance(input, str) else texts(input, "input", alone=True)
    parameters = {
        "dimensions": dimensions,
        "encoding_format": encoding_format,
        "normalize": normalize,
        "truncate": truncate,
        "truncation_direction": truncation_direction,
        "prompt_name": prompt_name,
        "pooling": pooling,
        "user": user,
    }
    return calls.ask("feature-extraction", model, inputs, parameters, options)


def sparse_embedding(
    calls: Calls,
    model: str,
    input: str | Sequence[str],  # noqa: A002 - as embedding has it
    *,
    truncate: bool | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[dict[int, float]]]:
    """Turn texts into sparse vectors, `{token: weight}` each; needs a server that runs TEI.

    Raises APIError.
    """
    inputs = input if isinstance(input, str) else texts(input, "input", alone=True)
    return calls.ask("sparse-embedding", model, inputs, {"truncate": truncate}, options)


def rerank(
    calls: Calls,
    model: str,
    query: str,
    documents: Sequence[str | Mapping[str, Any]],
    *,
    top_n: int | None = None,
    return_documents: bool | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[RerankResponse]:
    """Order documents by how well they answer a query, in Cohere's shape; raises APIError.

    A document is a text, or a mapping with a `text`.
    """
    inputs = {"query": text(query, "query"), "texts": texts(_plain(documents), "documents")}
    parameters = {"top_n": top_n, "return_documents": return_documents}
    return calls.ask("text-ranking", model, inputs, parameters, options)


def sentence_similarity(
    calls: Calls,
    model: str,
    source_sentence: str,
    sentences: Sequence[str],
    **options: Unpack[TaskOptions],
) -> Ask[Items[float]]:
    """Compare one sentence with others: a number each, 1.0 for the same; raises APIError."""
    inputs = {
        "source_sentence": text(source_sentence, "source_sentence"),
        "sentences": texts(sentences, "sentences"),
    }
    return calls.ask("sentence-similarity", model, inputs, {}, options)


def text_classification(
    calls: Calls,
    model: str,
    text: str,
    *,
    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None,
    top_k: int | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Label]]:
    """Give a text labels with scores, the best first; raises APIError."""
    parameters = {"function_to_apply": function_to_apply, "top_k": top_k}
    return calls.ask("text-classification", model, _text(text), parameters, options)


def token_classification(
    calls: Calls,
    model: str,
    text: str,
    *,
    aggregation_strategy: Literal["none", "simple", "first", "average", "max"] | None = None,
    ignore_labels: Sequence[str] | None = None,
    stride: int | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Entity]]:
    """Find names, places and the like in a text; raises APIError."""
    parameters = {
        "aggregation_strategy": aggregation_strategy,
        "ignore_labels": some_texts(ignore_labels, "ignore_labels"),
        "stride": stride,
    }
    return calls.ask("token-classification", model, _text(text), parameters, options)


def zero_shot_classification(
    calls: Calls,
    model: str,
    text: str,
    candidate_labels: Sequence[str],
    *,
    multi_label: bool | None = None,
    hypothesis_template: str | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Label]]:
    """Give a text the labels of your own that fit it, the best first; raises APIError."""
    parameters = {
        "candidate_labels": texts(candidate_labels, "candidate_labels"),
        "multi_label": multi_label,
        "hypothesis_template": hypothesis_template,
    }
    return calls.ask("zero-shot-classification", model, _text(text), parameters, options)


def question_answering(
    calls: Calls,
    model: str,
    question: str,
    context: str,
    *,
    align_to_words: bool | None = None,
    doc_stride: int | None = None,
    handle_impossible_answer: bool | None = None,
    max_answer_len: int | None = None,
    max_question_len: int | None = None,
    max_seq_len: int | None = None,
    top_k: int | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Answer]]:
    """Find the answer to a question in a text, with its place there; raises APIError."""
    parameters = {
        "align_to_words": align_to_words,
        "doc_stride": doc_stride,
        "handle_impossible_answer": handle_impossible_answer,
        "max_answer_len": max_answer_len,
        "max_question_len": max_question_len,
        "max_seq_len": max_seq_len,
        "top_k": top_k,
    }
    inputs = {"question": _text(question, "question"), "context": _text(context, "context")}
    return calls.ask("question-answering", model, inputs, parameters, options)


def table_question_answering(
    calls: Calls,
    model: str,
    query: str,
    table: Any,
    *,
    padding: Literal["do_not_pad", "longest", "max_length"] | None = None,
    sequential: bool | None = None,
    truncation: bool | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[TableAnswer]]:
    """Answer a question from a table (columns, rows as dicts, or a DataFrame); raises APIError."""
    inputs = {"query": _text(query, "query"), "table": text_table(table, "table")}
    parameters = {"padding": padding, "sequential": sequential, "truncation": truncation}
    return calls.ask("table-question-answering", model, inputs, parameters, options)


def fill_mask(
    calls: Calls,
    model: str,
    text: str,
    *,
    targets: Sequence[str] | None = None,
    top_k: int | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Filling]]:
    """Find words for the mask in a text (`[MASK]` or `<mask>`, as the model has it).

    Raises APIError.
    """
    parameters = {"targets": some_texts(targets, "targets"), "top_k": top_k}
    return calls.ask("fill-mask", model, _text(text), parameters, options)


def summarization(
    calls: Calls,
    model: str,
    text: str,
    *,
    clean_up_tokenization_spaces: bool | None = None,
    truncation: str | None = None,
    generate_parameters: Mapping[str, Any] | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[TextOutput]:
    """Say a text shorter; raises APIError."""
    parameters = {
        "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
        "truncation": truncation,
        "generate_parameters": generate_parameters,
    }
    return calls.ask("summarization", model, _text(text), parameters, options)


def translation(
    calls: Calls,
    model: str,
    text: str,
    *,
    src_lang: str | None = None,
    tgt_lang: str | None = None,
    clean_up_tokenization_spaces: bool | None = None,
    truncation: str | None = None,
    generate_parameters: Mapping[str, Any] | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[TextOutput]:
    """Translate a text, for models of several languages from `src_lang` to `tgt_lang`.

    Raises APIError.
    """
    if (src_lang is None) is not (tgt_lang is None):
        raise InvalidInputError(
            "src_lang and tgt_lang go together.",
            hint="Give both, or neither where the model knows two languages only.",
        )
    parameters = {
        "src_lang": src_lang,
        "tgt_lang": tgt_lang,
        "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
        "truncation": truncation,
        "generate_parameters": generate_parameters,
    }
    return calls.ask("translation", model, _text(text), parameters, options)


def tabular_classification(
    calls: Calls, model: str, table: Any, **options: Unpack[TaskOptions]
) -> Ask[Items[Any]]:
    """Predict a class for each row of a table; raises APIError.

    The table is columns (`{name: [values]}`), rows as dicts, or a DataFrame.
    """
    return calls.ask(
        "tabular-classification", model, {"data": plain_table(table, "table")}, {}, options
    )


def tabular_regression(
    calls: Calls, model: str, table: Any, **options: Unpack[TaskOptions]
) -> Ask[Items[float]]:
    """Predict a number for each row of a table, given as tabular_classification takes it.

    Raises APIError.
    """
    return calls.ask(
        "tabular-regression", model, {"data": plain_table(table, "table")}, {}, options
    )


def _plain(documents: Any) -> Any:
    """Return documents as texts, where they are a list; what is none is for others to refuse."""
    if isinstance(documents, (str, bytes)) or not isinstance(documents, Sequence):
        return documents
    for place, document in enumerate(documents):
        if isinstance(document, Mapping) and "text" not in document:
            raise InvalidInputError(
                f"documents[{place}] has no 'text'.",
                hint="Give each document as a string, or as {'text': ...}.",
            )
    return [row["text"] if isinstance(row, Mapping) else row for row in documents]


def _text(value: Any, name: str = "text") -> str:
    return text(value, name)
