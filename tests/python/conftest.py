"""The proxy and the mock provider behind it, as the Rust test started them."""

import json
import os
import time
import urllib.request

import pytest
from openai import OpenAI

PROXY = os.environ["AGIX_TEST_PROXY"]
MOCK = os.environ["AGIX_TEST_MOCK"]


class Mock:
    """The mock provider's scripts and its book, from the start of one test on."""

    def __init__(self):
        self.begin = self._call("/_mock/log?from=1000000000")["calls"]
        self.scripted = set()

    def script(self, model, *steps, then="ok", reply=None):
        self.scripted.add(model)
        body = {"model": model, "steps": list(steps), "then": then, "reply": reply or {}}
        self._call("/_mock/script", body)

    def calls(self, model=None):
        entries = self._call(f"/_mock/log?from={self.begin}")["entries"]
        return [entry for entry in entries if model in (None, entry["model"])]

    def restore(self):
        for model in self.scripted:
            self._call("/_mock/script", {"model": model, "reply": {}})

    @staticmethod
    def _call(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(MOCK + path, data=data, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture
def mock():
    mock = Mock()
    yield mock
    mock.restore()


@pytest.fixture
def client():
    with OpenAI(base_url=f"{PROXY}/v1", api_key="unused") as client:
        yield client


def until(what, seconds, look):
    """What `look` finds, as soon as it finds something; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.01)
    pytest.fail(f"not within {seconds} s: {what}")


# What became of each cell of test_matrix.py: (cell, provider) -> outcome.
CELLS = {}


def pytest_runtest_logreport(report):
    if "test_matrix.py" in report.nodeid and (report.when == "call" or report.failed):
        name, _, parameters = report.nodeid.partition("::test_")[2].partition("[")
        *more, provider = parameters.rstrip("]").split("-")
        cell = " ".join([name.replace("_", " "), *more])
        passed = dict(report.user_properties).get("cell", "ok")
        CELLS[cell, provider] = passed if report.passed else "FAILED"


def pytest_terminal_summary(terminalreporter):
    """The table of a caller: what it does by what serves it."""
    if not CELLS:
        return
    from test_matrix import PROVIDERS, caller

    line = terminalreporter.write_line
    line("")
    line(f"{caller.NAME:52}" + "".join(f"{provider:>11}" for provider in PROVIDERS))
    for cell in dict.fromkeys(cell for cell, _ in CELLS):
        row = [CELLS.get((cell, provider), "-") for provider in PROVIDERS]
        line(f"  {cell:50}" + "".join(f"{found:>11}" for found in row))
