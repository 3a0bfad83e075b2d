// OpenAI's library for JavaScript, responses.

const { zodTextFormat } = require("openai/helpers/zod");
const { z } = require("zod");
const chat = require("./openai-chat.js");
const { ADDRESS, PIXEL, QUESTION, SYSTEM, TOOLS, version } = require("../world.js");

exports.NAME = `openai ${version("openai")} (Node), responses`;
exports.ERRORS = chat.ERRORS;
const OFFERED = Object.entries(TOOLS).map(([name, [description, parameters]]) => ({
  type: "function",
  name,
  description,
  parameters,
  strict: false,
}));
const USER = { role: "user", content: QUESTION };

function said(response) {
  if (!["completed", "incomplete"].includes(response.status)) {
    throw new Error(`the response says that it failed: ${JSON.stringify(response.error)}`);
  }
  const calls = response.output.filter((item) => item.type === "function_call");
  const cut = response.incomplete_details?.reason === "max_output_tokens";
  const { usage } = response;
  return {
    text: response.output_text,
    finish: calls.length > 0 ? "tools" : cut ? "length" : "stop",
    model: response.model,
    calls: calls.map((call) => [call.name, JSON.parse(call.arguments)]),
    tokens: [usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens],
    turn: response.output,
  };
}

async function ask(stream, more, { most = 1000, ...who } = {}) {
  const request = { instructions: SYSTEM, input: [USER], max_output_tokens: most, ...more };
  const asking = chat.client(who).responses;
  return said(
    stream ? await asking.stream(request).finalResponse() : await asking.create(request),
  );
}

exports.say = (model, stream, more) => ask(stream, { model }, more);

exports.callTools = (model, stream) => ask(stream, { model, tools: OFFERED });

exports.tellResults = (model, stream, { turn }, results) => {
  const calls = turn.filter((item) => item.type === "function_call");
  const outcomes = calls.map((call, place) => ({
    type: "function_call_output",
    call_id: call.call_id,
    output: results[place],
  }));
  const kept = turn.map(({ parsed_arguments, ...item }) => item);
  return ask(stream, { model, tools: OFFERED, input: [USER, ...kept, ...outcomes] });
};

exports.look = (model, stream, { atAddress = false } = {}) => {
  const image_url = atAddress ? ADDRESS : `data:image/png;base64,${PIXEL}`;
  const content = [
    { type: "input_text", text: "What is this?" },
    { type: "input_image", image_url, detail: "auto" },
  ];
  return ask(stream, { model, input: [{ role: "user", content }] });
};

exports.shape = async (model) => {
  const answer = await chat.client().responses.parse({
    model,
    input: QUESTION,
    text: { format: zodTextFormat(z.object({ city: z.string() }), "city") },
  });
  return answer.output_parsed.city;
};

// A stream of which the first event has come, and how to leave it.
exports.begin = async (model) => {
  const stream = await chat.client().responses.create({ model, input: QUESTION, stream: true });
  await stream[Symbol.asyncIterator]().next();
  return () => stream.controller.abort();
};

exports.refusal = chat.refusal;
exports.isBroken = () => true;
