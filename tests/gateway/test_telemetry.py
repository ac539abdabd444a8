"""What happened in numbers, as a person who reads `/metrics` or the admin page sees it."""

import logging
import subprocess
import sys
import tracemalloc

import pytest
from prometheus_client.parser import text_string_to_metric_families

from trunkline.gateway.tallies import GAUGES, MOST_SERIES
from trunkline.gateway.telemetry import Telemetry
from trunkline.store.records import Entry
from trunkline.types.money import PICOS


def ended(**facts):
    """An entry of a call that went well, save for what is said."""
    usual = {
        "id": "req_1",
        "boot": "b",
        "key": "key_secretive",
        "owner": None,
        "team": None,
        "endpoint": "chat",
        "model": "org/model",
        "stream": True,
        "started": 100.0,
        "ended": 100.3,
        "reserved": 0,
        "state": "settled",
        "status": 200,
        "outcome": "ok",
        "provider": "groq",
    }
    return Entry(**{**usual, **facts})


def samples(telemetry):
    """Return every published number by its name and labels."""
    _, body = telemetry.exposition()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(telemetry, name, **labels):
    return samples(telemetry).get((f"trunkline_{name}", *sorted(labels.items())))


def test_an_ended_call_is_counted_under_its_labels():
    telemetry = Telemetry()
    for _ in range(3):
        telemetry.ended(ended())
    telemetry.ended(ended(outcome="failed", status=502))
    labels = {"endpoint": "chat", "provider": "groq", "model": "org/model"}
    assert value(telemetry, "requests_total", **labels, outcome="ok", status="200") == 3
    assert value(telemetry, "requests_total", **labels, outcome="failed", status="502") == 1


