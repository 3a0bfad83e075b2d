"""LangChain's `ChatAnthropic`."""

from importlib.metadata import version

from callers import anthropic_messages
from callers.langchain import LangChain
from conftest import PROXY
from langchain_anthropic import ChatAnthropic

NAME = f"langchain-anthropic {version('langchain-anthropic')} (Python), ChatAnthropic"
ERRORS = anthropic_messages.ERRORS
BROKEN = anthropic_messages.BROKEN


def build(model, most=1000, key="unused", agent=None):
    return ChatAnthropic(
        model=model,
        base_url=PROXY,
        api_key=key,
        default_headers={"X-Agent-Name": agent} if agent else {},
        max_tokens=most,
    )


caller = LangChain(build, lambda answer: anthropic_messages.FINISHES[answer["stop_reason"]])
say, call_tools, tell_results = caller.say, caller.call_tools, caller.tell_results
look, shape, begin = caller.look, caller.shape, caller.begin
refusal = anthropic_messages.refusal
