"""OpenAI's library against a real proxy: what works against OpenAI works here."""

import openai
import pytest
from conftest import PROXY, until
from openai import AsyncOpenAI, OpenAI

MESSAGES = [{"role": "user", "content": "Who are you?"}]
DOWN = {"status": 503}


def said_by(model):
    return f"This is {model} speaking, in a few words."


def text_of(chunks):
    return "".join(
        chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices
    )


def test_create(client, mock):
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.model == "gpt-4o"
    assert answer.choices[0].message.content == said_by("gpt-4o")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id
    assert len(mock.calls()) == 1


def test_stream(client):
    stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    chunks = list(stream)
    assert text_of(chunks) == said_by("gpt-4o")
    # Nobody asked for usage: every chunk has a choice, as `chunk.choices[0]` expects.
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1


def test_stream_with_usage(client):
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = list(stream)
    assert text_of(chunks) == said_by("gpt-4o")
    assert all(chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert last.usage.completion_tokens == 8
    assert last.usage.cost_usd > 0


def test_stream_helper_accumulates(client):
    with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES) as stream:
        for _event in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content == said_by("gpt-4o")


def test_raw_response_headers(client, mock):
    usage = {"input": 1000, "cached_input": 400, "output": 50}
    mock.script("gpt-4o", reply={"usage": usage})
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=MESSAGES, extra_headers={"X-Agent-Name": "reader"}
    )
    assert raw.headers["X-Cost-USD"] == "0.0025"
    assert raw.headers["X-Input-Tokens"] == "1000"
    assert raw.headers["X-Output-Tokens"] == "50"
    assert raw.headers["X-Trace-ID"]
    assert raw.headers["x-request-id"] == raw.request_id
    assert raw.headers["request-id"] == raw.request_id
    assert raw.headers["x-agix-model"] == "gpt-4o"
    assert raw.headers["x-agix-provider"] == "openai"
    assert raw.headers["x-agix-attempts"] == "1"
    assert raw.parse().choices[0].message.content == said_by("gpt-4o")


def test_outage_is_answered_by_another_provider(client, mock):
    mock.script("gpt-4o", then=DOWN)
    mock.script("gpt-4o-mini", then=DOWN)
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.object == "chat.completion"
    assert answer.model == "claude-opus-4-6"
    assert answer.choices[0].message.content == said_by("claude-opus-4-6")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens > 0
    models = [call["model"] for call in mock.calls()]
    assert models == ["gpt-4o", "gpt-4o-mini", "claude-opus-4-6"]


def test_outage_of_a_stream_is_answered_by_another_provider(client, mock):
    mock.script("gpt-4o", then=DOWN)
    mock.script("gpt-4o-mini", then=DOWN)
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = list(stream)
    assert text_of(chunks) == said_by("claude-opus-4-6")
    assert {chunk.model for chunk in [*chunks, last]} == {"claude-opus-4-6"}
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.usage.completion_tokens == 8
    models = [call["model"] for call in mock.calls()]
    assert models == ["gpt-4o", "gpt-4o-mini", "claude-opus-4-6"]


def test_all_down_is_one_error_with_all_attempts(client, mock):
    for model in ["gpt-4o", "gpt-4o-mini", "claude-opus-4-6"]:
        mock.script(model, then=DOWN)
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert raised.value.status_code == 503
    assert len(raised.value.body["agix"]["attempts"]) == 3
    # The library itself does not try again: the chain was tried already.
    assert len(mock.calls()) == 3


def test_embeddings(client, mock):
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    assert len(answer.data) == 2
    assert answer.data[1].embedding == [0.125] * 8
    assert answer.usage.prompt_tokens > 0
    as_floats = client.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input="one", encoding_format="float"
    )
    assert as_floats.parse().data[0].embedding == [0.125] * 8
    assert float(as_floats.headers["X-Cost-USD"]) > 0
    assert [call["path"] for call in mock.calls()] == ["/v1/embeddings"] * 2


def test_models(client):
    models = client.models.list().data
    assert {"gpt-4o", "gpt-4o-mini", "claude-opus-4-6"} <= {model.id for model in models}
    assert all(model.object == "model" for model in models)