def test_tokens_and_cost_are_summed_by_provider_and_model():
    telemetry = Telemetry()
    told = {"input_tokens": 10, "output_tokens": 4, "cached_tokens": 2, "token_source": "provider"}
    telemetry.ended(ended(**told, cost=PICOS // 4))
    telemetry.ended(ended(**told, cost=PICOS // 4))
    telemetry.ended(ended(input_tokens=7, token_source="estimated", cost=PICOS))
    served = {"provider": "groq", "model": "org/model"}
    assert value(telemetry, "tokens_total", type="input", **served) == 27
    assert value(telemetry, "tokens_total", type="output", **served) == 8
    assert value(telemetry, "tokens_total", type="cached", **served) == 4
    assert value(telemetry, "cost_usd_total", source="reported", **served) == 0.5
    assert value(telemetry, "cost_usd_total", source="estimated", **served) == 1
    assert value(telemetry, "unpriced_calls_total", **served) == 0
    assert telemetry.snapshot()["cost_usd"] == "1.5"


def test_a_cost_that_is_unknown_is_counted_as_that_and_not_as_zero_dollars():
    telemetry = Telemetry()
    telemetry.ended(ended(cost=None))
    telemetry.ended(ended(cost=0))
    assert value(telemetry, "unpriced_calls_total", provider="groq", model="org/model") == 1


def test_durations_fall_into_buckets_that_add_up():
    telemetry = Telemetry()
    for seconds in (0.001, 0.3, 0.5, 7.0, 5000.0):
        telemetry.ended(ended(started=0.0, ended=seconds, first_byte=0.2))
    name = "request_duration_seconds"
    assert value(telemetry, f"{name}_bucket", endpoint="chat", le="0.005") == 1
    assert value(telemetry, f"{name}_bucket", endpoint="chat", le="0.5") == 3  # its end is within
    assert value(telemetry, f"{name}_bucket", endpoint="chat", le="600.0") == 4
    assert value(telemetry, f"{name}_bucket", endpoint="chat", le="+Inf") == 5
    assert value(telemetry, f"{name}_count", endpoint="chat") == 5
    assert value(telemetry, f"{name}_sum", endpoint="chat") == pytest.approx(5007.801)
    first = "time_to_first_byte_seconds_bucket"
    assert value(telemetry, first, endpoint="chat", le="0.1") == 0
    assert value(telemetry, first, endpoint="chat", le="0.25") == 5


def test_a_clock_that_was_set_back_takes_nothing_off_a_sum():
    telemetry = Telemetry()
    telemetry.ended(ended(started=1000.0, ended=10.0))
    assert value(telemetry, "request_duration_seconds_sum", endpoint="chat") == 0


def test_truncated_answers_and_clients_that_left_are_counted():
    telemetry = Telemetry()
    telemetry.ended(ended(outcome="truncated"))
    telemetry.ended(ended(outcome="cancelled", status=499))
    telemetry.ended(ended(outcome="cancelled", status=499, first_byte=0.1))
    telemetry.disconnected("body")
    assert value(telemetry, "streams_truncated_total", provider="groq") == 1
    for phase in ("waiting", "answering", "body"):
        assert value(telemetry, "client_disconnects_total", phase=phase) == 1


def test_refusals_are_counted_by_reason_and_those_of_budgets_again_alone():
    telemetry = Telemetry()
    telemetry.refused("auth")
    telemetry.refused("budget")
    telemetry.refused("budget")
    telemetry.refused("rate")
    telemetry.rate_limited("team")
    assert value(telemetry, "refused_total", reason="auth") == 1
    assert value(telemetry, "refused_total", reason="budget") == 2
    assert value(telemetry, "budget_refused_total") == 2
    assert value(telemetry, "rate_limited_total", scope="team") == 1
    assert telemetry.snapshot()["refused"] == {"auth": 1, "budget": 2, "rate": 1}


def test_attempts_commits_and_recovered_entries_are_counted():
    telemetry = Telemetry()
    telemetry.attempted("local", "ok")
    telemetry.attempted("local", "timeout")
    telemetry.committed(0.003)
    telemetry.recovered(12)
    assert value(telemetry, "upstream_attempts_total", upstream="local", outcome="timeout") == 1
    assert value(telemetry, "ledger_commit_seconds_bucket", le="0.005") == 1
    assert value(telemetry, "ledger_commit_seconds_bucket", le="0.0025") == 0
    assert value(telemetry, "ledger_recovered_total") == 12


def test_numbers_that_others_own_are_asked_for_when_somebody_looks():
    telemetry = Telemetry()
    open_now = [3]
    telemetry.gauge("open_connections", lambda: open_now[0])
    telemetry.gauge("contents_dropped_total", lambda: 5)
    telemetry.gauge("price_age_seconds", lambda: None)
    assert value(telemetry, "open_connections") == 3
    open_now[0] = 4
    assert value(telemetry, "open_connections") == 4
    assert value(telemetry, "contents_dropped_total") == 5
    assert value(telemetry, "price_age_seconds") is None
    assert telemetry.snapshot()["gauges"] == {"open_connections": 4, "contents_dropped_total": 5}


def test_a_number_that_cannot_be_had_is_missing_and_said_while_the_others_are_there(caplog):
    telemetry = Telemetry()
    telemetry.gauge("store_up", lambda: 1 / 0)
    telemetry.gauge("open_connections", lambda: 3)
    with caplog.at_level(logging.ERROR):
        found = samples(telemetry)
    assert ("trunkline_store_up",) not in found
    assert found["trunkline_open_connections",] == 3
    assert [record.gauge for record in caplog.records] == ["store_up"]


def test_a_gauge_that_does_not_exist_is_refused_with_the_list_of_those_that_do():
    with pytest.raises(ValueError, match="inflight_requests"):
        Telemetry().gauge("inflight", lambda: 1)


def test_every_gauge_can_be_published():
    telemetry = Telemetry()
    for name in GAUGES:
        telemetry.gauge(name, lambda: 1)
    found = samples(telemetry)
    assert all(found[f"trunkline_{name}",] == 1 for name in GAUGES)


def test_the_process_and_the_build_are_told_and_nothing_that_others_registered():
    names = {name for name, *_ in samples(Telemetry())}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes"} <= names
    assert "trunkline_build_info" in names
    assert all(name.startswith(("trunkline_", "process_")) for name in names)


def test_the_content_type_is_the_one_that_scrapers_read():
    content_type, body = Telemetry().exposition()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert body.endswith(b"\n")


def test_no_key_is_published():
    telemetry = Telemetry()
    telemetry.ended(ended())
    assert b"key_secretive" not in telemetry.exposition()[1]


@pytest.mark.parametrize(
    "secret", ["hf_abcdefghijklmnop", "tl-Abcdefgh12345678", "sk-proj-1234567890"]
)
def test_a_key_that_was_sent_as_a_models_name_is_not_published(secret):
    telemetry = Telemetry()
    telemetry.ended(ended(model=secret))
    assert secret.encode() not in telemetry.exposition()[1]
    assert value(telemetry, "tokens_total", type="input", provider="groq", model="other") == 0


@pytest.mark.parametrize(
    "name", ['a"} 1\nforged 2', "a\x1b[31m\x00", "\ud800", "é\u2028\u202e"], ids=ascii
)
def test_a_hostile_name_is_made_harmless(name):
    telemetry = Telemetry()
    telemetry.ended(ended(model=name))
    _, body = telemetry.exposition()
    assert not any(line.startswith("forged") for line in body.decode().splitlines())
    assert body.isascii()
    assert all(byte >= 0x20 or byte == 0x0A for byte in body)


@pytest.mark.slow
def test_a_hundred_thousand_names_of_models_take_no_more_memory_and_end_in_other():
    telemetry = Telemetry(["org/mine"], most_values=50)
    for number in range(1000):
        telemetry.ended(ended(model=f"junk/{number}"))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(100_000):
        telemetry.ended(ended(model=f"more/{number}" + "x" * (number % 500)))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 100_000
    telemetry.ended(ended(model="org/mine"))
    found = samples(telemetry)
    models = {dict(labels).get("model") for _, *labels in found} - {None}
    assert len(models) == 52
    assert {"org/mine", "other"} <= models
    requests = [n for (name, *_), n in found.items() if name == "trunkline_requests_total"]
    assert sum(requests) == 101_001, "folded, and not lost"


def test_combinations_of_names_are_bounded_too():
    telemetry = Telemetry()
    for provider in range(120):
        for model in range(120):
            telemetry.ended(ended(provider=f"p{provider}", model=f"m{model}"))
    assert len(telemetry.series) <= MOST_SERIES + 300
    assert telemetry.snapshot()["calls"] == 14_400


def test_reasons_are_bounded_too():
    telemetry = Telemetry()
    for number in range(5000):
        telemetry.refused(f"reason {number}")
    reasons = telemetry.snapshot()["refused"]
    assert len(reasons) <= 501
    assert sum(reasons.values()) == 5000


def test_a_model_that_an_upstream_refused_gets_no_label_until_it_has_answered():
    telemetry = Telemetry()
    refused = ended(model="org/no-such", outcome="refused", status=404)
    telemetry.ended(refused)
    assert {labels[2] for labels in telemetry.series} == {"other"}
    telemetry.ended(ended(model="org/no-such"))
    telemetry.ended(refused)
    assert {labels[2] for labels in telemetry.series} == {"other", "org/no-such"}
    assert telemetry.snapshot()["calls"] == 3


def test_a_person_sees_sums_and_bounds_of_how_long_calls_took():
    telemetry = Telemetry()
    for seconds in (0.04, 0.04, 0.04, 9.0):
        telemetry.ended(ended(started=0.0, ended=seconds, input_tokens=5))
    status = telemetry.snapshot()
    assert status["calls"] == 4
    assert status["outcomes"] == {"ok": 4}
    assert status["tokens"] == {"input": 20, "output": 0, "cached": 0}
    assert status["unpriced_calls"] == 4
    assert status["duration_seconds"]["chat"]["p50"] == 0.05
    assert status["duration_seconds"]["chat"]["p95"] == 10
    assert status["ledger"]["p50"] is None, "nothing was committed yet"


def test_prometheus_client_is_not_loaded_until_somebody_asks():
    program = (
        "import sys; from trunkline.gateway.telemetry import Telemetry; t = Telemetry(); "
        "t.refused('auth'); t.snapshot(); print('prometheus_client' in sys.modules); "
        "t.exposition(); print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "True"]


def test_metrics_without_prometheus_client_say_what_to_install():
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from trunkline.errors import ConfigurationError\n"
        "from trunkline.gateway.telemetry import Telemetry\n"
        "try: Telemetry().exposition()\n"
        "except ConfigurationError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert "trunkline[gateway]" in done.stdout
