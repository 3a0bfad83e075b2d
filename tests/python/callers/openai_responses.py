"""OpenAI's library, responses."""

import json

import openai
from callers import ADDRESS, PIXEL, QUESTION, SYSTEM, TOOLS, Said, openai_chat
from callers.openai_chat import City, client

NAME = f"openai {openai.__version__} (Python), responses"
ERRORS = openai_chat.ERRORS
OFFERED = [
    {"type": "function", "name": name, "description": what, "parameters": schema, "strict": False}
    for name, (what, schema) in TOOLS.items()
]
USER = {"role": "user", "content": QUESTION}


class Broken(Exception):
    """A response that says itself that it failed, which the library hands over as any other."""


BROKEN = (openai.APIError, Broken)


def said(response):
    if response.status not in ("completed", "incomplete"):
        raise Broken(response.error)
    calls = [item for item in response.output if item.type == "function_call"]
    cut = response.incomplete_details
    finish = "length" if cut and cut.reason == "max_output_tokens" else "stop"
    usage = response.usage
    return Said(
        text=response.output_text,
        finish="tools" if calls else finish,
        model=response.model,
        calls=[(call.name, json.loads(call.arguments)) for call in calls],
        tokens=(usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens),
        turn=response.output,
    )


def ask(stream, *, most=1000, key="unused", agent=None, **request):
    request = {"instructions": SYSTEM, "input": [USER], "max_output_tokens": most, **request}
    with client(key, agent) as asking:
        if not stream:
            return said(asking.responses.create(**request))
        with asking.responses.stream(**request) as events:
            last = None
            for event in events:
                last = event
            return said(last.response)


def say(model, stream, most=1000, **who):
    return ask(stream, model=model, most=most, **who)


def call_tools(model, stream):
    return ask(stream, model=model, tools=OFFERED)


def tell_results(model, stream, answer, results):
    calls = [item for item in answer.turn if item.type == "function_call"]
    outcomes = [
        {"type": "function_call_output", "call_id": call.call_id, "output": result}
        for call, result in zip(calls, results, strict=True)
    ]
    kept = {"exclude_none": True, "exclude": {"parsed_arguments"}}
    turn = [item.model_dump(**kept) for item in answer.turn]
    return ask(stream, model=model, tools=OFFERED, input=[USER, *turn, *outcomes])


def look(model, stream, at_address=False):
    url = ADDRESS if at_address else f"data:image/png;base64,{PIXEL}"
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": url},
    ]
    return ask(stream, model=model, input=[{"role": "user", "content": content}])


def shape(model):
    with client() as asking:
        answer = asking.responses.parse(model=model, input=QUESTION, text_format=City)
    return answer.output_parsed.city


def begin(model):
    """A stream of which the first event has come, and how to leave it."""
    stream = client().responses.create(model=model, input=QUESTION, stream=True)
    next(iter(stream))
    return stream.close


refusal = openai_chat.refusal
