"""OpenAI's library and its responses against a real proxy, over a provider of each protocol."""

import openai
import pytest
from conftest import PROXY, until
from openai import OpenAI
from pydantic import BaseModel

ASKED = "Who are you?"
DOWN = {"status": 503}
# One model behind each protocol; none has a fallback.
MODELS = ["gpt-5", "claude-haiku-4-5-20251001", "gemini-2.5-pro"]
TOOLS = [
    {
        "type": "function",
        "name": "weather",
        "description": "Says how the weather is",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    }
]
CALLS = [
    {"name": "weather", "arguments": '{"city": "Paris"}'},
    {"name": "weather", "arguments": '{"city": "Rome"}'},
]


def said_by(model):
    return f"This is {model} speaking, in a few words."


@pytest.mark.parametrize("model", MODELS)
def test_create(client, mock, model):
    mock.script(model, reply={"usage": {"input": 1000, "cached_input": 400, "output": 50}})
    raw = client.responses.with_raw_response.create(
        model=model, input=ASKED, instructions="Be brief.", metadata={"a": "b"}
    )
    answer = raw.parse()
    assert answer.object == "response"
    assert answer.id.startswith("resp_")
    assert answer.status == "completed"
    assert answer.model == model
    assert answer.output_text == said_by(model)
    assert answer.instructions == "Be brief."
    assert answer.metadata == {"a": "b"}
    assert answer.store is False
    assert answer.usage.input_tokens == 1000
    assert answer.usage.input_tokens_details.cached_tokens == 400
    assert answer.usage.output_tokens == 50
    assert answer.usage.total_tokens == 1050
    assert float(raw.headers["X-Cost-USD"]) > 0
    assert raw.headers["x-agix-model"] == model
    assert answer._request_id
    sent = mock.calls(model)[0]["body"]
    assert "Be brief." in str(sent)
    assert "store" not in sent and "metadata" not in sent


@pytest.mark.parametrize("model", MODELS)
def test_stream(client, mock, model):
    mock.script(model, reply={"usage": {"input": 1000, "cached_input": 400, "output": 50}})
    with client.responses.create(model=model, input=ASKED, stream=True) as stream:
        events = list(stream)
    kinds = [event.type for event in events if event.type != "response.output_text.delta"]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == said_by(model) and len(deltas) > 1
    final = events[-1].response
    assert final.status == "completed"
    assert final.output_text == said_by(model)
    assert final.usage.output_tokens == 50
    assert final.usage.cost_usd > 0
    assert {event.response.id for event in events if hasattr(event, "response")} == {final.id}


@pytest.mark.parametrize("model", MODELS)
def test_stream_helper(client, model):
    with client.responses.stream(model=model, input=ASKED) as stream:
        for _event in stream:
            pass
        final = stream.get_final_response()
    assert final.output_text == said_by(model)


class Person(BaseModel):
    name: str


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_parse(client, mock, model, stream):
    mock.script(model, reply={"text": '{"name": "Ada Lovelace"}'})
    if stream:
        with client.responses.stream(model=model, input=ASKED, text_format=Person) as events:
            answer = events.get_final_response()
    else:
        answer = client.responses.parse(model=model, input=ASKED, text_format=Person)
    assert answer.output_parsed == Person(name="Ada Lovelace")
    assert "'required': ['name']" in str(mock.calls(model)[0]["body"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_parallel_tools_and_their_results(client, mock, model, stream):
    mock.script(model, reply={"text": "I will look.", "calls": CALLS})
    ask = {"model": model, "tools": TOOLS, "input": [{"role": "user", "content": ASKED}]}
    if stream:
        with client.responses.stream(**ask) as events:
            answer = events.get_final_response()
    else:
        answer = client.responses.create(**ask)
    assert answer.status == "completed"
    assert answer.output_text == "I will look."
    message, *calls = answer.output
    assert message.type == "message"
    cities = [call.arguments.replace(" ", "") for call in calls]
    assert cities == ['{"city":"Paris"}', '{"city":"Rome"}']
    assert len({call.call_id for call in calls}) == 2
    assert len({item.id for item in answer.output}) == 3

    mock.script(model)
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"sun over {place}"}
        for place, call in enumerate(calls)
    ]
    said = [item.to_dict() for item in answer.output]
    for item in said:
        item.pop("parsed_arguments", None)
    answer = client.responses.create(
        model=model, tools=TOOLS, input=[*ask["input"], *said, *results]
    )
    assert answer.output_text == said_by(model)
    sent = str(mock.calls(model)[-1]["body"])
    assert "sun over 0" in sent and "sun over 1" in sent


@pytest.mark.parametrize("model", MODELS)
def test_pictures_and_documents(client, mock, model):
    data = "base64,iVBORw0KGgo="
    content = [
        {"type": "input_image", "image_url": f"data:image/png;{data}", "detail": "auto"},
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": f"data:application/pdf;{data}",
        },
        {"type": "input_text", "text": "What is this?"},
    ]
    client.responses.create(model=model, input=[{"role": "user", "content": content}])
    assert str(mock.calls(model)[0]["body"]).count("iVBORw0KGgo=") == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_bound_on_the_length_is_told(client, mock, model, stream):
    ask = {"model": model, "input": ASKED, "max_output_tokens": 3}
    if stream:
        with client.responses.create(**ask, stream=True) as events:
            *_, last = events
        assert last.type == "response.incomplete"
        answer = last.response
    else:
        answer = client.responses.create(**ask)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.output_text == f"This is {model} "


