"""What is taken out of prompts and answers before they are kept."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.errors import ConfigurationError
from trunkline.gateway.config import ContentConfig
from trunkline.gateway.operator_patterns import MOST_STEPS, OperatorPattern
from trunkline.gateway.redactor import Redactor

SECRETS = {
    "hf_QzXvJwKyPbNdMfGh0192837465": "key",
    "tl-QzXvJwKyPbNdMfGh0192837465": "key",
    "sk-QzXvJwKyPbNdMfGh0192837465": "key",
    "sk-ant-api03-QzXvJwKyPb_NdMfGh0192837465": "key",
    "Bearer QzXvJwKyPbNdMfGh0192837465": "token",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.QzXvJwKyPbNdMfGh": "token",
    "github_pat_QzXvJwKyPbNdMfGh0192837465": "key",
    "AKIAQZXVJWKYPBNDMFGH": "key",
    "qzxvjw.kypb+ndmfgh@example.co.uk": "email",
    "4111 1111 1111 1111": "card",
    "5500-0055-5555-5559": "card",
    "378282246310005": "card",
}


def redact(text, *, whole=True, **options):
    return Redactor(ContentConfig(**options)).redact(text, whole=whole)


def pieces(secret, size=8):
    """Every piece of a secret that would help to find it."""
    return {secret[i : i + size] for i in range(4, len(secret) - size + 1)}


@pytest.mark.parametrize(("secret", "kind"), SECRETS.items())
def test_what_is_secret_is_replaced_by_what_it_was(secret, kind):
    assert redact(f"it is {secret}, keep it") == f"it is [redacted:{kind}], keep it"


@pytest.mark.parametrize(
    "text",
    [
        "Write a poem about the sea.",
        "task-management and html-converter",
        "order 1234567890123456 of 2026-11-29",
        "@scope/package and user@host, package@1.2.3",
        "model org/name:fastest, 3.14159265358979",
    ],
)
def test_plain_text_stays_as_it_is(text):
    assert redact(text) == text


# What may stand before a card number is no digit, and before an address no more of the address.
around = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)


@given(around, around, st.sampled_from([s for s, kind in SECRETS.items() if kind != "card"]))
def test_a_secret_anywhere_in_a_text_never_comes_out(before, after, secret):
    clean = redact(before + secret + after)
    assert not [piece for piece in pieces(secret) if piece in clean]


@given(around, around, st.sampled_from([s for s, kind in SECRETS.items() if kind == "card"]))
def test_a_card_number_between_other_things_never_comes_out(before, after, card):
    assert card not in redact(f"{before}x{card}x{after}")


@given(around, st.sampled_from(list(SECRETS)), st.integers(0, 60), st.booleans())
def test_no_head_of_a_secret_comes_out_where_the_text_is_cut(before, secret, kept, whole):
    before += "\n"
    size = len(before.encode()) + kept
    clean = redact(f"{before}{secret} and more text" * 3, max_bytes=size, whole=whole)
    assert not [piece for piece in pieces(secret, 4) if piece in clean and piece not in before]


@pytest.mark.parametrize("escape", [r"\n", r"\t", r"\u000a", '"', "\\\\"])
@pytest.mark.parametrize("secret", [s for s, kind in SECRETS.items() if kind == "key"])
def test_a_secret_behind_an_escape_of_json_is_seen(secret, escape):
    assert secret not in redact(f'{{"content":"key:{escape}{secret}"')


def test_a_bearers_token_goes_whole_even_with_a_key_in_it():
    assert redact("Authorization: Bearer ab.hf_abcdefghij.xyz12345 ok") == (
        "Authorization: [redacted:token] ok"
    )


def test_a_card_number_is_found_among_other_numbers():
    assert redact("12 4111 1111 1111 1111 33") == "12 [redacted:card] 33"
    assert redact("4111111111111111 4111111111111111") == "[redacted:card] [redacted:card]"


def test_a_card_number_that_runs_into_another_goes_with_it():
    # The first with the four digits behind it would pass for a card of 19 digits too.
    both = next(
        f"378282246310005 4{n:03} "
        for n in range(1000)
        if "4" not in redact(f"378282246310005 4{n:03}")
    )
    card = next(f"{n:012}" for n in range(10**9) if "[" in redact(f"{both[16:20]}{n:012}"))
    assert redact(f"{both}{card[:4]} {card[4:8]} {card[8:]}") == "[redacted:card]"


def test_an_address_that_runs_into_another_goes_with_it_and_a_full_stop_stays():
    assert redact("0@a.bc+d@example.com.") == "[redacted:email]."


def test_digits_that_are_no_card_stay():
    assert redact("4111 1111 1111 1112") == "4111 1111 1111 1112"
    assert redact("94111111111111111") == "94111111111111111"


@given(st.text(st.sampled_from("0123456789 -"), max_size=120))
def test_digits_come_out_as_they_were_or_as_cards(text):
    clean = redact(text)
    shape = ".*".join(re.escape(part) for part in clean.split("[redacted:card]"))
    assert re.fullmatch(shape, text)


@given(st.text(max_size=200), st.integers(0, 200))
def test_text_is_cut_at_a_character_and_marked(text, most):
    clean = redact(text, max_bytes=most)
    sound = text.encode("utf-8", "replace")
    if len(sound) > most:
        assert clean.endswith("[cut]")
        assert "\ufffd" not in clean or "\ufffd" in text
    clean.encode()


def test_text_that_came_cut_is_marked_though_it_fits():
    assert redact("one two thr", whole=False) == "one two [cut]"


def test_an_operators_pattern_is_replaced_too():
    clean = redact("Case ACME-0042 for EMP-77", redact=(r"ACME-\d{1,9}", r"EMP-\d+"))
    assert clean == "Case [redacted:pattern] for [redacted:pattern]"


@given(st.text(st.sampled_from("ab1- \n"), max_size=400), st.integers(0, 5000))
def test_a_pattern_that_is_searched_piece_by_piece_finds_what_it_finds_in_the_whole(text, gap):
    text = text + "." * gap + text
    for pattern in (r"a-?\d", r"\ba{2,9}b\b", r"(?:ab|ba){2}", r"b[ab1-]*", r"(?<=1)a$", r"a\Z"):
        expected = re.sub(pattern, "#", text)
        assert OperatorPattern(pattern).replace(text, "#") == expected


@pytest.mark.parametrize("length", [1, 999, 1000, 1001, 1999, 2999, 3000, 3001, 20_000])
def test_a_match_across_pieces_is_found_whole(length):
    text = "x" * length + "id-" + "7" * 9000 + "y"
    assert OperatorPattern(r"id-\d+").replace(text, "#") == "x" * length + "#y"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a+)+b", "nested quantifiers"),
        (r"(a*)*", "empty text"),
        (r"(?:x(?:\w+\s?)*)+$", "nested quantifiers"),
        (r"x(?:a|b+)*", "nested quantifiers"),
        (r"(\w{1,30}){20}", "steps"),
        (r"\w+@corp", "open-ended"),
        (r"a.*b.*c", "open-ended"),
        (r"\d+\b", "open-ended"),
        (r"(?=.*x)y", "open-ended"),
        (r"(a?){40}a{40}", "steps"),
        (r"x{0,100}y{0,100}z", "steps"),
        (r"(a|a)(a|a)(a|a)(a|a)(a|a)(a|aa)(a|aa)(a|ab)(a|ac)(a|ad)(a|ae)(a|af)(a|ag)", "steps"),
        (r"(a)\1", "refers back"),
        (r"(", "no regular expression"),
        (r"x*", "empty text"),
        ("x" * 1001, "longer than 1000"),
    ],
)
def test_a_pattern_that_may_be_slow_is_refused_with_the_reason_and_its_place(pattern, reason):
    with pytest.raises(ConfigurationError, match=reason) as caught:
        Redactor(ContentConfig(redact=("fine", pattern)))
    assert "content.redact[1]" in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "secret"),
    [
        (r"\bACME-[0-9]{4,8}\b", "ACME-12345"),
        (r"(?i)codename \w+", "Codename Heron"),
        (r"(?:\d{1,3}\.){3}\d{1,3}", "10.0.12.255"),
        (r"[A-Z]{2}\d{2}(?: ?\d{4}){4}", "DE89 3704 0044 0532 0130"),
        (r"project (?:apollo|gemini|mercury)", "project gemini"),
        (r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)", "078-05-1120"),
        (r"(?P<user>\w{1,32})@corp\.internal", "heron@corp.internal"),
        (r"user=\w{1,32} pass=\w{1,32}", "user=heron pass=reeds"),
        (r"secret: .{0,500}?;", "secret: reeds;"),
    ],
)
def test_usual_patterns_are_let_in_and_take_out_what_they_name(pattern, secret):
    assert OperatorPattern(pattern).replace(f"see {secret}, please", "[x]") == "see [x], please"


@settings(max_examples=often(30))
@given(
    st.recursive(
        st.sampled_from(["a", "[ab]", ".", r"\w", "b"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["{0,3}", "{2}", "+", "*", "?", "{1,40}"])).map(
                lambda pair: f"(?:{pair[0]}){pair[1]}"
            ),
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        ),
        max_leaves=6,
    )
)
def test_whatever_is_let_in_ends_on_hostile_text(pattern):
    try:
        allowed = OperatorPattern(pattern + "c?!" if pattern[-1] not in "+*" else pattern)
    except ConfigurationError:
        return
    text = "a" * 8_000
    assert set(allowed.replace(text, "#")) <= {"a", "#"}


def test_hostile_text_of_the_full_size_is_redacted():
    for text in (
        "a@" * 33_000,
        "a." * 33_000,
        "4 " * 33_000,
        "sk-" * 22_000,
        "bearer " * 9_000,
        "eyJ" * 22_000,
    ):
        assert Redactor(ContentConfig()).redact(text, whole=False)


def test_the_number_of_steps_that_errors_name_is_the_one_that_counts():
    OperatorPattern(f"x{{{MOST_STEPS - 1}}}")
    with pytest.raises(ConfigurationError, match=str(MOST_STEPS)):
        OperatorPattern(f"x{{{MOST_STEPS + 1}}}", "here")