@pytest.mark.parametrize(
    ("step", "error", "status"),
    [
        ({"status": 400}, openai.BadRequestError, 400),
        ("context_length", openai.BadRequestError, 400),
        ("content_filter", openai.BadRequestError, 400),
        ({"status": 422}, openai.UnprocessableEntityError, 422),
        ({"rate_limited": {"retry_after": "60"}}, openai.RateLimitError, 429),
        ({"status": 500}, openai.InternalServerError, 502),
        ({"status": 503}, openai.InternalServerError, 503),
        ({"status": 529}, openai.InternalServerError, 503),
        ({"status": 401}, openai.InternalServerError, 502),
        ("reset_before_headers", openai.InternalServerError, 502),
        ({"fault": {"after_events": 0, "fault": "garbage"}}, openai.InternalServerError, 502),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_provider_errors(client, mock, step, error, status, stream):
    # gpt-5 has no fallback here.
    mock.script("gpt-5", then=step)
    with pytest.raises(error) as raised:
        client.chat.completions.create(model="gpt-5", messages=MESSAGES, stream=stream)
    assert raised.value.status_code == status
    assert raised.value.request_id
    assert raised.value.body["message"]
    assert len(mock.calls("gpt-5")) == 1


def test_wrong_key_is_401(client, mock):
    named = {"X-Agent-Name": "guarded"}
    with pytest.raises(openai.AuthenticationError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers=named)
    assert raised.value.code == "invalid_api_key"
    assert mock.calls() == []


def test_model_of_others_is_403(mock):
    with OpenAI(base_url=f"{PROXY}/v1", api_key="guarded-key") as guarded:
        guarded.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        with pytest.raises(openai.PermissionDeniedError):
            guarded.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
        with pytest.raises(openai.PermissionDeniedError):
            guarded.chat.completions.create(
                model="gpt-4o", messages=MESSAGES, extra_headers={"X-Agent-Name": "another"}
            )
    assert [call["model"] for call in mock.calls()] == ["gpt-4o"]


def test_unknown_model_is_404(client, mock):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="llama-of-nobody", messages=MESSAGES)
    assert raised.value.code == "model_not_found"
    assert mock.calls() == []


def test_malformed_request_is_400(client, mock):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="", messages=MESSAGES)
    assert mock.calls() == []


def test_broken_stream_raises_and_is_never_taken_for_whole(client, mock):
    for fault in ["reset", "end", "error_event", "garbage"]:
        mock.script("gpt-5", {"fault": {"after_events": 4, "fault": fault}})
        stream = client.chat.completions.create(model="gpt-5", messages=MESSAGES, stream=True)
        seen = []
        with pytest.raises(openai.APIError) as raised:
            for chunk in stream:
                seen.append(chunk)
        assert text_of(seen).startswith("This "), fault
        assert raised.value.message, fault


def test_cancelled_stream_cancels_the_provider(client, mock):
    mock.script("gpt-4o", reply={"text": "word " * 200, "piece_ms": 100})
    stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    next(iter(stream))
    assert mock.calls("gpt-4o")[0]["outcome"] == "open"
    stream.close()
    call = until(
        "the provider notices",
        1,
        lambda: [one for one in mock.calls("gpt-4o") if one["outcome"] == "caller_left"],
    )[0]
    assert call["billed"]["output"] < 50


def test_callers_deadline_is_kept(client, mock):
    mock.script("gpt-4o", then="silence_before_headers")
    with pytest.raises((openai.APITimeoutError, openai.InternalServerError)):
        client.with_options(timeout=1, max_retries=0).chat.completions.create(
            model="gpt-4o", messages=MESSAGES
        )
    until(
        "the provider's work ends",
        1,
        lambda: all(call["outcome"] == "caller_left" for call in mock.calls("gpt-4o")),
    )


