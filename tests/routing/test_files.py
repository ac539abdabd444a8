"""Files by URL, driven by hand: what is fetched from where, how often, and with which words."""

from __future__ import annotations

from typing import Any

import pytest
from hand import START, Hand, Outcome, answers, fails, silent
from hypothesis import given
from hypothesis import strategies as st
from job_hand import WAVESPEED, carry
from task_hand import KEY, ROUTER, asked, carry_task, header

from job_forms import PNG
from trunkline import errors
from trunkline.errors import APIConnectionError, APIError, InvalidInputError, InvalidResponseError
from trunkline.types.media import Blob

HTML = b"<!doctype html><title>Sign in</title>"
SECRET = "signature=secret"
URL = f"https://files.example.com/made.png?{SECRET}"


def result_at(url: str, *then: Outcome) -> Hand:
    done = {"data": {"id": "w1", "status": "completed", "outputs": [url]}}
    return Hand(answers(body=WAVESPEED.accepted), answers(body=done), *then)


def fetch(url: str, *then: Outcome, **options: Any) -> tuple[Hand, Any]:
    hand = result_at(url, *then)
    return hand, carry(hand, WAVESPEED, **options).image


def refusal(url: str, *then: Outcome, **options: Any) -> tuple[Hand, APIError]:
    hand = result_at(url, *then)
    with pytest.raises(APIError) as caught:
        carry(hand, WAVESPEED, **options)
    error = caught.value
    assert SECRET not in str(error) and "secret" not in repr(error.args)
    assert error.provider == "wavespeed" and error.job is not None
    return hand, error


# where


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"http://files.example.com/a?{SECRET}", "not https"),
        (f"https://127.0.0.1/a?{SECRET}", "private"),
        (f"https://127.0.0.1.:8443/a?{SECRET}", "private"),
        (f"https://169.254.169.254/latest/meta-data?{SECRET}", "private"),
        (f"https://0.0.0.0/a?{SECRET}", "private"),
        (f"https://[::1]/a?{SECRET}", "private"),
        (f"https://[::ffff:127.0.0.1]/a?{SECRET}", "private"),
        (f"https://[64:ff9b::a00:1]/a?{SECRET}", "private"),
        (f"https://2130706433/a?{SECRET}", "private"),
        (f"https://0x7f.1/a?{SECRET}", "private"),
        (f"https://017700000001/a?{SECRET}", "private"),
        (f"https://0177.0.0.1/a?{SECRET}", "private"),
        (f"https://127.1/a?{SECRET}", "private"),
        (f"https://localhost/a?{SECRET}", "private"),
        (f"https://localhost./a?{SECRET}", "private"),
        (f"https://LOCALHOST/a?{SECRET}", "private"),
        (f"https://metadata.google.internal/a?{SECRET}", "private"),
        (f"https://intranet/a?{SECRET}", "private"),
        (f"https://\uff11\uff12\uff17.0.0.1/a?{SECRET}", "private"),
        (f"https://user:secret@files.example.com/a?{SECRET}", "no http"),
        (f"https://files.example.com/a b?{SECRET}", "no http"),
        (f"https://files.example.com/a\r\nhost: evil?{SECRET}", "no http"),
        (f"https://files.example.com\\@127.0.0.1/a?{SECRET}", "no http"),
        (f"https://files.example.com:99999/a?{SECRET}", "no http"),
        (f"https:///a?{SECRET}", "no http"),
        (f"https://[::1/a?{SECRET}", "no http"),
    ],
)
def test_a_file_at_an_address_that_is_not_everybodys_is_not_fetched(url: str, why: str) -> None:
    hand, error = refusal(url)
    assert isinstance(error, InvalidResponseError)
    assert why in error.message
    assert len(hand.sends) == 2


@pytest.mark.parametrize("url", ["ftp://a/b", "file:///etc/passwd", "sandbox://sandbox/files/a"])
def test_a_file_of_another_scheme_is_none(url: str) -> None:
    hand, error = refusal(url)
    assert isinstance(error, InvalidResponseError)
    assert len(hand.sends) == 2


@pytest.mark.parametrize("there", ["sandbox://sandbox/files/a", "file:///etc/passwd", "ftp://a/b"])
def test_no_redirect_leads_into_this_process_or_this_machine(there: str) -> None:
    hand, error = refusal(URL, answers(302, b"", location=there))
    assert isinstance(error, InvalidResponseError)
    assert len(hand.sends) == 3


