"""LangChain's `ChatOpenAI`."""

from importlib.metadata import version

from callers import openai_chat
from callers.langchain import LangChain
from conftest import PROXY
from langchain_openai import ChatOpenAI

NAME = f"langchain-openai {version('langchain-openai')} (Python), ChatOpenAI"
ERRORS = openai_chat.ERRORS
BROKEN = openai_chat.BROKEN


def build(model, most=None, key="unused", agent=None, **more):
    return ChatOpenAI(
        model=model,
        base_url=f"{PROXY}/v1",
        api_key=key,
        default_headers={"X-Agent-Name": agent} if agent else {},
        max_completion_tokens=most,
        stream_usage=True,
        **more,
    )


caller = LangChain(build, lambda answer: openai_chat.FINISHES[answer["finish_reason"]])
say, call_tools, tell_results = caller.say, caller.call_tools, caller.tell_results
look, shape, begin = caller.look, caller.shape, caller.begin
refusal = openai_chat.refusal
