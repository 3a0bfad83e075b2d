"""What LangChain's chat models have in common, whichever library is below."""

from callers import PIXEL, QUESTION, SYSTEM, TOOLS, ADDRESS, Said
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel

OFFERED = [
    {
        "type": "function",
        "function": {"name": name, "description": what, "parameters": schema},
    }
    for name, (what, schema) in TOOLS.items()
]
MESSAGES = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]


class City(BaseModel):
    """A city."""

    city: str


class LangChain:
    """The functions of a caller, over a chat model made by `build`."""

    def __init__(self, build, finish_of):
        self.build = build
        self.finish_of = finish_of

    def said(self, message):
        usage = message.usage_metadata
        return Said(
            text=message.text,
            finish=self.finish_of(message.response_metadata),
            model=message.response_metadata.get("model_name"),
            calls=[(call["name"], call["args"]) for call in message.tool_calls],
            tokens=(
                usage["input_tokens"],
                usage["input_token_details"].get("cache_read"),
                usage["output_tokens"],
            ),
            turn=message,
        )

    def ask(self, chat, stream, messages=MESSAGES):
        if not stream:
            return self.said(chat.invoke(messages))
        whole = None
        for chunk in chat.stream(messages):
            whole = chunk if whole is None else whole + chunk
        return self.said(whole)

    def say(self, model, stream, most=1000, **who):
        return self.ask(self.build(model, most=most, **who), stream)

    def call_tools(self, model, stream):
        return self.ask(self.build(model).bind_tools(OFFERED), stream)

    def tell_results(self, model, stream, answer, results):
        outcomes = [
            ToolMessage(result, tool_call_id=call["id"])
            for call, result in zip(answer.turn.tool_calls, results, strict=True)
        ]
        chat = self.build(model).bind_tools(OFFERED)
        return self.ask(chat, stream, [*MESSAGES, answer.turn, *outcomes])

    def look(self, model, stream, at_address=False):
        inline = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
        picture = {"type": "image", "url": ADDRESS} if at_address else inline
        content = [{"type": "text", "text": "What is this?"}, picture]
        return self.ask(self.build(model), stream, [HumanMessage(content)])

    def shape(self, model):
        chat = self.build(model).with_structured_output(City, method="json_schema")
        return chat.invoke(MESSAGES).city

    def begin(self, model):
        """A stream of which the first event has come, and how to leave it."""
        chunks = self.build(model).stream(MESSAGES)
        next(chunks)
        return chunks.close
