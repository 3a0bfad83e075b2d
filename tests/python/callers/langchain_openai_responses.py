"""LangChain's `ChatOpenAI` over responses."""

from callers import langchain_openai_chat, openai_responses
from callers.langchain import LangChain

NAME = langchain_openai_chat.NAME + ", responses"
ERRORS = openai_responses.ERRORS
BROKEN = Exception


def build(model, **more):
    return langchain_openai_chat.build(model, use_responses_api=True, **more)


def finish_of(answer):
    if answer["status"] not in ("completed", "incomplete"):
        raise openai_responses.Broken(answer)
    return "length" if answer.get("incomplete_details") else "stop"


class Responses(LangChain):
    """A response that calls tools is complete, too."""

    def said(self, message):
        said = super().said(message)
        if said.calls:
            said.finish = "tools"
        return said


caller = Responses(build, finish_of)
say, call_tools, tell_results = caller.say, caller.call_tools, caller.tell_results
look, shape, begin = caller.look, caller.shape, caller.begin
refusal = openai_responses.refusal
