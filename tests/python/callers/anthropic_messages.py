"""Anthropic's library."""

import anthropic
from anthropic import Anthropic, beta_tool
from callers import ADDRESS, PIXEL, QUESTION, SYSTEM, TOOLS, Said
from conftest import PROXY
from pydantic import BaseModel

NAME = f"anthropic {anthropic.__version__} (Python)"
ERRORS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    429: anthropic.RateLimitError,
    503: anthropic.InternalServerError,
}
BROKEN = anthropic.APIError
FINISHES = {"end_turn": "stop", "tool_use": "tools", "max_tokens": "length"}
OFFERED = [
    {"name": name, "description": what, "input_schema": schema}
    for name, (what, schema) in TOOLS.items()
]
MESSAGES = [{"role": "user", "content": QUESTION}]


def client(key="unused", agent=None):
    headers = {"X-Agent-Name": agent} if agent else {}
    return Anthropic(base_url=PROXY, api_key=key, default_headers=headers)


def said(message):
    blocks = message.content
    usage = message.usage
    return Said(
        text="".join(block.text for block in blocks if block.type == "text"),
        finish=FINISHES[message.stop_reason],
        model=message.model,
        calls=[(block.name, block.input) for block in blocks if block.type == "tool_use"],
        tokens=(
            usage.input_tokens
            + (usage.cache_read_input_tokens or 0)
            + (usage.cache_creation_input_tokens or 0),
            usage.cache_read_input_tokens,
            usage.output_tokens,
        ),
        turn=blocks,
    )


def ask(stream, *, messages=MESSAGES, most=1000, key="unused", agent=None, **request):
    request = {"messages": messages, "max_tokens": most, "system": SYSTEM, **request}
    with client(key, agent) as asking:
        if not stream:
            return said(asking.messages.create(**request))
        with asking.messages.stream(**request) as events:
            return said(events.get_final_message())


def say(model, stream, most=1000, **who):
    return ask(stream, model=model, most=most, **who)


def call_tools(model, stream):
    return ask(stream, model=model, tools=OFFERED)


def tell_results(model, stream, answer, results):
    calls = [block for block in answer.turn if block.type == "tool_use"]
    outcomes = [
        {"type": "tool_result", "tool_use_id": call.id, "content": result}
        for call, result in zip(calls, results, strict=True)
    ]
    turns = [
        *MESSAGES,
        {"role": "assistant", "content": answer.turn},
        {"role": "user", "content": outcomes},
    ]
    return ask(stream, model=model, messages=turns, tools=OFFERED)


@beta_tool
def weather(city: str) -> str:
    """Says how the weather is.

    Args:
        city: A city
    """
    return f"sun over {city}"


def loop(model):
    with client() as asking:
        runner = asking.beta.messages.tool_runner(
            model=model, max_tokens=1000, tools=[weather], messages=MESSAGES
        )
        final = runner.until_done()
    return final.content[0].text


def look(model, stream, at_address=False):
    inline = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    source = {"type": "url", "url": ADDRESS} if at_address else inline
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    return ask(stream, model=model, messages=[{"role": "user", "content": content}])


class City(BaseModel):
    city: str


def shape(model):
    with client() as asking:
        answer = asking.messages.parse(
            model=model, max_tokens=1000, messages=MESSAGES, output_format=City
        )
    return answer.parsed_output.city


def begin(model):
    """A stream of which the first event has come, and how to leave it."""
    asking = client()
    stream = asking.messages.create(
        model=model, max_tokens=1000, messages=MESSAGES, stream=True
    )
    next(iter(stream))
    return stream.close


def refusal(error):
    """Status, words and request id of an error."""
    return error.status_code, error.body["error"]["message"], error.request_id
