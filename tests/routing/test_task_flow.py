"""Calls of tasks, driven by hand: parameters, batches, loading models, receipts and errors."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hand import START, TOKEN, Hand, Outcome, answers, fails
from task_hand import asked, carry_task, header

from job_forms import PNG
from trunkline import errors
from trunkline.dialects.shape import Body
from trunkline.errors import APIConnectionError, APIError, UnsupportedParamsError
from trunkline.providers.spec import Route
from trunkline.providers.table import PROVIDERS
from trunkline.providers.task_table import find_route
from trunkline.types import Secret, Timeouts
from trunkline.types.tasks import TaskCall

HF = "huggingface/hf-inference/org/m"
MINE = "http://10.0.0.5:8080"
LABELS = answers(body=[{"label": "good", "score": 0.9}], x_request_id="req-1")
LOADING = {"error": "Model org/m is currently loading", "estimated_time": 20.0}


def classify(hand: Hand, **options: Any) -> Any:
    return carry_task(hand, "text-classification", "fine", model=HF, **options)


def refusal(hand: Hand, **options: Any) -> APIError:
    with pytest.raises(APIError) as caught:
        classify(hand, **options)
    return caught.value


def body_of(hand: Hand, number: int = 0) -> Any:
    return json.loads(hand.sends[number].request.body)


# the call


def test_a_result_has_a_receipt_of_all_that_it_took() -> None:
    hand = Hand(answers(503, b"", x_request_id="req-0"), LABELS)
    receipt = classify(hand).receipt
    assert (receipt.provider, receipt.request_id) == ("hf-inference", "req-1")
    assert receipt.called == HF
    assert [(a.number, a.status, a.request_id) for a in receipt.attempts] == [
        (1, 503, "req-0"),
        (2, 200, "req-1"),
    ]
    assert receipt.total_time == hand.now - START
    assert (receipt.tokens.input, receipt.tokens.source) == (None, "unknown")


def test_a_call_has_the_callers_headers_and_a_limit() -> None:
    hand = Hand(LABELS)
    classify(hand, extra_headers={"x-mine": "1"}, places={"bill_to": "org"}, max_bytes=3)
    assert header(hand.sends[0], "x-mine") == "1"
    assert header(hand.sends[0], "x-hf-bill-to") == "org"
    limit = hand.sends[0].request.limit
    assert limit is not None and 1024 * 1024 <= limit < 2 * 1024 * 1024


def test_an_answer_that_is_itself_a_file_has_the_limit_of_one() -> None:
    def draw(size: int) -> Any:
        hand = Hand(answers(body=PNG + bytes(size), content_type="image/png"))
        return carry_task(hand, model=HF, max_bytes=100)

    assert len(draw(100 - len(PNG)).image.content) == 100
    with pytest.raises(errors.InvalidResponseError, match="more than 100 bytes"):
        draw(101 - len(PNG))


def test_an_answer_that_cannot_be_read_says_where_it_came_from() -> None:
    error = refusal(Hand(answers(body={"no": "labels"}, x_request_id="req-9")))
    assert isinstance(error, errors.InvalidResponseError)
    assert (error.provider, error.model, error.request_id) == ("hf-inference", "org/m", "req-9")
    assert len(error.attempts) == 1
    assert error.job is None


def test_a_replaced_token_is_taken_once() -> None:
    fresh = Secret("hf_second", "the environment variable HF_TOKEN")
    hand = Hand(answers(401, b""), LABELS, fresh=fresh)
    classify(hand)
    assert header(hand.sends[1], "authorization") == "Bearer hf_second"
    again = Hand(answers(401, b""), answers(401, b""), fresh=fresh)
    assert isinstance(refusal(again), errors.AuthenticationError)


def test_a_call_that_changes_nothing_is_sent_again_when_its_answer_is_lost() -> None:
    lost = fails(APIConnectionError("reset"), sent=True)
    hand = Hand(lost, lost, LABELS)
    assert classify(hand)[0].label == "good"


# parameters


def embedding(hand: Hand, parameters: dict[str, Any], **options: Any) -> Any:
    where = {"model": "huggingface/together/a/b/c", "parameters": parameters, **options}
    return carry_task(hand, "feature-extraction", ["a"], **where)


VECTORS = answers(body={"data": [{"index": 0, "embedding": [1.0]}], "model": "m"})


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Together refuse one parameter and call another something else."""
    found = find_route("together", "feature-extraction")
    assert isinstance(found, Route)
    route = msgspec.structs.replace(
        found, refuses=frozenset({"normalize", "truncate"}), renames=(("dimensions", "size"),)
    )
    row = msgspec.structs.replace(PROVIDERS["together"], tasks={"feature-extraction": route})
    monkeypatch.setitem(PROVIDERS, "together", row)


