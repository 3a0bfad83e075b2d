"""OpenAI's library, chat completions."""

import json

import openai
from callers import ADDRESS, PIXEL, QUESTION, SYSTEM, TOOLS, Said
from conftest import PROXY
from openai import OpenAI
from pydantic import BaseModel

NAME = f"openai {openai.__version__} (Python), chat completions"
ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    503: openai.InternalServerError,
}
BROKEN = openai.APIError
FINISHES = {"stop": "stop", "tool_calls": "tools", "length": "length"}
OFFERED = [
    {
        "type": "function",
        "function": {"name": name, "description": what, "parameters": schema},
    }
    for name, (what, schema) in TOOLS.items()
]
MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]


def client(key="unused", agent=None):
    headers = {"X-Agent-Name": agent} if agent else {}
    return OpenAI(base_url=f"{PROXY}/v1", api_key=key, default_headers=headers)


def said(completion):
    choice = completion.choices[0]
    calls = choice.message.tool_calls or []
    usage = completion.usage
    return Said(
        text=choice.message.content or "",
        finish=FINISHES[choice.finish_reason],
        model=completion.model,
        calls=[(call.function.name, json.loads(call.function.arguments)) for call in calls],
        tokens=(
            usage.prompt_tokens,
            usage.prompt_tokens_details.cached_tokens,
            usage.completion_tokens,
        ),
        turn=choice.message,
    )


def ask(stream, *, key="unused", agent=None, **request):
    with client(key, agent) as asking:
        if not stream:
            return said(asking.chat.completions.create(**request))
        usage = {"include_usage": True}
        with asking.chat.completions.stream(**request, stream_options=usage) as events:
            try:
                return said(events.get_final_completion())
            except openai.LengthFinishReasonError as cut:
                return said(cut.completion)


def say(model, stream, most=1000, **who):
    return ask(stream, model=model, messages=MESSAGES, max_completion_tokens=most, **who)


def call_tools(model, stream):
    return ask(stream, model=model, messages=MESSAGES, tools=OFFERED)


def tell_results(model, stream, answer, results):
    turns = [
        {"role": "tool", "tool_call_id": call.id, "content": result}
        for call, result in zip(answer.turn.tool_calls, results, strict=True)
    ]
    turn = answer.turn.model_dump(exclude_none=True, exclude={"parsed"})
    return ask(stream, model=model, messages=[*MESSAGES, turn, *turns], tools=OFFERED)


def look(model, stream, at_address=False):
    url = ADDRESS if at_address else f"data:image/png;base64,{PIXEL}"
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return ask(stream, model=model, messages=[{"role": "user", "content": content}])


class City(BaseModel):
    city: str


def shape(model):
    with client() as asking:
        answer = asking.chat.completions.parse(
            model=model, messages=MESSAGES, response_format=City
        )
    return answer.choices[0].message.parsed.city


def begin(model):
    """A stream of which the first event has come, and how to leave it."""
    asking = client()
    stream = asking.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    next(iter(stream))
    return stream.close


def refusal(error):
    """Status, words and request id of an error."""
    return error.status_code, error.body["message"], error.request_id
