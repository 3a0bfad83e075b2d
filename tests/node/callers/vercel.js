// Vercel's AI SDK: what its models have in common, whichever provider package is below.

const { APICallError, Output, generateText, isStepCount, jsonSchema, streamText, tool } = require("ai");
const { z } = require("zod");
const { ADDRESS, PIXEL, QUESTION, SYSTEM, TOOLS } = require("../world.js");

const FINISHES = { stop: "stop", "tool-calls": "tools", length: "length" };
const OFFERED = Object.fromEntries(
  Object.entries(TOOLS).map(([name, [description, schema]]) => [
    name,
    tool({ description, inputSchema: jsonSchema(schema) }),
  ]),
);
const MESSAGES = [{ role: "user", content: QUESTION }];

// The library has one class for every error of an API.
const ERRORS = Object.fromEntries(
  [400, 401, 403, 404, 429, 503].map((status) => [status, APICallError]),
);

// It tries again whatever `x-should-retry` says, so that is switched off here.
const ONCE = { maxRetries: 0 };

// The functions of a caller, over models made by `build`, each asked with these options.
module.exports = (name, build, providerOptions = {}) => {
  const every = { ...ONCE, providerOptions };

  async function ask(stream, model, more = {}, { most = 1000, ...who } = {}) {
    const request = {
      ...every,
      model: build(model, who),
      instructions: SYSTEM,
      messages: MESSAGES,
      maxOutputTokens: most,
      ...more,
    };
    let answer;
    if (stream) {
      let failure;
      answer = streamText({ ...request, onError: ({ error }) => (failure ??= error) });
      await answer.consumeStream();
      if (failure) {
        throw failure;
      }
    } else {
      answer = await generateText(request);
    }
    const usage = await answer.totalUsage;
    const response = await answer.response;
    return {
      text: await answer.text,
      finish: FINISHES[await answer.finishReason],
      model: response.modelId,
      calls: (await answer.toolCalls).map((call) => [call.toolName, call.input]),
      tokens: [usage.inputTokens, usage.inputTokenDetails.cacheReadTokens, usage.outputTokens],
      turn: { messages: response.messages, calls: await answer.toolCalls },
    };
  }

  return {
    NAME: name,
    ERRORS,
    say: (model, stream, more) => ask(stream, model, {}, more),
    callTools: (model, stream) => ask(stream, model, { tools: OFFERED }),
    tellResults: (model, stream, { turn }, results) => {
      const content = turn.calls.map((call, place) => ({
        type: "tool-result",
        toolCallId: call.toolCallId,
        toolName: call.toolName,
        output: { type: "text", value: results[place] },
      }));
      const messages = [...MESSAGES, ...turn.messages, { role: "tool", content }];
      return ask(stream, model, { tools: OFFERED, messages });
    },
    loop: async (model) => {
      const [description, schema] = TOOLS.weather;
      const answer = await generateText({
        ...every,
        model: build(model, {}),
        messages: MESSAGES,
        tools: {
          weather: tool({
            description,
            inputSchema: jsonSchema(schema),
            execute: ({ city }) => `sun over ${city}`,
          }),
        },
        stopWhen: isStepCount(5),
      });
      return answer.text;
    },
    look: (model, stream, { atAddress = false } = {}) => {
      const data = atAddress ? new URL(ADDRESS) : PIXEL;
      const content = [
        { type: "text", text: "What is this?" },
        { type: "file", data, mediaType: "image/png" },
      ];
      return ask(stream, model, { messages: [{ role: "user", content }] });
    },
    shape: async (model) => {
      const answer = await generateText({
        ...every,
        model: build(model, {}),
        messages: MESSAGES,
        output: Output.object({ schema: z.object({ city: z.string() }) }),
      });
      return answer.output.city;
    },
    // A stream of which the first event has come, and how to leave it.
    begin: async (model) => {
      const leaving = new AbortController();
      const answer = streamText({
        ...every,
        model: build(model, {}),
        messages: MESSAGES,
        abortSignal: leaving.signal,
      });
      await answer.textStream[Symbol.asyncIterator]().next();
      return () => leaving.abort();
    },
    refusal: (error) => [error.statusCode, error.message, error.responseHeaders["x-request-id"]],
    isBroken: () => true,
  };
};
