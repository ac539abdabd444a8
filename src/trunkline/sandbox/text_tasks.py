"""Answers of pipelines to questions about text and tables: made from the request's own words."""

from __future__ import annotations

import re
from typing import Any

from trunkline.sandbox.asking import Ask, fields_of, text_of, texts_of, wrong
from trunkline.sandbox.vectors import fits, nearness, shortened, sigmoid, softmax, vectors_of

_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"(?<=[a-z0-9,;:] )[A-Z][\w'-]+(?: [A-Z][\w'-]+)*")
_MASKS = ("[MASK]", "<mask>")
_FILLINGS = ("good", "new", "small", "great", "long", "old", "quiet", "bright", "slow", "plain")
_GLAD = frozenset(
    [
        "excellent",
        "fine",
        "glad",
        "good",
        "great",
        "happy",
        "like",
        "love",
        "loved",
        "nice",
        "thanks",
        "well",
        "wonderful",
    ]
)
_SAD = frozenset(
    [
        "awful",
        "bad",
        "broken",
        "hate",
        "horrible",
        "sad",
        "slow",
        "terrible",
        "ugly",
        "worse",
        "worst",
        "wrong",
    ]
)
OLD_FORM = "MoritzLaurer/DeBERTa-v3-base-mnli-fever-anli"
"""A model that answers as all did once: columns in place of rows."""
_ENTITIES = ("PER", "LOC", "ORG", "MISC")


