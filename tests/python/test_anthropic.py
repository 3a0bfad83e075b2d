"""Anthropic's library against a real proxy, over a provider of each protocol."""

import anthropic
import pytest
from anthropic import Anthropic
from conftest import PROXY, until

MESSAGES = [{"role": "user", "content": "Who are you?"}]
DOWN = {"status": 503}
# One model behind each protocol; none has a fallback.
MODELS = ["claude-haiku-4-5-20251001", "gpt-5", "gemini-2.5-pro"]
TOOLS = [
    {
        "name": "weather",
        "description": "Says how the weather is",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
]
CALLS = [
    {"name": "weather", "arguments": '{"city": "Paris"}'},
    {"name": "weather", "arguments": '{"city": "Rome"}'},
]
PICTURE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


@pytest.fixture
def client():
    with Anthropic(base_url=PROXY, api_key="unused") as client:
        yield client


def said_by(model):
    return f"This is {model} speaking, in a few words."


def create(client, model, **more):
    return client.messages.create(model=model, max_tokens=1000, messages=MESSAGES, **more)


@pytest.mark.parametrize("model", MODELS)
def test_create(client, mock, model):
    answer = create(client, model)
    assert answer.type == "message"
    assert answer.role == "assistant"
    assert answer.model == model
    assert [block.text for block in answer.content] == [said_by(model)]
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens == 8
    assert answer._request_id
    assert len(mock.calls()) == 1


@pytest.mark.parametrize("model", MODELS)
def test_stream(client, mock, model):
    mock.script(model, reply={"usage": {"input": 1000, "cached_input": 400, "output": 50}})
    with client.messages.stream(model=model, max_tokens=1000, messages=MESSAGES) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == said_by(model)
    assert final.content[0].text == said_by(model)
    assert final.model == model
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 50


@pytest.mark.parametrize("model", MODELS)
def test_the_cost_of_a_stream_stands_in_its_usage(client, mock, model):
    mock.script(model, reply={"usage": {"input": 1000, "cached_input": 400, "output": 50}})
    events = list(create(client, model, stream=True))
    delta = next(event for event in events if event.type == "message_delta")
    assert delta.usage.input_tokens == 600
    assert delta.usage.cache_read_input_tokens == 400
    assert delta.usage.output_tokens == 50
    assert delta.usage.cost_usd > 0
    assert events[-1].type == "message_stop"


@pytest.mark.parametrize("model", MODELS)
def test_raw_response_headers(client, mock, model):
    mock.script(model, reply={"usage": {"input": 1000, "output": 50}})
    raw = client.messages.with_raw_response.create(
        model=model, max_tokens=100, messages=MESSAGES, extra_headers={"X-Agent-Name": "reader"}
    )
    assert float(raw.headers["X-Cost-USD"]) > 0
    assert raw.headers["X-Input-Tokens"] == "1000"
    assert raw.headers["X-Output-Tokens"] == "50"
    assert raw.headers["x-agix-model"] == model
    assert raw.headers["request-id"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_parallel_tools_and_their_results(client, mock, model, stream):
    mock.script(model, reply={"text": "I will look.", "calls": CALLS})
    ask = {"model": model, "max_tokens": 1000, "tools": TOOLS, "messages": MESSAGES}
    if stream:
        with client.messages.stream(**ask) as events:
            answer = events.get_final_message()
    else:
        answer = client.messages.create(**ask)
    assert answer.stop_reason == "tool_use"
    text, *calls = answer.content
    assert text.text == "I will look."
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert len({call.id for call in calls}) == 2

    mock.script(model)
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"sun over {place}"}
        for place, call in enumerate(calls)
    ]
    turns = [
        *MESSAGES,
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [*results, {"type": "text", "text": "And?"}]},
    ]
    answer = client.messages.create(model=model, max_tokens=1000, tools=TOOLS, messages=turns)
    assert answer.stop_reason == "end_turn"
    sent = str(mock.calls(model)[-1]["body"])
    assert "sun over 0" in sent and "sun over 1" in sent


