"""One client library against a provider of each protocol: every cell of its row of the table.

Which library says `AGIX_TEST_CALLER`, the name of a module of `callers`. The table is printed.
"""

import importlib
import os

import pytest
from callers import ADDRESS, PIXEL
from conftest import until

caller = importlib.import_module(f"callers.{os.environ['AGIX_TEST_CALLER']}")

# One model behind each protocol; none has a fallback.
PROVIDERS = {
    "openai": "gpt-5",
    "anthropic": "claude-haiku-4-5-20251001",
    "gemini": "gemini-2.5-pro",
}
USAGE = {"input": 1000, "cached_input": 400, "output": 50}
CALLS = [
    {"name": "weather", "arguments": '{"city": "Paris"}'},
    {"name": "weather", "arguments": '{"city": "Zürich \\"Nord\\""}'},
    {"name": "clock", "arguments": "{}"},
]

pytestmark = pytest.mark.parametrize("provider", PROVIDERS)
both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture
def model(provider):
    return PROVIDERS[provider]


def said_by(model):
    return f"This is {model} speaking, in a few words."


@both
def test_text(mock, model, stream):
    mock.script(model, reply={"usage": USAGE})
    answer = caller.say(model, stream)
    assert answer.text == said_by(model)
    assert answer.finish == "stop"
    assert answer.model == model
    assert answer.tokens == (1000, 400, 50)
    assert len(mock.calls()) == 1


@both
def test_length(mock, model, stream):
    answer = caller.say(model, stream, most=3)
    assert answer.finish == "length"
    assert answer.text == "This is " + model + " "
    assert len(mock.calls()) == 1


@both
@pytest.mark.parametrize("text", ["I will look.", ""], ids=["after a text", "alone"])
def test_tools(mock, model, text, stream):
    mock.script(model, reply={"text": text, "calls": CALLS})
    answer = caller.call_tools(model, stream)
    assert answer.finish == "tools"
    assert answer.text == text
    assert answer.calls == [
        ("weather", {"city": "Paris"}),
        ("weather", {"city": 'Zürich "Nord"'}),
        ("clock", {}),
    ]
    mock.script(model)
    results = ["sun over Paris", "fog over Zürich", "noon"]
    answer = caller.tell_results(model, stream, answer, results)
    assert answer.finish == "stop"
    assert answer.text == said_by(model)
    # The provider checks that each result follows its call.
    sent = str(mock.calls(model)[-1]["body"])
    places = [sent.index(result) for result in results]
    assert places == sorted(places)


def test_loop(mock, model, record_property):
    if not hasattr(caller, "loop"):
        record_property("cell", "has none")
        return
    mock.script(model, reply={"calls": CALLS[:2]})
    assert caller.loop(model) == said_by(model)
    first, second = mock.calls(model)
    assert "sun over Paris" in str(second["body"])
    assert "sun over Paris" not in str(first["body"])


@both
def test_picture(mock, model, stream):
    assert caller.look(model, stream).text == said_by(model)
    assert PIXEL in str(mock.calls(model)[0]["body"])


def test_picture_at_an_address(mock, provider, model, record_property):
    if provider == "gemini":
        # Google takes no addresses, and agix fetches nothing that a caller names.
        record_property("cell", "refused")
        with pytest.raises(caller.ERRORS[400]) as raised:
            caller.look(model, False, at_address=True)
        assert "only files that come with the request" in str(raised.value.body)
        assert mock.calls() == []
        return
    assert caller.look(model, False, at_address=True).text == said_by(model)
    assert ADDRESS in str(mock.calls(model)[0]["body"])


def test_shape(mock, model):
    mock.script(model, reply={"text": '{"city": "Paris"}'})
    assert caller.shape(model) == "Paris"
    assert "schema" in str(mock.calls(model)[0]["body"]).lower()


@both
@pytest.mark.parametrize("status", [400, 429, 503])
def test_refused_by_the_provider(mock, model, status, stream):
    limited = {"rate_limited": {"retry_after": "60"}}
    mock.script(model, then=limited if status == 429 else {"status": status})
    refused(mock, model, stream, status)
    # The library does not try again: agix did.
    assert len(mock.calls(model)) == 1


@both
@pytest.mark.parametrize("status", [401, 403, 404])
def test_refused_by_agix(mock, model, status, stream):
    who = {401: {"agent": "guarded"}, 403: {"key": "guarded-key"}, 404: {}}[status]
    refused(mock, "a-model-of-nobody" if status == 404 else model, stream, status, **who)
    assert mock.calls() == []


def refused(mock, model, stream, status, **who):
    with pytest.raises(caller.ERRORS[status]) as raised:
        caller.say(model, stream, **who)
    found, words, request_id = caller.refusal(raised.value)
    assert found == status
    assert words and request_id


@pytest.mark.parametrize("fault", ["reset", "end", "error_event", "garbage"])
def test_broken_stream(mock, model, fault):
    mock.script(model, {"fault": {"after_events": 6, "fault": fault}})
    with pytest.raises(caller.BROKEN):
        caller.say(model, True)


def test_cancel(mock, model):
    mock.script(model, reply={"text": "word " * 200, "piece_ms": 100})
    leave = caller.begin(model)
    assert mock.calls(model)[0]["outcome"] == "open"
    leave()
    call = until(
        "the provider notices",
        2,
        lambda: [one for one in mock.calls(model) if one["outcome"] == "caller_left"],
    )[0]
    assert call["billed"]["output"] < 50