def test_the_server_that_was_called_may_have_the_file_itself() -> None:
    origin = "http://10.0.0.5:8080"
    body = {"data": [{"url": f"{origin}/files/1.png"}]}
    hand = Hand(answers(body=body), answers(body=PNG))
    places = {"api_base": f"{origin}/v1", "explicit": True}
    made = carry_task(hand, model="openai/m", secret=KEY, places=places)
    assert made.image.content == PNG
    file = hand.sends[1].request
    assert str(file.url) == f"{origin}/files/1.png"
    assert not file.public
    assert header(hand.sends[1], "authorization") is None


@pytest.mark.parametrize(
    "url", ["http://10.0.0.5:8081/a", "http://10.0.0.6:8080/a", "https://10.0.0.5:8080/a"]
)
def test_another_port_host_or_scheme_is_another_server(url: str) -> None:
    hand = Hand(answers(body={"data": [{"url": url}]}))
    places = {"api_base": "http://10.0.0.5:8080/v1", "explicit": True}
    with pytest.raises(InvalidResponseError, match="is not fetched"):
        carry_task(hand, model="openai/m", secret=KEY, places=places)


# redirects


def test_redirects_are_followed_and_each_has_to_be_public() -> None:
    hand, image = fetch(
        URL,
        answers(302, b"", location="/b"),
        answers(307, b"", location="//cdn.example.com/c#part"),
        answers(308, b"", location="https://cdn.example.org/d?x=1"),
        answers(body=PNG),
    )
    assert image.content == PNG
    assert image.url == URL
    assert asked(hand)[2:] == [
        f"GET {URL}",
        "GET https://files.example.com/b",
        "GET https://cdn.example.com/c",
        "GET https://cdn.example.org/d?x=1",
    ]
    assert all(send.request.public for send in hand.sends[2:])


@pytest.mark.parametrize(
    "there",
    [
        f"http://files.example.com/b?{SECRET}",
        f"https://127.0.0.1/b?{SECRET}",
        f"//169.254.169.254/b?{SECRET}",
        f"https://[::1]/b?{SECRET}",
        f"https://[::1/b?{SECRET}",
        f"https://localhost/b?{SECRET}",
        "file:///etc/passwd",
        f"https://a:secret@files.example.com/b?{SECRET}",
    ],
)
@pytest.mark.parametrize("hops", [0, 2])
def test_a_redirect_elsewhere_is_refused_wherever_it_comes(there: str, hops: int) -> None:
    before = [answers(302, b"", location="/next")] * hops
    hand, error = refusal(URL, *before, answers(302, b"", location=there))
    assert isinstance(error, InvalidResponseError)
    assert len(hand.sends) == 3 + hops


def test_a_redirect_to_the_callers_own_router_is_fetched_without_its_token() -> None:
    there = ROUTER.removesuffix("/v1") + "/x"
    hand, _ = fetch(URL, answers(302, b"", location=there), answers(body=PNG))
    assert header(hand.sends[3], "authorization") is None


@pytest.mark.parametrize("location", ["/a", "/made.png?signature=secret"])
def test_redirects_without_end_are_given_up(location: str) -> None:
    hand, error = refusal(URL, *[answers(302, b"", location=location)] * 4)
    assert isinstance(error, InvalidResponseError)
    assert "redirects" in error.message
    assert len(hand.sends) == 2 + 4


def test_a_redirect_to_nowhere_is_an_error() -> None:
    _, error = refusal(URL, answers(302, b""))
    assert "redirects (302)" in error.message


# trouble


@pytest.mark.parametrize(
    "trouble",
    [
        answers(503, b""),
        answers(502, HTML, content_type="text/html"),
        answers(429, b"", retry_after="2"),
        fails(APIConnectionError("refused")),
        fails(APIConnectionError("cut off in the middle"), sent=True, received=True),
    ],
)
def test_a_file_that_does_not_come_is_fetched_again_and_the_job_not_paid_for_again(
    trouble: Outcome,
) -> None:
    hand, image = fetch(URL, trouble, trouble, answers(body=PNG))
    assert image.content == PNG
    assert [line.split(" ")[0] for line in asked(hand)] == ["POST", "GET", "GET", "GET", "GET"]


