// The proxy and the mock provider behind it, as the Rust test started them, and what is asked.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");

exports.PROXY = process.env.AGIX_TEST_PROXY;
const MOCK = process.env.AGIX_TEST_MOCK;

exports.QUESTION = "Who are you?";
exports.SYSTEM = "Answer in one sentence.";
// A picture of one pixel.
exports.PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
exports.ADDRESS = "https://pictures.example/cat.png";
const WEATHER = {
  type: "object",
  properties: { city: { type: "string", description: "A city" } },
  required: ["city"],
  additionalProperties: false,
};
const NOTHING = { type: "object", properties: {} };
exports.TOOLS = {
  weather: ["Says how the weather is", WEATHER],
  clock: ["Says the time", NOTHING],
};

// The version of an installed package.
exports.version = (name) => {
  const file = join(process.env.NODE_PATH, name, "package.json");
  return JSON.parse(readFileSync(file, "utf8")).version;
};

async function call(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(MOCK + path, options);
  if (!answer.ok) {
    throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }
  return answer.json();
}

// The mock provider's scripts and its book, from the start of one cell on.
exports.Mock = class Mock {
  static async begin() {
    const mock = new Mock();
    mock.first = (await call("/_mock/log?from=1000000000")).calls;
    mock.scripted = new Set();
    return mock;
  }

  async script(model, { steps = [], then = "ok", reply = {} } = {}) {
    this.scripted.add(model);
    await call("/_mock/script", { model, steps, then, reply });
  }

  async calls() {
    return (await call(`/_mock/log?from=${this.first}`)).entries;
  }

  async restore() {
    for (const model of this.scripted) {
      await call("/_mock/script", { model, reply: {} });
    }
  }
};

// What `look` finds, as soon as it finds something; fails after `seconds`.
exports.until = async (what, seconds, look) => {
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end) {
    const found = await look();
    if (found) {
      return found;
    }
  }
  throw new Error(`not within ${seconds} s: ${what}`);
};