def words(text: str) -> list[str]:
    """Return a text's words in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def feature_extraction(ask: Ask) -> Any:
    """Return a vector for a text, or a list of them for several."""
    texts = texts_of(ask.inputs)
    found = shortened(vectors_of(ask.visit, texts), ask.parameters.get("dimensions"))
    return found if isinstance(ask.inputs, list) else found[0]


def sentence_similarity(ask: Ask) -> Any:
    """Return how near each sentence is to the first."""
    rows = ask.inputs if isinstance(ask.inputs, dict) else {}
    for name in ("source_sentence", "sentences"):
        if rows.get(name) is None:
            raise wrong(f"Field required: received `{name}` in `parameters`")
    texts = [text_of(rows["source_sentence"]), *texts_of(rows["sentences"])]
    first, *others = vectors_of(ask.visit, texts)
    return [nearness(first, other) for other in others]


def text_ranking(ask: Ask) -> Any:
    """Return texts in the order of how well they fit a query."""
    query, texts = fields_of(ask.inputs, "query", "texts")
    found = fits(ask.visit, text_of(query), texts_of(texts))
    rows = [{"index": i, "score": sigmoid(logit)} for i, logit in enumerate(found)]
    return sorted(rows, key=lambda row: -row["score"])


def text_classification(ask: Ask) -> Any:
    """Return both moods of each text, the likelier first; `[[...]]`, as pipelines do."""
    return [_moods(text, ask) for text in texts_of(ask.inputs)]


def _moods(text: str, ask: Ask) -> list[dict[str, Any]]:
    said = words(text)
    balance = sum(word in _GLAD for word in said) - sum(word in _SAD for word in said)
    glad = sigmoid(balance * 3 + ask.score(text) - 0.5)
    scores = {"POSITIVE": glad, "NEGATIVE": 1 - glad}
    return ranked(scores)[: ask.count("top_k", 2)]


def ranked(scores: dict[str, float]) -> list[dict[str, Any]]:
    """Return labels with their scores, the best first."""
    rows = [{"label": label, "score": score} for label, score in scores.items()]
    return sorted(rows, key=lambda row: -row["score"])


def zero_shot_classification(ask: Ask) -> Any:
    """Return the labels that were asked for, by how near they are to the text."""
    labels = candidates(ask)
    texts = texts_of(ask.inputs)
    found = [_judged(text, labels, ask) for text in texts]
    return found if isinstance(ask.inputs, list) else found[0]


def candidates(ask: Ask) -> list[str]:
    """Return the labels to choose among; raises RefusedError without any."""
    labels = ask.parameters.get("candidate_labels")
    if isinstance(labels, str):
        labels = [label.strip() for label in labels.split(",")]
    if not isinstance(labels, list) or not all(
        isinstance(label, str) and label for label in labels
    ):
        raise wrong("Error in `parameters.candidate_labels`: field required")
    if not labels:
        raise wrong("You must include at least one label and at least one sequence.")
    return labels


def _judged(text: str, labels: list[str], ask: Ask) -> Any:
    first, *others = vectors_of(ask.visit, [text, *labels])
    near = [6 * nearness(first, other) for other in others]
    several = ask.parameters.get("multi_label")
    scores = [sigmoid(number - 1) for number in near] if several else softmax(near)
    rows = ranked(dict(zip(labels, scores, strict=True)))
    if ask.model != OLD_FORM:
        return rows
    return {
        "sequence": text,
        "labels": [row["label"] for row in rows],
        "scores": [row["score"] for row in rows],
    }


def token_classification(ask: Ask) -> Any:
    """Return the names in a text: words with a capital that begin no sentence."""
    grouped = ask.parameters.get("aggregation_strategy") != "none"
    found = list(_NAME.finditer(ask.text))
    return [row for name in found for row in (_group(name, ask) if grouped else _tokens(name, ask))]


def _group(name: re.Match[str], ask: Ask) -> list[dict[str, Any]]:
    kind = _ENTITIES[int(ask.score(name.group()) * 3.99)]
    told = {"entity_group": kind, "score": 0.9 + ask.score(name.start()) / 10}
    return [{**told, "word": name.group(), "start": name.start(), "end": name.end()}]


def _tokens(name: re.Match[str], ask: Ask) -> list[dict[str, Any]]:
    (group,) = _group(name, ask)
    rows: list[dict[str, Any]] = []
    for part in re.finditer(r"\S+", name.group()):
        start = name.start() + part.start()
        label = f"{'I' if rows else 'B'}-{group['entity_group']}"
        told = {"entity": label, "score": group["score"], "index": len(rows) + 1}
        rows.append(
            {**told, "word": part.group(), "start": start, "end": start + len(part.group())}
        )
    return rows


def fill_mask(ask: Ask) -> Any:
    """Return words for the mask; a model whose name tells its kind knows one mask only."""
    known: tuple[str, ...] = _MASKS
    if "bert-base" in ask.model or "roberta" in ask.model:
        known = ("<mask>",) if "roberta" in ask.model else ("[MASK]",)
    found = [_fillings(text, known, ask) for text in texts_of(ask.inputs)]
    return found if isinstance(ask.inputs, list) else found[0]


def _fillings(text: str, known: tuple[str, ...], ask: Ask) -> list[dict[str, Any]]:
    mask = next((mask for mask in known if mask in text), None)
    if mask is None:
        raise wrong(f"No mask_token ({known[0]}) found on the input")
    targets = ask.parameters.get("targets") or _FILLINGS
    scores = ranked({word: 0.01 + 0.5 * ask.score(word) for word in targets})
    return [
        {
            "score": row["score"],
            "token": 1000 + sum(row["label"].encode()),
            "token_str": row["label"],
            "sequence": text.replace(mask, row["label"], 1),
        }
        for row in scores[: ask.count("top_k", 5)]
    ]


def summarization(ask: Ask) -> Any:
    """Return a summary of each text: its first sentence, in its own words."""
    found = texts_of(ask.inputs)
    return [{"summary_text": f"[simulated] {_first_sentence(text)}"} for text in found]


def _first_sentence(text: str) -> str:
    return " ".join(_sentences(text)[0].group().split()[:40])


def translation(ask: Ask) -> Any:
    """Return each text as it came, and into which language it was to go."""
    source, target = (ask.parameters.get(name) or "?" for name in ("src_lang", "tgt_lang"))
    way = f"[simulated {source} to {target}]"
    return [{"translation_text": f"{way} {text}"} for text in texts_of(ask.inputs)]


def question_answering(ask: Ask) -> Any:
    """Return the sentence of the context that shares the most words with the question."""
    question, context = fields_of(ask.inputs, "question", "context")
    asked, text = set(words(text_of(question))), text_of(context)
    found = [(len(asked & set(words(s.group()))) / (len(asked) or 1), s) for s in _sentences(text)]
    found.sort(key=lambda row: -row[0])
    answers = [_found(share, sentence) for share, sentence in found]
    most = ask.count("top_k", 1)
    return answers[:most] if most > 1 else answers[0]


def _found(share: float, sentence: re.Match[str]) -> dict[str, Any]:
    answer = sentence.group().strip().rstrip(".!?").rstrip()
    start = sentence.start() + len(sentence.group()) - len(sentence.group().lstrip())
    return {"score": share, "start": start, "end": start + len(answer), "answer": answer}


def _sentences(text: str) -> list[re.Match[str]]:
    return [found for found in _SENTENCE.finditer(text) if found.group().strip()]


def table_question_answering(ask: Ask) -> Any:
    """Return the cell in the row and column whose words the question shares."""
    query, table = fields_of(ask.inputs, "query", "table")
    columns = table if isinstance(table, dict) else {}
    sizes = {len(cells) if isinstance(cells, list) else -1 for cells in columns.values()}
    if len(sizes) != 1 or min(sizes) < 1:
        raise wrong("Error in `inputs.table`: columns of equal length expected")
    asked = set(words(text_of(query)))
    names = list(columns)
    column = max(range(len(names)), key=lambda i: _share(names[i], asked))
    rows = [" ".join(str(columns[name][i]) for name in names) for i in range(sizes.pop())]
    row = max(range(len(rows)), key=lambda i: _share(rows[i], asked))
    cell = str(columns[names[column]][row])
    told = {"coordinates": [[row, column]], "cells": [cell], "aggregator": "NONE"}
    return {"answer": cell, **told}


def _share(text: str, asked: set[str]) -> int:
    return len(asked & set(words(text)))


def tabular(ask: Ask) -> Any:
    """Return a class or a number for each row of the table."""
    (data,) = fields_of(ask.inputs, "data")
    columns = data.values() if isinstance(data, dict) else ()
    sizes = {len(cells) if isinstance(cells, list) else -1 for cells in columns}
    if len(sizes) != 1 or min(sizes) < 1:
        raise wrong("Error in `inputs.data`: columns of equal length expected")
    rows = [[str(cells[i]) for cells in columns] for i in range(sizes.pop())]
    scores = [ask.score(*row) for row in rows]
    if ask.task == "tabular-regression":
        return [100 + 300 * score for score in scores]
    return [3 + int(score * 5) for score in scores]