@pytest.mark.parametrize("stream", [False, True])
def test_outage_is_answered_by_another_provider(client, mock, stream):
    mock.script("gpt-4o", then=DOWN)
    mock.script("gpt-4o-mini", then=DOWN)
    if stream:
        with client.responses.stream(model="gpt-4o", input=ASKED) as events:
            answer = events.get_final_response()
    else:
        answer = client.responses.create(model="gpt-4o", input=ASKED)
    assert answer.model == "claude-opus-4-6"
    assert answer.output_text == said_by("claude-opus-4-6")
    models = [call["model"] for call in mock.calls()]
    assert models == ["gpt-4o", "gpt-4o-mini", "claude-opus-4-6"]


def test_what_chat_completions_know_goes_there(client, mock):
    client.responses.create(
        model="gpt-5",
        input=ASKED,
        reasoning={"effort": "low"},
        text={"verbosity": "low"},
        service_tier="flex",
        prompt_cache_key="k",
        store=True,
    )
    sent = mock.calls("gpt-5")[0]["body"]
    assert sent["reasoning_effort"] == "low"
    assert sent["verbosity"] == "low"
    assert sent["service_tier"] == "flex"
    assert sent["prompt_cache_key"] == "k"


def test_what_the_other_protocol_lacks_is_dropped_and_named(client, mock):
    raw = client.responses.with_raw_response.create(
        model="claude-haiku-4-5-20251001", input=ASKED, reasoning={"effort": "low"}
    )
    assert raw.headers["x-agix-dropped-params"] == "reasoning.effort"
    assert raw.parse().reasoning.effort == "low"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["a"]}]}, "tools"),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools"),
        ({"tools": [{"type": "mcp", "server_label": "a", "server_url": "https://a"}]}, "tools"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
    ],
)
def test_what_needs_a_memory_or_is_run_by_openai_is_refused(client, mock, more, param):
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(**{"model": "gpt-4o", "input": ASKED, **more})
    assert raised.value.param == param
    assert raised.value.type == "invalid_request_error"
    assert mock.calls() == []


def test_nothing_is_stored(client, mock):
    answer = client.responses.create(model="gpt-4o", input=ASKED, store=True)
    assert answer.store is False
    with pytest.raises(openai.NotFoundError) as raised:
        client.responses.retrieve(answer.id)
    assert raised.value.code == "response_not_stored"


@pytest.mark.parametrize(
    ("step", "error", "status"),
    [
        ({"status": 400}, openai.BadRequestError, 400),
        ("context_length", openai.BadRequestError, 400),
        ("content_filter", openai.BadRequestError, 400),
        ({"rate_limited": {"retry_after": "60"}}, openai.RateLimitError, 429),
        ({"status": 500}, openai.InternalServerError, 502),
        ({"status": 503}, openai.InternalServerError, 503),
        ({"status": 401}, openai.InternalServerError, 502),
        ("reset_before_headers", openai.InternalServerError, 502),
        ({"fault": {"after_events": 0, "fault": "garbage"}}, openai.InternalServerError, 502),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_provider_errors(client, mock, model, step, error, status, stream):
    mock.script(model, then=step)
    with pytest.raises(error) as raised:
        client.responses.create(model=model, input=ASKED, stream=stream)
    assert raised.value.status_code == status
    assert raised.value.request_id
    assert raised.value.body["message"]
    assert len(mock.calls(model)) == 1


@pytest.mark.parametrize("model", MODELS)
def test_broken_stream_raises_and_is_never_taken_for_whole(client, mock, model):
    for fault in ["reset", "end", "error_event", "garbage"]:
        mock.script(model, {"fault": {"after_events": 6, "fault": fault}})
        seen = []
        with pytest.raises(openai.APIError) as raised:
            for event in client.responses.create(model=model, input=ASKED, stream=True):
                seen.append(event.type)
        assert raised.value.message, fault
        assert "response.output_text.delta" in seen, fault
        assert "response.completed" not in seen, fault
        assert "response.output_text.done" not in seen, fault


def test_cancelled_stream_cancels_the_provider(client, mock):
    mock.script("gpt-4o", reply={"text": "word " * 200, "piece_ms": 100})
    stream = client.responses.create(model="gpt-4o", input=ASKED, stream=True)
    next(iter(stream))
    stream.close()
    until(
        "the provider notices",
        1,
        lambda: [one for one in mock.calls("gpt-4o") if one["outcome"] == "caller_left"],
    )


def test_wrong_key_and_unknown_model(client, mock):
    with pytest.raises(openai.AuthenticationError):
        client.responses.create(
            model="gpt-4o", input=ASKED, extra_headers={"X-Agent-Name": "guarded"}
        )
    with pytest.raises(openai.NotFoundError) as raised:
        client.responses.create(model="llama-of-nobody", input=ASKED)
    assert raised.value.code == "model_not_found"
    assert mock.calls() == []


def test_limits_and_budgets_hold_for_responses(mock):
    headers = {"X-Agent-Name": "patient"}
    with OpenAI(base_url=f"{PROXY}/v1", api_key="unused", max_retries=0) as client:
        for _ in range(3):
            client.responses.create(model="gpt-4o", input=ASKED, extra_headers=headers)
        with pytest.raises(openai.RateLimitError) as raised:
            client.responses.create(model="gpt-4o", input=ASKED, extra_headers=headers)
        assert raised.value.code == "rate_limit_exceeded"
        with pytest.raises(openai.RateLimitError) as raised:
            client.responses.create(
                model="gpt-4o", input=ASKED, extra_headers={"X-Agent-Name": "poor"}
            )
        assert raised.value.code == "budget_exceeded"


@pytest.mark.parametrize("base", ["", "/v1", "/openai", "/openai/v1", "/a/reader/v1"])
def test_base_urls(mock, base):
    with OpenAI(base_url=PROXY + base, api_key="unused") as client:
        answer = client.responses.create(model="gpt-4o", input=ASKED)
    assert answer.output_text == said_by("gpt-4o")
