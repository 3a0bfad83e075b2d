"""Client libraries, each behind the same few functions, so that one set of cells tries them all.

A module has `NAME`, `ERRORS` (the library's own class for each status) and the functions
`say`, `call_tools`, `tell_results`, `look`, `shape`, `begin` and `refusal`, and `loop` where the
library itself calls tools until the model needs no more.
"""

from dataclasses import dataclass, field


@dataclass
class Said:
    """What a model said, in no library's terms."""

    text: str
    # "stop", "tools" or "length".
    finish: str
    model: str
    # Name and arguments of each call of a tool.
    calls: list = field(default_factory=list)
    # All input, the part of it from the cache, and all output.
    tokens: tuple = ()
    # What the library wants back when the results of the calls are told.
    turn: object = None


QUESTION = "Who are you?"
SYSTEM = "Answer in one sentence."
# A picture of one pixel.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ADDRESS = "https://pictures.example/cat.png"
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "A city"}},
    "required": ["city"],
    "additionalProperties": False,
}
NOTHING = {"type": "object", "properties": {}}
TOOLS = {"weather": ("Says how the weather is", WEATHER), "clock": ("Says the time", NOTHING)}
