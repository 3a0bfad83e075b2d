// One client library against a provider of each protocol: every cell of its row of the table.
//
// Which library says `AGIX_TEST_CALLER`, the name of a module of `callers`; each has the same
// functions. The table is printed. The cells are those of `tests/python/test_matrix.py`.

const assert = require("node:assert/strict");
const { after, test } = require("node:test");
const { ADDRESS, Mock, PIXEL, until } = require("./world.js");

const caller = require(`./callers/${process.env.AGIX_TEST_CALLER}.js`);

// One model behind each protocol; none has a fallback.
const PROVIDERS = {
  openai: "gpt-5",
  anthropic: "claude-haiku-4-5-20251001",
  gemini: "gemini-2.5-pro",
};
const USAGE = { input: 1000, cached_input: 400, output: 50 };
const CALLS = [
  { name: "weather", arguments: '{"city": "Paris"}' },
  { name: "weather", arguments: '{"city": "Zürich \\"Nord\\""}' },
  { name: "clock", arguments: "{}" },
];

const table = new Map();

// One row: what the library does with each provider.
function row(name, cell) {
  const found = {};
  table.set(name, found);
  for (const [provider, model] of Object.entries(PROVIDERS)) {
    test(`${name}, ${provider}`, { timeout: 30_000 }, async () => {
      found[provider] = "FAILED";
      const mock = await Mock.begin();
      try {
        found[provider] = (await cell({ mock, provider, model })) ?? "ok";
      } finally {
        await mock.restore();
      }
    });
  }
}

// The same plain and streamed.
function rows(name, cell) {
  for (const stream of [false, true]) {
    const how = stream ? "streamed" : "plain";
    row(`${name} ${how}`, (world) => cell({ ...world, stream }));
  }
}

const saidBy = (model) => `This is ${model} speaking, in a few words.`;
const sent = (call) => JSON.stringify(call.body);

async function refused({ mock, model, stream }, status, who = {}) {
  const thrown = await caller.say(model, stream, who).then(() => assert.fail("no error"), (e) => e);
  assert(thrown instanceof caller.ERRORS[status], `${thrown.constructor.name}: ${thrown}`);
  const [found, words, requestId] = caller.refusal(thrown);
  assert.equal(found, status);
  assert(words && requestId, `${words} ${requestId}`);
  return (await mock.calls()).length;
}

rows("text", async ({ mock, model, stream }) => {
  await mock.script(model, { reply: { usage: USAGE } });
  const answer = await caller.say(model, stream);
  assert.equal(answer.text, saidBy(model));
  assert.equal(answer.finish, "stop");
  assert.equal(answer.model, model);
  assert.deepEqual(answer.tokens, [1000, 400, 50]);
  assert.equal((await mock.calls()).length, 1);
});

rows("length", async ({ mock, model, stream }) => {
  const answer = await caller.say(model, stream, { most: 3 });
  assert.equal(answer.finish, "length");
  assert.equal(answer.text, `This is ${model} `);
  assert.equal((await mock.calls()).length, 1);
});

for (const text of ["I will look.", ""]) {
  rows(`tools ${text ? "after a text" : "alone"}`, async ({ mock, model, stream }) => {
    await mock.script(model, { reply: { text, calls: CALLS } });
    const asked = await caller.callTools(model, stream);
    assert.equal(asked.finish, "tools");
    assert.equal(asked.text, text);
    assert.deepEqual(asked.calls, [
      ["weather", { city: "Paris" }],
      ["weather", { city: 'Zürich "Nord"' }],
      ["clock", {}],
    ]);
    await mock.script(model);
    const results = ["sun over Paris", "fog over Zürich", "noon"];
    const answer = await caller.tellResults(model, stream, asked, results);
    assert.equal(answer.finish, "stop");
    assert.equal(answer.text, saidBy(model));
    // The provider checks that each result follows its call.
    const last = sent((await mock.calls()).at(-1));
    const places = results.map((result) => last.indexOf(result));
    assert(0 < places[0] && places[0] < places[1] && places[1] < places[2], `${places}`);
  });
}

// The library itself calls tools until the model needs no more.
row("loop", async ({ mock, model }) => {
  if (!caller.loop) {
    return "has none";
  }
  await mock.script(model, { reply: { calls: CALLS.slice(0, 2) } });
  assert.equal(await caller.loop(model), saidBy(model));
  const [first, second, ...more] = await mock.calls();
  assert.deepEqual(more, []);
  assert(sent(second).includes("sun over Paris"));
  assert(!sent(first).includes("sun over Paris"));
});

rows("picture", async ({ mock, model, stream }) => {
  assert.equal((await caller.look(model, stream)).text, saidBy(model));
  assert(sent((await mock.calls())[0]).includes(PIXEL));
});

row("picture at an address", async ({ mock, provider, model }) => {
  const looked = caller.look(model, false, { atAddress: true });
  if (provider === "gemini") {
    // Google takes no addresses, and agix fetches nothing that a caller names.
    const thrown = await looked.then(() => assert.fail("no error"), (e) => e);
    assert(thrown instanceof caller.ERRORS[400], `${thrown}`);
    assert(thrown.message.includes("only files that come with the request"), thrown.message);
    assert.equal((await mock.calls()).length, 0);
    return "refused";
  }
  assert.equal((await looked).text, saidBy(model));
  assert(sent((await mock.calls())[0]).includes(ADDRESS));
});

row("shape", async ({ mock, model }) => {
  await mock.script(model, { reply: { text: '{"city": "Paris"}' } });
  assert.equal(await caller.shape(model), "Paris");
  assert(sent((await mock.calls())[0]).toLowerCase().includes("schema"));
});

for (const status of [400, 429, 503]) {
  rows(`refused by the provider ${status}`, async (world) => {
    const limited = { rate_limited: { retry_after: "60" } };
    await world.mock.script(world.model, { then: status === 429 ? limited : { status } });
    // The library does not try again: agix did.
    assert.equal(await refused(world, status), 1);
  });
}

for (const [status, who] of [
  [401, { agent: "guarded" }],
  [403, { key: "guarded-key" }],
  [404, {}],
]) {
  rows(`refused by agix ${status}`, async (world) => {
    const model = status === 404 ? "a-model-of-nobody" : world.model;
    assert.equal(await refused({ ...world, model }, status, who), 0);
  });
}

for (const fault of ["reset", "end", "error_event", "garbage"]) {
  row(`broken stream ${fault}`, async ({ mock, model }) => {
    await mock.script(model, { steps: [{ fault: { after_events: 6, fault } }] });
    const thrown = await caller.say(model, true).then(() => assert.fail("no error"), (e) => e);
    assert(caller.isBroken(thrown), `${thrown.constructor.name}: ${thrown}`);
  });
}

row("cancel", async ({ mock, model }) => {
  await mock.script(model, { reply: { text: "word ".repeat(200), piece_ms: 100 } });
  const leave = await caller.begin(model);
  assert.equal((await mock.calls())[0].outcome, "open");
  leave();
  const [left] = await until("the provider notices", 2, async () => {
    const calls = await mock.calls();
    return calls[0].outcome === "caller_left" && calls;
  });
  assert(left.billed.output < 50);
});

after(() => {
  const names = Object.keys(PROVIDERS);
  const line = (head, cells) =>
    console.log(head.padEnd(54) + cells.map((cell) => cell.padStart(11)).join(""));
  line(caller.NAME, names);
  for (const [name, found] of table) {
    line(`  ${name}`, names.map((provider) => found[provider] ?? "-"));
  }
});
