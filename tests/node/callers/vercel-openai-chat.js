// Vercel's AI SDK over its provider for OpenAI, chat completions.

const { createOpenAI } = require("@ai-sdk/openai");
const vercel = require("./vercel.js");
const { PROXY, version } = require("../world.js");

const name = `ai ${version("ai")} (Node), @ai-sdk/openai ${version("@ai-sdk/openai")} chat`;

module.exports = vercel(name, (model, { key = "unused", agent }) => {
  const headers = agent ? { "X-Agent-Name": agent } : {};
  return createOpenAI({ baseURL: `${PROXY}/v1`, apiKey: key, headers }).chat(model);
});
