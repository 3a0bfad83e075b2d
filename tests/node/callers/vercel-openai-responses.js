// Vercel's AI SDK over its provider for OpenAI as it comes, which is responses.

const { createOpenAI } = require("@ai-sdk/openai");
const vercel = require("./vercel.js");
const { PROXY, version } = require("../world.js");

const name = `ai ${version("ai")} (Node), @ai-sdk/openai ${version("@ai-sdk/openai")}`;

function build(model, { key = "unused", agent }) {
  const headers = agent ? { "X-Agent-Name": agent } : {};
  return createOpenAI({ baseURL: `${PROXY}/v1`, apiKey: key, headers })(model);
}

// Without this it names what was said before by its id alone, and agix stores no responses.
module.exports = vercel(name, build, { openai: { store: false } });
