"""Limits and budgets as OpenAI's own library sees them."""

import time

import openai
import pytest
from openai import OpenAI

from conftest import PROXY

MESSAGES = [{"role": "user", "content": "Hello"}]


def named(agent):
    return OpenAI(
        base_url=f"{PROXY}/v1",
        api_key="unused",
        max_retries=0,
        default_headers={"X-Agent-Name": agent},
    )


def test_a_caller_that_waits_as_long_as_it_is_told_always_succeeds(mock):
    with named("patient") as client:
        refused = 0
        for _ in range(7):
            for attempt in range(2):
                try:
                    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
                    break
                except openai.RateLimitError as error:
                    assert attempt == 0, "the wait that was named was too short"
                    refused += 1
                    assert "Rate limit exceeded for agent: patient (3 req/min)" in str(error)
                    assert error.type == "rate_limit_exceeded"
                    time.sleep(int(error.response.headers.get("Retry-After", 60)))
        assert 1 <= refused <= 4
    assert len(mock.calls("gpt-4o")) == 7


def test_a_used_up_budget_is_an_error_that_is_not_tried_again(mock):
    with named("poor").with_options(max_retries=3) as client:
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=1000)
    error = refused.value
    assert error.code == "budget_exceeded"
    assert error.type == "insufficient_quota"
    assert error.response.headers["x-should-retry"] == "false"
    assert "0.001" in str(error)
    assert mock.calls("gpt-4o") == []
