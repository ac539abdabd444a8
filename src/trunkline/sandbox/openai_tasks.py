"""Tasks in OpenAI's forms, with the ways of the providers that take them: no model behind them."""

from __future__ import annotations

from typing import Any

from trunkline.sandbox import media_files
from trunkline.sandbox.answers import CREATED, tokens
from trunkline.sandbox.arrivals import Arrived, NoFileError, arrived
from trunkline.sandbox.asking import task_of
from trunkline.sandbox.completions import completions, refused
from trunkline.sandbox.forms import BROKEN, Upload
from trunkline.sandbox.media_tasks import b64, heard_text
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.tei import as_base64
from trunkline.sandbox.vectors import fits, shortened, sigmoid, vectors_of
from trunkline.sandbox.visit import Visit

_IMAGE_TASKS = ("text-to-image", "image-to-image", "image-text-to-image")
_MOST_IMAGES = 4
_LARGEST_INPUT = 2048


def text_completions(visit: Visit, provider: str) -> Reply:
    """Continue a prompt."""
    model = _model(visit, provider, ("text-generation", "conversational"))
    return completions(visit, model)


def embeddings(visit: Visit, provider: str) -> Reply:
    """Return a vector for each text."""
    model = _model(visit, provider, ("feature-extraction", "sentence-similarity"))
    asked = visit.asked
    texts = _texts(asked.get("input"), "input")
    if len(texts) > _LARGEST_INPUT:
        raise refused(f"'input' must have at most {_LARGEST_INPUT} texts.", "input")
    found = shortened(vectors_of(visit, texts), asked.get("dimensions"))
    packed = asked.get("encoding_format") == "base64"
    rows = [
        {"object": "embedding", "index": i, "embedding": as_base64(one) if packed else one}
        for i, one in enumerate(found)
    ]
    spent = sum(len(tokens(text)) for text in texts)
    usage = {"prompt_tokens": spent, "total_tokens": spent}
    return json_reply(200, {"object": "list", "data": rows, "model": model, "usage": usage})


def rerank(visit: Visit, provider: str) -> Reply:
    """Return documents in the order of how well they fit a query."""
    model = _model(visit, provider, ("text-ranking",))
    asked = visit.asked
    (query,) = _texts(asked.get("query"), "query")
    documents = asked.get("documents")
    rows = documents if isinstance(documents, list) else []
    texts = _texts([r.get("text") if isinstance(r, dict) else r for r in rows], "documents")
    scores = [sigmoid(logit) for logit in fits(visit, query, texts)]
    order = sorted(range(len(texts)), key=lambda i: -scores[i])
    shown = asked.get("return_documents")
    results = [
        {
            "index": i,
            "relevance_score": scores[i],
            **({"document": {"text": texts[i]}} if shown else {}),
        }
        for i in order[: asked.get("top_n") or len(order)]
    ]
    spent = sum(len(tokens(text)) for text in (query, *texts))
    usage = {"prompt_tokens": spent, "completion_tokens": 0, "total_tokens": spent}
    told = {"id": f"rerank-{visit.mark(visit.body)[:16]}", "object": "rerank", "model": model}
    return json_reply(200, {**told, "results": results, "usage": usage})


def images(visit: Visit, provider: str) -> Reply:
    """Make pictures for a text, and for a picture where one is given."""
    model = _model(visit, provider, _IMAGE_TASKS)
    asked = visit.asked
    (prompt,) = _texts(asked.get("prompt"), "prompt", empty=bool(_shown(asked)))
    for shown in _shown(asked):
        _file(shown, "image", "image_url")
    if "kontext" in model.lower() and asked.get("reference_images"):
        raise refused("reference_images is not supported for this model", "reference_images")
    width, height = _measures(asked)
    urls = asked.get("response_format", "url" if provider == "together" else None) == "url"
    data = []
    for index in range(min(asked.get("n") or 1, _MOST_IMAGES)):
        mark = visit.mark(model, prompt, visit.body, index)
        picture = (
            {"url": media_files.link(visit, "png", mark, width, height)}
            if urls
            else {"b64_json": b64(media_files.png(mark, width, height))}
        )
        data.append({"index": index, **picture} if provider == "together" else picture)
    told: dict[str, Any] = {"created": CREATED}
    if provider == "together":
        told = {"id": visit.mark(visit.body)[:16], "model": model, "object": "list"}
    return json_reply(200, {**told, "data": data})


def image_edits(visit: Visit, provider: str) -> Reply:
    """Make a picture for the ones in a form."""
    form = _form(visit)
    model = _model(visit, provider, _IMAGE_TASKS)
    _texts(form.get("prompt"), "prompt", empty=True)
    pictures = [value for name, value in form.items() if name in ("image", "image[]", "mask")]
    for picture in pictures or [None]:
        if not isinstance(picture, Upload):
            raise refused("'image' is missing.", "image")
        _file(picture.content, "image", "image")
    width, height = _measures(form)
    mark = visit.mark(model, visit.body)
    shown = media_files.png(mark, width, height)
    told = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
    rows = [{"b64_json": b64(shown), "revised_prompt": None}]
    if form.get("response_format") == "url":
        rows = [{"url": media_files.link(visit, "png", mark, width, height)}]
    return json_reply(200, {"created": CREATED, "data": rows, "usage": told})