def test_what_a_provider_does_not_take_is_refused_before_anything_is_sent(picky: None) -> None:
    hand = Hand()
    with pytest.raises(UnsupportedParamsError, match="normalize, truncate") as caught:
        embedding(hand, {"truncate": True, "normalize": True, "dimensions": 3})
    assert caught.value.provider == "together"
    assert "drop_params=True" in str(caught.value)


def test_what_a_provider_does_not_take_is_dropped_where_that_is_wished(picky: None) -> None:
    hand = Hand(VECTORS)
    embedding(hand, {"truncate": True, "normalize": True}, drop_params=True)
    assert {"truncate", "normalize"} & body_of(hand).keys() == set()


def test_a_parameter_goes_under_the_providers_name(picky: None) -> None:
    hand = Hand(VECTORS)
    embedding(hand, {"dimensions": 3})
    assert body_of(hand)["size"] == 3
    assert "dimensions" not in body_of(hand)


def test_fields_of_the_callers_own_are_sent_as_they_are(picky: None) -> None:
    hand = Hand(VECTORS)
    embedding(hand, {}, extra_body={"normalize": True, "x": 1})
    assert body_of(hand)["normalize"] is True and body_of(hand)["x"] == 1


# batches

TEI = {"model_id": "org/e", "model_type": {"embedding": {}}, "max_client_batch_size": 32}
INFO = answers(body=TEI)


def embed_many(hand: Hand, texts: Any, **options: Any) -> Any:
    places = {"api_base": MINE}
    return carry_task(hand, "feature-extraction", texts, model="m", places=places, **options)


def vectors(send: Any, now: float) -> Any:
    """Answer each text with its number, as TEI does."""
    texts = json.loads(send.request.body)["inputs"]
    texts = [texts] if isinstance(texts, str) else texts
    return answers(body=[[float(text)] for text in texts])(send, now)


@pytest.mark.parametrize(("count", "sizes"), [(32, [32]), (33, [32, 1]), (70, [32, 32, 6])])
def test_more_texts_than_a_request_may_have_go_in_several(count: int, sizes: list[int]) -> None:
    hand = Hand(INFO, vectors, vectors, vectors)
    result = embed_many(hand, [str(number) for number in range(count)])
    assert [row.index for row in result.data] == list(range(count))
    assert [row.embedding for row in result.data] == [[float(n)] for n in range(count)]
    bodies = [body_of(hand, n)["inputs"] for n in range(1, len(hand.sends))]
    assert [len(texts) for texts in bodies] == sizes
    assert [a.number for a in result.receipt.attempts] == list(range(1, len(sizes) + 1))
    assert result.receipt.total_time == hand.now - START


def test_the_engines_own_limit_is_kept_to() -> None:
    small = answers(body={**TEI, "max_client_batch_size": 2})
    hand = Hand(small, vectors, vectors)
    assert len(embed_many(hand, ["1", "2", "3"]).data) == 3
    assert len(hand.sends) == 3


def test_one_text_is_no_batch() -> None:
    hand = Hand(INFO, vectors)
    assert len(embed_many(hand, "7").data) == 1