@pytest.mark.parametrize(
    ("retries", "tries"),
    [(0, 1), (1, 2), (2, 3), (9, 3)],
)
def test_fetching_is_given_up_after_three_tries_at_the_most(retries: int, tries: int) -> None:
    hand, error = refusal(URL, *[answers(503, b"")] * tries, retries=retries)
    assert isinstance(error, errors.ServiceUnavailableError)
    assert len(hand.sends) == 2 + tries
    assert "files.example.com/made.png" in error.message


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refused_file_is_not_taken_for_a_refused_token(status: int) -> None:
    hand, error = refusal(URL, answers(status, b"<Error>expired</Error>"))
    assert error.status == status
    assert len(hand.sends) == 3
    assert error.hint is not None
    assert "token" not in error.hint and "huggingface.co/settings" not in error.hint
    assert "resume_job" in error.hint


@pytest.mark.parametrize("status", [201, 204, 206, 304])
def test_only_a_whole_file_is_one(status: int) -> None:
    _, error = refusal(URL, answers(status, PNG))
    assert f"{status}" in str(error)


def test_a_files_time_is_the_calls() -> None:
    hand, error = refusal(URL, silent(), deadline=10.0)
    assert isinstance(error, errors.DeadlineExceeded)
    assert hand.now == START + 10.0
    hand, error = refusal(URL, answers(503, b"", retry_after="60"), deadline=10.0)
    assert len(hand.sends) == 3


@pytest.mark.parametrize(
    ("body", "said"), [(HTML, "web page"), (b'{"error": "expired"}', "JSON"), (b"", "empty")]
)
def test_what_is_no_file_is_no_result(body: bytes, said: str) -> None:
    _, error = refusal(URL, answers(body=body, content_type="image/png"))
    assert isinstance(error, InvalidResponseError)
    assert said in error.message


# without fetching


def test_urls_alone_are_left_as_they_are() -> None:
    hand, image = fetch("https://127.0.0.1/a", download=False)
    assert (image.url, image.content) == ("https://127.0.0.1/a", None)
    assert len(hand.sends) == 2
    with pytest.raises(InvalidResponseError, match="was not fetched"):
        _ = image.bytes


@pytest.mark.parametrize("download", [True, False])
def test_a_data_url_is_decoded_on_the_spot(download: bool) -> None:
    hand, image = fetch(Blob(PNG, "image/png").data_url, download=download)
    assert (image.content, image.media_type, image.url) == (PNG, "image/png", None)
    assert len(hand.sends) == 2


@pytest.mark.parametrize("url", ["data:image/png;base64,!!!", "data:image/png", "data:,%zz"])
def test_a_data_url_that_cannot_be_read_is_the_providers_fault(url: str) -> None:
    _, error = refusal(url)
    assert isinstance(error, InvalidResponseError)


def test_a_data_url_has_the_limit_of_a_file() -> None:
    _, error = refusal(Blob(b"\0" * 1000, "image/png").data_url, max_bytes=999)
    assert isinstance(error, InvalidResponseError)
    assert "999" in error.message


def test_the_limit_of_a_file_goes_with_its_request() -> None:
    hand, _ = fetch(URL, answers(body=PNG), max_bytes=1234)
    assert hand.sends[2].request.limit == 1234


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_whatever_a_provider_names_is_fetched_from_the_public_or_refused(text: str) -> None:
    hand = result_at(f"https://{text}", answers(body=PNG))
    try:
        carry(hand, WAVESPEED)
    except InvalidResponseError:
        assert len(hand.sends) == 2
    else:
        assert hand.sends[2].request.public
        assert hand.sends[2].request.url.scheme == "https"


# inputs


HF = "huggingface/hf-inference/org/m"
LABELS = answers(body=[{"label": "cat", "score": 0.9}])
INPUT = Blob(url=f"https://pictures.example.com/cat.png?{SECRET}")


def classify(hand: Hand, blob: Blob = INPUT, **options: Any) -> Any:
    return carry_task(hand, "image-classification", blob, model=HF, **options)


