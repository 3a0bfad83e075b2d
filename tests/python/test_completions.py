"""OpenAI's library and its completions of a text against a real proxy."""

import openai
import pytest
from conftest import PROXY
from openai import OpenAI

PROMPT = "Once upon a time"
DOWN = {"status": 503}
# A model that completes texts, and one that only chats behind each protocol.
COMPLETES = "gpt-3.5-turbo-instruct"
MODELS = [COMPLETES, "gpt-4o-mini", "claude-haiku-4-5-20251001", "gemini-2.5-pro"]
PATHS = {
    COMPLETES: "/v1/completions",
    "gpt-4o-mini": "/v1/chat/completions",
    "claude-haiku-4-5-20251001": "/v1/messages",
    "gemini-2.5-pro": "/v1beta/models/gemini-2.5-pro:generateContent",
}


def said_by(model):
    return f"This is {model} speaking, in a few words."


@pytest.mark.parametrize("model", MODELS)
def test_create(client, mock, model):
    mock.script(model, reply={"usage": {"input": 1000, "cached_input": 400, "output": 50}})
    raw = client.completions.with_raw_response.create(model=model, prompt=PROMPT, max_tokens=50)
    answer = raw.parse()
    assert answer.object == "text_completion"
    assert answer.model == model
    assert [choice.text for choice in answer.choices] == [said_by(model)]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == 1000
    assert answer.usage.completion_tokens == 50
    assert raw.headers["x-agix-model"] == model
    assert float(raw.headers["X-Cost-USD"]) > 0
    call = mock.calls(model)[0]
    assert call["path"] == PATHS[model]
    assert PROMPT in str(call["body"])


@pytest.mark.parametrize("usage", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_stream(client, mock, model, usage):
    mock.script(model, reply={"usage": {"input": 1000, "output": 50}})
    more = {"stream_options": {"include_usage": True}} if usage else {}
    chunks = list(
        client.completions.create(model=model, prompt=PROMPT, max_tokens=50, stream=True, **more)
    )
    if usage:
        last = chunks.pop()
        assert last.choices == []
        assert last.usage.completion_tokens == 50
        assert last.usage.cost_usd > 0
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert "".join(chunk.choices[0].text for chunk in chunks) == said_by(model)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.object for chunk in chunks} == {"text_completion"}


@pytest.mark.parametrize("model", MODELS)
def test_a_bound_on_the_length_is_told(client, mock, model):
    answer = client.completions.create(model=model, prompt=PROMPT, max_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].text == f"This is {model} "


def test_without_a_bound_the_answer_of_one_that_chats_is_as_short_as_elsewhere(client, mock):
    client.completions.create(model="gpt-4o-mini", prompt=PROMPT)
    assert mock.calls("gpt-4o-mini")[0]["body"]["max_tokens"] == 16


def test_the_own_protocol_passes_with_what_agix_does_not_know(client, mock):
    client.completions.create(
        model=COMPLETES,
        prompt=[PROMPT],
        suffix="end",
        echo=True,
        logprobs=2,
        n=2,
        extra_body={"min_p": 0.1},
    )
    sent = mock.calls(COMPLETES)[0]["body"]
    assert sent["prompt"] == [PROMPT]
    assert (sent["suffix"], sent["echo"], sent["logprobs"], sent["n"]) == ("end", True, 2, 2)
    assert sent["min_p"] == 0.1


@pytest.mark.parametrize(
    "more", [{"suffix": "end"}, {"echo": True}, {"logprobs": 2}, {"n": 2}]
)
def test_what_no_target_can_serve_is_refused_with_the_reason(client, mock, more):
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model="gpt-4o-mini", prompt=PROMPT, **more)
    assert raised.value.body["agix"]["attempts"][0]["outcome"] == "skipped"
    assert mock.calls() == []


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": PROMPT, "best_of": 2}, "best_of"),
    ],
)
def test_what_is_more_than_one_call_is_refused(client, mock, more, param):
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model=COMPLETES, **more)
    assert raised.value.param == param
    assert mock.calls() == []


@pytest.mark.parametrize("stream", [False, True])
def test_outage_is_answered_by_one_that_chats(client, mock, stream):
    mock.script("base-model", then=DOWN)
    answer = client.completions.create(
        model="base-model", prompt=PROMPT, max_tokens=50, stream=stream
    )
    chunks = list(answer) if stream else [answer]
    assert "".join(chunk.choices[0].text for chunk in chunks) == said_by("claude-opus-4-6")
    assert {chunk.model for chunk in chunks} == {"claude-opus-4-6"}
    paths = [call["path"] for call in mock.calls()]
    assert paths == ["/v1/completions", "/v1/messages"]


def test_a_server_without_completions_is_passed_over_and_not_blamed(client, mock):
    for _ in range(10):
        answer = client.completions.create(model="chat-model", prompt=PROMPT, max_tokens=50)
        assert answer.model == "claude-opus-4-6"
    chat = client.chat.completions.create(
        model="chat-model", messages=[{"role": "user", "content": PROMPT}]
    )
    assert chat.model == "chat-model"


@pytest.mark.parametrize(
    ("step", "error", "status"),
    [
        ({"status": 400}, openai.BadRequestError, 400),
        ({"rate_limited": {"retry_after": "60"}}, openai.RateLimitError, 429),
        ({"status": 503}, openai.InternalServerError, 503),
        ("reset_before_headers", openai.InternalServerError, 502),
        ({"fault": {"after_events": 0, "fault": "garbage"}}, openai.InternalServerError, 502),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_provider_errors(client, mock, model, step, error, status, stream):
    mock.script(model, then=step)
    with pytest.raises(error) as raised:
        client.completions.create(model=model, prompt=PROMPT, stream=stream)
    assert raised.value.status_code == status
    assert raised.value.body["message"]
    assert len(mock.calls(model)) == 1


@pytest.mark.parametrize("model", MODELS)
def test_broken_stream_raises_and_is_never_taken_for_whole(client, mock, model):
    for fault in ["reset", "end", "error_event", "garbage"]:
        mock.script(model, {"fault": {"after_events": 6, "fault": fault}})
        seen = []
        with pytest.raises(openai.APIError):
            for chunk in client.completions.create(
                model=model, prompt=PROMPT, max_tokens=50, stream=True
            ):
                seen.append(chunk)
        assert "".join(chunk.choices[0].text for chunk in seen).startswith("This "), fault
        assert all(chunk.choices[0].finish_reason is None for chunk in seen), fault


@pytest.mark.parametrize("base", ["", "/v1", "/openai/v1", "/a/reader/v1"])
def test_base_urls(mock, base):
    with OpenAI(base_url=PROXY + base, api_key="unused") as client:
        answer = client.completions.create(model="gpt-4o", prompt=PROMPT, max_tokens=50)
    assert answer.choices[0].text == said_by("gpt-4o")