@pytest.mark.parametrize("model", MODELS)
def test_pictures_and_documents(client, mock, model):
    content = [
        {"type": "image", "source": PICTURE},
        {"type": "document", "source": {**PICTURE, "media_type": "application/pdf"}},
        {"type": "text", "text": "What is this?"},
    ]
    turns = [{"role": "user", "content": content}]
    client.messages.create(model=model, max_tokens=1000, messages=turns)
    assert str(mock.calls(model)[0]["body"]).count("iVBORw0KGgo=") == 2


def test_the_own_protocol_passes_with_what_agix_does_not_know(client, mock):
    client.messages.create(
        model="claude-haiku-4-5-20251001",
        max_tokens=1000,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=MESSAGES,
        thinking={"type": "enabled", "budget_tokens": 500},
        extra_headers={"anthropic-beta": "one-2026-01-01,two-2026-02-02"},
    )
    call = mock.calls()[0]
    assert call["body"]["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert call["body"]["thinking"]["budget_tokens"] == 500
    headers = dict(call["headers"])
    assert headers["anthropic-beta"] == "one-2026-01-01,two-2026-02-02"
    assert headers["anthropic-version"]
    assert "unused" not in str(headers)


def test_what_the_other_protocol_lacks_is_dropped_and_named(client, mock):
    raw = client.messages.with_raw_response.create(
        model="gpt-5",
        max_tokens=1000,
        messages=MESSAGES,
        thinking={"type": "enabled", "budget_tokens": 500},
    )
    assert raw.headers["x-agix-dropped-params"] == "thinking"
    assert "thinking" not in mock.calls()[0]["body"]


@pytest.mark.parametrize("stream", [False, True])
def test_outage_is_answered_by_a_provider_of_the_other_protocol(client, mock, stream):
    mock.script("claude-opus-4-6", then=DOWN)
    ask = {"model": "claude-opus-4-6", "max_tokens": 1000, "messages": MESSAGES}
    if stream:
        with client.messages.stream(**ask) as events:
            answer = events.get_final_message()
    else:
        answer = client.messages.create(**ask)
    assert answer.model == "gpt-4o"
    assert answer.content[0].text == said_by("gpt-4o")
    assert [call["model"] for call in mock.calls()] == ["claude-opus-4-6", "gpt-4o"]


def test_an_error_right_behind_the_beginning_of_a_stream_fails_over(client, mock):
    for events in range(4):
        fault = {"fault": {"after_events": events, "fault": "error_event"}}
        mock.script("claude-opus-4-6", fault)
        with client.messages.stream(
            model="claude-opus-4-6", max_tokens=1000, messages=MESSAGES
        ) as stream:
            assert stream.get_final_message().model == "gpt-4o"


def test_what_no_target_can_serve_is_refused_with_the_reason(client, mock):
    with pytest.raises(anthropic.BadRequestError) as raised:
        create(client, "gpt-5", tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert raised.value.body["error"]["type"] == "invalid_request_error"
    attempt = raised.value.body["error"]["agix"]["attempts"][0]
    assert attempt["outcome"] == "skipped"
    assert "tools that the provider runs" in attempt["reason"]
    assert mock.calls() == []


@pytest.mark.parametrize(
    ("step", "error", "status", "kind"),
    [
        ({"status": 400}, anthropic.BadRequestError, 400, "invalid_request_error"),
        ("context_length", anthropic.BadRequestError, 400, "invalid_request_error"),
        ({"rate_limited": {"retry_after": "60"}}, anthropic.RateLimitError, 429, "rate_limit_error"),
        ({"status": 500}, anthropic.InternalServerError, 502, "api_error"),
        ({"status": 503}, anthropic.InternalServerError, 503, "overloaded_error"),
        ({"status": 529}, anthropic.InternalServerError, 503, "overloaded_error"),
        ({"status": 401}, anthropic.InternalServerError, 502, "api_error"),
        ("reset_before_headers", anthropic.InternalServerError, 502, "api_error"),
        (
            {"fault": {"after_events": 0, "fault": "garbage"}},
            anthropic.InternalServerError,
            502,
            "api_error",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_provider_errors(client, mock, model, step, error, status, kind, stream):
    mock.script(model, then=step)
    with pytest.raises(anthropic.APIStatusError) as raised:
        create(client, model, stream=stream)
    assert isinstance(raised.value, error)
    assert raised.value.status_code == status
    assert raised.value.request_id
    assert raised.value.body["type"] == "error"
    assert raised.value.body["error"]["type"] == kind
    assert raised.value.body["error"]["message"]
    assert len(mock.calls(model)) == 1


@pytest.mark.parametrize("model", MODELS)
def test_broken_stream_raises_and_is_never_taken_for_whole(client, mock, model):
    for fault in ["reset", "end", "error_event", "garbage"]:
        mock.script(model, {"fault": {"after_events": 6, "fault": fault}})
        seen = []
        with pytest.raises(anthropic.APIError):
            for event in create(client, model, stream=True):
                seen.append(event.type)
        assert "content_block_delta" in seen, fault
        assert "message_delta" not in seen and "message_stop" not in seen, fault


@pytest.mark.parametrize("model", MODELS)
def test_cancelled_stream_cancels_the_provider(client, mock, model):
    mock.script(model, reply={"text": "word " * 200, "piece_ms": 100})
    stream = create(client, model, stream=True)
    next(iter(stream))
    stream.close()
    until(
        "the provider notices",
        1,
        lambda: [one for one in mock.calls(model) if one["outcome"] == "caller_left"],
    )


def test_unknown_model_and_wrong_key(client, mock):
    with pytest.raises(anthropic.NotFoundError) as raised:
        create(client, "llama-of-nobody")
    assert raised.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.AuthenticationError):
        create(client, "gpt-4o", extra_headers={"X-Agent-Name": "guarded"})
    assert mock.calls() == []


@pytest.mark.parametrize("base", ["", "/anthropic", "/a/reader", "/a/reader/anthropic"])
def test_base_urls(mock, base):
    with Anthropic(base_url=PROXY + base, api_key="unused") as client:
        assert create(client, "gpt-4o").content[0].text == said_by("gpt-4o")
        models = client.models.list().data
    assert {"gpt-4o", "claude-opus-4-6"} <= {model.id for model in models}
    assert all(model.type == "model" for model in models)


def test_a_key_names_the_agent(mock):
    with Anthropic(base_url=PROXY, api_key="guarded-key") as guarded:
        create(guarded, "gpt-4o")
        with pytest.raises(anthropic.PermissionDeniedError):
            create(guarded, "gpt-5")


@pytest.mark.parametrize("model", MODELS)
def test_count_tokens(client, mock, model):
    count = client.messages.count_tokens(model=model, messages=MESSAGES)
    assert count.input_tokens > 0
    paths = [call["path"] for call in mock.calls()]
    assert paths == (["/v1/messages/count_tokens"] if model.startswith("claude") else [])


def test_limits_and_budgets_hold_for_messages(mock):
    headers = {"X-Agent-Name": "patient"}
    with Anthropic(base_url=PROXY, api_key="unused", max_retries=0) as client:
        for _ in range(3):
            create(client, "gpt-4o", extra_headers=headers)
        with pytest.raises(anthropic.RateLimitError) as raised:
            create(client, "gpt-4o", extra_headers=headers)
        assert raised.value.body["error"]["code"] == "rate_limit_exceeded"
        assert int(raised.value.response.headers["retry-after"]) > 0
        with pytest.raises(anthropic.RateLimitError) as raised:
            create(client, "gpt-4o", extra_headers={"X-Agent-Name": "poor"})
        assert raised.value.body["error"]["code"] == "budget_exceeded"
        assert raised.value.body["error"]["type"] == "rate_limit_error"