def speech(visit: Visit, provider: str) -> Reply:
    """Say a text; what comes is WAV, whatever form was asked for."""
    _model(visit, provider, ("text-to-speech",))
    (text,) = _texts(visit.asked.get("input"), "input")
    if provider == "together" and not visit.asked.get("voice"):
        raise refused("voice is required", "voice")
    seconds = media_files.spoken_seconds(text)
    return media_files.typed(media_files.wav(visit.mark(visit.body), seconds), "wav")


def transcriptions(visit: Visit, provider: str) -> Reply:
    """Say what a sound is, from a form."""
    form = _form(visit)
    _model(visit, provider, ("automatic-speech-recognition",))
    heard = _uploaded(form.get("file"), provider)
    text = heard_text(heard)
    form_wanted = form.get("response_format", "json")
    if form_wanted == "text":
        return Reply(200, (("content-type", "text/plain; charset=utf-8"),), (text.encode(),))
    told: dict[str, Any] = {"text": text}
    if form_wanted == "verbose_json" or provider == "deepinfra":
        end = heard.seconds or 1.0
        told |= {"task": "transcribe", "language": form.get("language") or "en", "duration": end}
        told["segments"] = [{"id": 0, "start": 0.0, "end": end, "text": text}]
    return json_reply(200, told)


def translations(visit: Visit, provider: str) -> Reply:
    """Say in English what a sound is, from a form."""
    form = _form(visit)
    _model(visit, provider, ("automatic-speech-recognition",))
    text = heard_text(_uploaded(form.get("file"), provider)) + " in English"
    return json_reply(200, {"text": text})


def _form(visit: Visit) -> dict[str, Any]:
    if not visit.head.headers.get("content-type", "").startswith("multipart/form-data"):
        raise refused("Unsupported media type: send multipart/form-data", status=415)
    form: dict[str, Any] = visit.asked
    if BROKEN in form:
        raise refused(f"The form cannot be read: {form[BROKEN]}.")
    return form


def layout_parsing(visit: Visit, provider: str) -> Reply:
    """Read a picture of a page."""
    model = _model(visit, provider, ("image-to-text",))
    seen = _file(visit.asked.get("file"), "image", "file")
    told = {"id": visit.mark(visit.body)[:24], "created": CREATED, "model": model}
    return json_reply(200, {**told, "md_results": f"# [simulated]\n\n{seen}", "layout_details": []})


def _model(visit: Visit, provider: str, tasks: tuple[str, ...]) -> str:
    """Return the model that a request names; raises RefusedError where it is not served."""
    name = visit.asked.get("model")
    if not isinstance(name, str) or not name:
        raise RefusedError(400, {"error": f"Model not supported by provider {provider}"})
    task_of(visit, provider, name, tasks)
    return name


def _texts(value: Any, name: str, *, empty: bool = False) -> list[str]:
    alone = "" if value is None and empty else value
    rows: list[Any] = value if isinstance(value, list) else [alone]
    if not rows or not all(isinstance(row, str) and (row or empty) for row in rows):
        raise refused(f"'{name}' must be text, and not empty.", name)
    return rows


def _shown(asked: dict[str, Any]) -> list[Any]:
    """Return the pictures that a request has: one alone, or several."""
    several = asked.get("reference_images")
    found = [asked.get("image_url"), *(several if isinstance(several, list) else [])]
    return [shown for shown in found if shown is not None]


def _measures(asked: dict[str, Any]) -> tuple[int, int]:
    """Return width and height, from `size` or by their names; raises RefusedError."""
    size = asked.get("size")
    first, cross, second = size.partition("x") if isinstance(size, str) else ("", "", "")
    if cross and first.isdigit() and second.isdigit():
        return int(first), int(second)
    found = asked.get("width") or 1024, asked.get("height") or 768
    if size is not None or not all(isinstance(side, int) and side > 0 for side in found):
        raise refused("The size must be given as two numbers of pixels.", "size")
    return found


def _file(value: Any, kind: str, name: str) -> Arrived:
    try:
        return arrived(value, kind=kind, bare=isinstance(value, bytes))
    except NoFileError as error:
        raise refused(f"'{name}' is no {kind}: {error}.", name) from error


def _uploaded(value: Any, provider: str) -> Arrived:
    """Return the sound in a form; Together takes its URL, too."""
    if isinstance(value, str) and provider == "together":
        return _file(value, "audio", "file")
    if not isinstance(value, Upload):
        raise refused("'file' is missing.", "file")
    if "." not in value.name:
        raise refused("'file' has a name without an ending: its format is not known.", "file")
    return _file(value.content, "audio", "file")