def test_an_input_by_url_is_fetched_where_bytes_are_wanted() -> None:
    hand = Hand(answers(body=PNG, content_type="image/png"), LABELS)
    assert classify(hand)[0].label == "cat"
    first, second = (send.request for send in hand.sends)
    assert str(first.url) == INPUT.url
    assert {name for name, _ in first.headers} == {"user-agent", "accept", "accept-encoding"}
    assert second.body == PNG
    assert dict(second.headers)["content-type"] == "image/png"


def test_an_input_within_a_question_is_fetched_too() -> None:
    hand = Hand(answers(body=PNG), answers(body=[{"answer": "a cat", "score": 0.9}]))
    inputs = {"image": INPUT, "question": "What is it?"}
    carry_task(hand, "visual-question-answering", inputs, model=HF)
    assert Blob(PNG).base64.encode() in hand.sends[1].request.body


WAV = b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 28
PDF = b"%PDF-1.7\n" + b"\0" * 20


@pytest.mark.parametrize(
    ("task", "content", "answer"),
    [
        ("automatic-speech-recognition", WAV, {"text": "hello"}),
        ("image-to-text", PNG, [{"generated_text": "a cat"}]),
        ("image-to-text", PDF, [{"generated_text": "a page"}]),
    ],
)
def test_an_input_is_of_the_kind_that_its_task_takes(
    task: str, content: bytes, answer: Any
) -> None:
    hand = Hand(answers(body=content), answers(body=answer))
    assert carry_task(hand, task, INPUT, model=HF).text
    wrong = WAV if content != WAV else PNG
    with pytest.raises(InvalidInputError, match="expected"):
        carry_task(Hand(answers(body=wrong)), task, INPUT, model=HF)


def test_an_input_that_is_here_already_is_not_fetched() -> None:
    hand = Hand(LABELS)
    classify(hand, Blob(PNG, "image/png", INPUT.url))
    assert hand.sends[0].request.body == PNG


def test_an_input_by_url_is_passed_on_where_the_provider_fetches_it() -> None:
    hand = Hand(answers(body={"id": "x", "detail": "no"}, status=422))
    with pytest.raises(APIError):
        carry_task(
            hand, "image-to-image", INPUT, model="huggingface/replicate/a/b/c", parameters={}
        )
    assert len(hand.sends) == 1
    assert INPUT.url is not None and INPUT.url.encode() in hand.sends[0].request.body


@pytest.mark.parametrize("body", [HTML, b'{"a": 1}', b"", b"RIFF....WAVE"])
def test_an_input_that_is_no_picture_is_refused_by_its_url(body: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"pictures\.example\.com/cat\.png") as caught:
        classify(Hand(answers(body=body)))
    assert SECRET not in str(caught.value)


def test_an_input_has_the_limit_of_a_file() -> None:
    hand = Hand(answers(body=PNG), LABELS)
    classify(hand, max_bytes=77)
    assert hand.sends[0].request.limit == 77
    with pytest.raises(InvalidInputError, match="limit is 5"):
        classify(Hand(answers(body=PNG)), max_bytes=5)


def test_an_input_of_ones_own_network_is_fetched() -> None:
    blob = Blob(url="http://localhost:8000/cat.png")
    moved = answers(302, b"", location="http://10.0.0.1/cat.png")
    hand = Hand(moved, answers(body=PNG), LABELS)
    classify(hand, blob)
    assert not any(send.request.public for send in hand.sends)


@pytest.mark.parametrize(
    ("there", "fetched"),
    [
        ("http://cdn.example.org/cat.png", True),
        ("/other.png", True),
        ("http://169.254.169.254/latest", False),
        ("http://localhost/cat.png", False),
        ("file:///etc/passwd", False),
        ("sandbox://sandbox/files/a", False),
    ],
)
def test_a_public_input_does_not_lead_into_ones_own_network(there: str, fetched: bool) -> None:
    hand = Hand(answers(302, b"", location=there), answers(body=PNG), LABELS)
    if fetched:
        classify(hand)
        assert hand.sends[1].request.public is there.startswith("http")
    else:
        with pytest.raises(InvalidInputError):
            classify(hand)
        assert len(hand.sends) == 1


def test_an_input_that_cannot_be_fetched_says_which() -> None:
    with pytest.raises(errors.NotFoundError, match=r"pictures\.example\.com/cat\.png") as caught:
        classify(Hand(answers(404, b"")))
    assert SECRET not in str(caught.value)