def counted(tokens: int | None) -> Outcome:
    def happen(send: Any, now: float) -> Any:
        texts = json.loads(send.request.body)["input"]
        data = [{"index": n, "embedding": [1.0]} for n in range(len(texts))]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens} if tokens else None
        return answers(body={"data": data, "model": "m", "usage": usage})(send, now)

    return happen


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Together take two texts in one request."""
    found = find_route("together", "feature-extraction")
    assert isinstance(found, Route)
    route = msgspec.structs.replace(found, max_batch=2)
    row = msgspec.structs.replace(PROVIDERS["together"], tasks={"feature-extraction": route})
    monkeypatch.setitem(PROVIDERS, "together", row)


def embed_three(hand: Hand, **options: Any) -> Any:
    model = "huggingface/together/a/b/c"
    return carry_task(hand, "feature-extraction", ["1", "2", "3"], model=model, **options)


def test_tokens_are_added_up(few: None) -> None:
    result = embed_three(Hand(counted(5), counted(3)))
    assert (result.usage.prompt_tokens, result.usage.total_tokens) == (8, 8)
    assert result.receipt.tokens.input == 8
    assert result.receipt.tokens.source == "provider"


def test_tokens_that_one_answer_does_not_tell_are_unknown(few: None) -> None:
    result = embed_three(Hand(counted(5), counted(None)))
    assert result.usage is None
    assert result.receipt.tokens.source == "unknown"


def test_attempts_of_all_requests_are_numbered_through(few: None) -> None:
    busy = answers(503, b"")
    result = embed_three(Hand(busy, counted(5), busy, busy, counted(3)))
    told = [(a.number, a.status) for a in result.receipt.attempts]
    assert told == [(1, 503), (2, 200), (3, 503), (4, 503), (5, 200)]


def test_a_later_request_that_fails_is_the_calls_failure(few: None) -> None:
    error = None
    with pytest.raises(errors.BadRequestError) as caught:
        embed_three(Hand(counted(5), answers(503, b""), answers(400, {"error": "bad text"})))
    error = caught.value
    assert "bad text" in error.message
    assert [(a.number, a.status) for a in error.attempts] == [(1, 200), (2, 503), (3, 400)]


def test_all_requests_share_the_deadline(few: None) -> None:
    hand = Hand(counted(5), fails(errors.Timeout("late"), sent=True, takes=9.0))
    with pytest.raises(errors.DeadlineExceeded):
        embed_three(hand, deadline=10.0)
    assert hand.sends[1].until == START + 10.0


# a model that is being loaded


def test_a_loading_model_is_waited_for_beyond_the_usual_retries() -> None:
    hand = Hand(*[answers(503, LOADING)] * 9, LABELS)
    assert classify(hand)[0].label == "good"
    assert hand.waits == [20.0] * 9


def test_a_loading_model_is_waited_for_within_the_time_of_a_request() -> None:
    hand = Hand(*[answers(503, LOADING)] * 99)
    error = refusal(hand, timeouts=Timeouts(total=100.0))
    assert isinstance(error, errors.ModelLoadingError)
    assert START + 75 <= hand.now <= START + 100
    assert error.attempts[-1].status == 503


def test_a_loading_model_is_waited_for_within_the_deadline() -> None:
    hand = Hand(*[answers(503, LOADING)] * 99)
    error = refusal(hand, deadline=50.0)
    assert isinstance(error, errors.ModelLoadingError)
    assert hand.now <= START + 50.0
    assert len(hand.waits) == 2


def test_without_retries_a_loading_model_is_not_waited_for() -> None:
    hand = Hand(answers(503, LOADING))
    assert isinstance(refusal(hand, retries=0), errors.ModelLoadingError)
    assert hand.waits == []


def test_a_long_estimate_is_waited_for_where_a_deadline_allows_it() -> None:
    slow = answers(503, {**LOADING, "estimated_time": 400.0})
    hand = Hand(slow, slow, LABELS)
    assert classify(hand, deadline=1000.0)[0].label == "good"
    assert hand.waits == [400.0] * 2
    hand = Hand(slow, LABELS)
    assert classify(hand)[0].label == "good"  # without one, as long as a request may take


def test_a_model_that_takes_too_long_to_load_is_not_waited_for() -> None:
    hand = Hand(answers(503, {**LOADING, "estimated_time": 900.0}))
    error = refusal(hand)
    assert isinstance(error, errors.ModelLoadingError)
    assert error.retry_after == 900.0
    assert hand.waits == []


def test_a_server_that_is_busy_for_another_reason_is_left_after_the_retries() -> None:
    hand = Hand(*[answers(503, {"error": "overloaded"})] * 3)
    assert not isinstance(refusal(hand), errors.ModelLoadingError)


# the call as a value


def test_what_was_given_is_not_changed() -> None:
    parameters = {"top_k": 3}
    inputs = {"question": "What?", "context": "That."}
    answer = answers(body={"answer": "That", "score": 0.5, "start": 0, "end": 4})
    carry_task(Hand(answer), "question-answering", inputs, model=HF, parameters=parameters)
    assert parameters == {"top_k": 3}
    assert inputs == {"question": "What?", "context": "That."}


def test_a_call_shows_no_token() -> None:
    hand = Hand(LABELS)
    classify(hand)
    assert TOKEN.value not in repr(hand.sends[0].target)
    assert asked(hand) == ["POST https://router.example/hf-inference/models/org/m"]
    assert TaskCall.__struct_config__.frozen


def test_a_body_without_a_type_is_sent_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_route("together", "feature-extraction")
    assert isinstance(found, Route)
    shape = msgspec.structs.replace(found.shape, write=lambda _: Body(b"x", None))
    route = msgspec.structs.replace(found, shape=shape)
    row = msgspec.structs.replace(PROVIDERS["together"], tasks={"feature-extraction": route})
    monkeypatch.setitem(PROVIDERS, "together", row)
    hand = Hand(VECTORS)
    embedding(hand, {})
    assert header(hand.sends[0], "content-type") is None
