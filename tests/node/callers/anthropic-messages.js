// Anthropic's library for JavaScript.

const { Anthropic, ...anthropic } = require("@anthropic-ai/sdk");
const { zodOutputFormat } = require("@anthropic-ai/sdk/helpers/zod");
const { z } = require("zod");
const { ADDRESS, PIXEL, PROXY, QUESTION, SYSTEM, TOOLS, version } = require("../world.js");

exports.NAME = `@anthropic-ai/sdk ${version("@anthropic-ai/sdk")} (Node)`;
exports.ERRORS = {
  400: anthropic.BadRequestError,
  401: anthropic.AuthenticationError,
  403: anthropic.PermissionDeniedError,
  404: anthropic.NotFoundError,
  429: anthropic.RateLimitError,
  503: anthropic.InternalServerError,
};
const FINISHES = { end_turn: "stop", tool_use: "tools", max_tokens: "length" };
const OFFERED = Object.entries(TOOLS).map(([name, [description, input_schema]]) => ({
  name,
  description,
  input_schema,
}));
const MESSAGES = [{ role: "user", content: QUESTION }];

function client({ key = "unused", agent } = {}) {
  const defaultHeaders = agent ? { "X-Agent-Name": agent } : {};
  return new Anthropic({ baseURL: PROXY, apiKey: key, defaultHeaders });
}

function said(message) {
  const of = (type) => message.content.filter((block) => block.type === type);
  const { usage } = message;
  const cached = usage.cache_read_input_tokens ?? 0;
  return {
    text: of("text").map((block) => block.text).join(""),
    finish: FINISHES[message.stop_reason],
    model: message.model,
    calls: of("tool_use").map((block) => [block.name, block.input]),
    tokens: [
      usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
      cached,
      usage.output_tokens,
    ],
    turn: message.content,
  };
}

async function ask(stream, more, { most = 1000, ...who } = {}) {
  const request = { max_tokens: most, system: SYSTEM, messages: MESSAGES, ...more };
  const asking = client(who).messages;
  return said(
    stream ? await asking.stream(request).finalMessage() : await asking.create(request),
  );
}

exports.say = (model, stream, more) => ask(stream, { model }, more);

exports.callTools = (model, stream) => ask(stream, { model, tools: OFFERED });

exports.tellResults = (model, stream, { turn }, results) => {
  const calls = turn.filter((block) => block.type === "tool_use");
  const outcomes = calls.map((call, place) => ({
    type: "tool_result",
    tool_use_id: call.id,
    content: results[place],
  }));
  const messages = [
    ...MESSAGES,
    { role: "assistant", content: turn },
    { role: "user", content: outcomes },
  ];
  return ask(stream, { model, messages, tools: OFFERED });
};

exports.loop = async (model) => {
  const [weather] = OFFERED;
  const run = ({ city }) => `sun over ${city}`;
  const final = await client().beta.messages.toolRunner({
    model,
    max_tokens: 1000,
    messages: MESSAGES,
    tools: [{ ...weather, type: "custom", run, parse: (input) => input }],
  });
  return final.content[0].text;
};

exports.look = (model, stream, { atAddress = false } = {}) => {
  const inline = { type: "base64", media_type: "image/png", data: PIXEL };
  const source = atAddress ? { type: "url", url: ADDRESS } : inline;
  const content = [
    { type: "image", source },
    { type: "text", text: "What is this?" },
  ];
  return ask(stream, { model, messages: [{ role: "user", content }] });
};

exports.shape = async (model) => {
  const answer = await client().messages.parse({
    model,
    max_tokens: 1000,
    messages: MESSAGES,
    output_config: { format: zodOutputFormat(z.object({ city: z.string() })) },
  });
  return answer.parsed_output.city;
};

// A stream of which the first event has come, and how to leave it.
exports.begin = async (model) => {
  const request = { model, max_tokens: 1000, messages: MESSAGES, stream: true };
  const stream = await client().messages.create(request);
  await stream[Symbol.asyncIterator]().next();
  return () => stream.controller.abort();
};

exports.refusal = (error) => [error.status, error.error.error.message, error.requestID];
exports.isBroken = (error) =>
  error instanceof anthropic.AnthropicError || error.message === "terminated";
