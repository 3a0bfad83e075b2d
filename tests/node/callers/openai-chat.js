// OpenAI's library for JavaScript, chat completions.

const { OpenAI, ...openai } = require("openai");
const { zodResponseFormat } = require("openai/helpers/zod");
const { z } = require("zod");
const { ADDRESS, PIXEL, PROXY, QUESTION, SYSTEM, TOOLS, version } = require("../world.js");

exports.NAME = `openai ${version("openai")} (Node), chat completions`;
exports.ERRORS = {
  400: openai.BadRequestError,
  401: openai.AuthenticationError,
  403: openai.PermissionDeniedError,
  404: openai.NotFoundError,
  429: openai.RateLimitError,
  503: openai.InternalServerError,
};
const FINISHES = { stop: "stop", tool_calls: "tools", length: "length" };
const OFFERED = Object.entries(TOOLS).map(([name, [description, parameters]]) => ({
  type: "function",
  function: { name, description, parameters },
}));
const MESSAGES = [
  { role: "system", content: SYSTEM },
  { role: "user", content: QUESTION },
];

function client({ key = "unused", agent } = {}) {
  const defaultHeaders = agent ? { "X-Agent-Name": agent } : {};
  return new OpenAI({ baseURL: `${PROXY}/v1`, apiKey: key, defaultHeaders });
}

exports.client = client;

function said(completion) {
  const [choice] = completion.choices;
  const { usage } = completion;
  const calls = choice.message.tool_calls ?? [];
  return {
    text: choice.message.content ?? "",
    finish: FINISHES[choice.finish_reason],
    model: completion.model,
    calls: calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
    tokens: [
      usage.prompt_tokens,
      usage.prompt_tokens_details.cached_tokens,
      usage.completion_tokens,
    ],
    turn: choice.message,
  };
}

async function ask(stream, request, who) {
  const asking = client(who).chat.completions;
  if (!stream) {
    return said(await asking.create(request));
  }
  const events = asking.stream({ ...request, stream_options: { include_usage: true } });
  return said(await events.finalChatCompletion());
}

exports.say = (model, stream, { most = 1000, ...who } = {}) =>
  ask(stream, { model, messages: MESSAGES, max_completion_tokens: most }, who);

exports.callTools = (model, stream) =>
  ask(stream, { model, messages: MESSAGES, tools: OFFERED });

exports.tellResults = (model, stream, { turn }, results) => {
  const outcomes = turn.tool_calls.map((call, place) => ({
    role: "tool",
    tool_call_id: call.id,
    content: results[place],
  }));
  return ask(stream, { model, messages: [...MESSAGES, turn, ...outcomes], tools: OFFERED });
};

exports.loop = (model) => {
  const [weather] = OFFERED;
  const run = ({ city }) => `sun over ${city}`;
  const tool = { ...weather, function: { ...weather.function, function: run, parse: JSON.parse } };
  return client()
    .chat.completions.runTools({ model, messages: MESSAGES, tools: [tool] })
    .finalContent();
};

exports.look = (model, stream, { atAddress = false } = {}) => {
  const url = atAddress ? ADDRESS : `data:image/png;base64,${PIXEL}`;
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url } },
  ];
  return ask(stream, { model, messages: [{ role: "user", content }] });
};

exports.shape = async (model) => {
  const answer = await client().chat.completions.parse({
    model,
    messages: MESSAGES,
    response_format: zodResponseFormat(z.object({ city: z.string() }), "city"),
  });
  return answer.choices[0].message.parsed.city;
};

// A stream of which the first event has come, and how to leave it.
exports.begin = async (model) => {
  const stream = await client().chat.completions.create({ model, messages: MESSAGES, stream: true });
  await stream[Symbol.asyncIterator]().next();
  return () => stream.controller.abort();
};

exports.refusal = (error) => [error.status, error.error.message, error.requestID];
exports.isBroken = (error) => error instanceof openai.APIError || error.message === "terminated";