def test_asynchronous_client(mock):
    import asyncio

    async def run():
        async with AsyncOpenAI(base_url=f"{PROXY}/v1", api_key="unused") as client:
            answers = await asyncio.gather(
                *(
                    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
                    for _ in range(20)
                )
            )
            assert {answer.choices[0].message.content for answer in answers} == {said_by("gpt-4o")}
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=MESSAGES, stream=True
            )
            return [chunk async for chunk in stream]

    assert text_of(asyncio.run(run())) == said_by("gpt-4o")
    assert len(mock.calls("gpt-4o")) == 21


def test_conversation_with_a_system_message_reaches_anthropic(client, mock):
    answer = client.chat.completions.create(
        model="claude-opus-4-6",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be polite."},
            {"role": "user", "content": "One."},
            {"role": "assistant", "content": "Two."},
            {"role": "user", "content": [{"type": "text", "text": "Three."}]},
            {"role": "user", "content": ""},
        ],
        temperature=1.5,
        max_tokens=3,
        stop=["END", " "],
        seed=7,
        logit_bias={"1": 1},
        user="somebody@example.com",
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == "This is claude-opus-4-6 "
    body = mock.calls("claude-opus-4-6")[0]["body"]
    assert body["max_tokens"] == 3
    assert body["stop_sequences"] == ["END"]
    assert "somebody@example.com" not in str(body)


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Says how the weather is",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
CALLS = [
    {"name": "weather", "arguments": '{"city": "Paris"}'},
    {"name": "weather", "arguments": '{"city": "Rome"}'},
]
# One model behind each protocol; none has a fallback.
MODELS = ["gpt-5", "claude-haiku-4-5-20251001", "gemini-2.5-pro"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_parallel_tools_and_their_results(client, mock, model, stream):
    mock.script(model, reply={"text": "I will look.", "calls": CALLS})
    ask = {"model": model, "tools": TOOLS, "messages": MESSAGES}
    if stream:
        with client.chat.completions.stream(**ask) as events:
            for _event in events:
                pass
            answer = events.get_final_completion()
    else:
        answer = client.chat.completions.create(**ask)
    assert answer.choices[0].finish_reason == "tool_calls"
    message = answer.choices[0].message
    assert message.content == "I will look."
    cities = [call.function.arguments.replace(" ", "") for call in message.tool_calls]
    assert cities == ['{"city":"Paris"}', '{"city":"Rome"}']
    assert len({call.id for call in message.tool_calls}) == 2

    mock.script(model)
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"sun over {place}"}
        for place, call in enumerate(message.tool_calls)
    ]
    said = {
        "role": "assistant",
        "content": message.content,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls
        ],
    }
    answer = client.chat.completions.create(
        model=model, tools=TOOLS, messages=[*MESSAGES, said, *results]
    )
    assert answer.choices[0].finish_reason == "stop"
    sent = str(mock.calls(model)[-1]["body"])
    assert "sun over 0" in sent and "sun over 1" in sent


@pytest.mark.parametrize("model", MODELS)
def test_pictures_and_documents(client, mock, model):
    data = "base64,iVBORw0KGgo="
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;{data}"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;{data}"},
        },
        {"type": "text", "text": "What is this?"},
    ]
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    assert str(mock.calls(model)[0]["body"]).count("iVBORw0KGgo=") == 2


@pytest.mark.parametrize("model", MODELS)
def test_an_error_right_behind_the_beginning_of_a_stream_is_an_error(client, mock, model):
    # Google's streams begin with content.
    for events in [0] if model.startswith("gemini") else [0, 1]:
        mock.script(model, {"fault": {"after_events": events, "fault": "error_event"}})
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model=model, messages=MESSAGES, stream=True)


@pytest.mark.parametrize("model", MODELS)
def test_broken_streams_of_every_protocol_raise(client, mock, model):
    for fault in ["reset", "end", "error_event", "garbage"]:
        mock.script(model, {"fault": {"after_events": 4, "fault": fault}})
        stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError):
            for _chunk in stream:
                pass


def test_a_json_schema_reaches_every_protocol(client, mock):
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    for model in MODELS:
        client.chat.completions.create(
            model=model,
            messages=MESSAGES,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema},
            },
        )
        assert "'required': ['a']" in str(mock.calls(model)[0]["body"])
