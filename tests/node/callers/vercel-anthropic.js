// Vercel's AI SDK over its provider for Anthropic.

const { createAnthropic } = require("@ai-sdk/anthropic");
const vercel = require("./vercel.js");
const { PROXY, version } = require("../world.js");

const name = `ai ${version("ai")} (Node), @ai-sdk/anthropic ${version("@ai-sdk/anthropic")}`;

module.exports = vercel(name, (model, { key = "unused", agent }) => {
  const headers = agent ? { "X-Agent-Name": agent } : {};
  return createAnthropic({ baseURL: `${PROXY}/v1`, apiKey: key, headers })(model);
});
