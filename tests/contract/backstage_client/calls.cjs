// Calls methods of Backstage's client for the tests: a line of JSON in, a line of JSON out.
//
// In:  {"client": "@backstage/catalog-client", "method": "getEntities", "args": [{}]}
// Out: {"value": …} | {"absent": true} (undefined) | {"error": {"name", "message", "status", "body"}}
// Each answer has the requests that were made for it: {"sent": ["GET /entities?…"]}.
"use strict";

const readline = require("node:readline");

const [base, token] = process.argv.slice(2);
const clients = new Map();
let sent = [];

const fetchApi = {
  fetch(url, options) {
    const method = (options && options.method) || "GET";
    sent.push(`${method} ${String(url).slice(`${base}/api/catalog`.length)}`);
    return fetch(url, options);
  },
};
const discoveryApi = { getBaseUrl: async (plugin) => `${base}/api/${plugin}` };

function clientOf(name) {
  if (!clients.has(name)) {
    const { CatalogClient } = require(name);
    clients.set(name, new CatalogClient({ discoveryApi, fetchApi }));
  }
  return clients.get(name);
}

async function call({ client, method, args }) {
  const made = clientOf(client);
  const result = made[method](...args, { token });
  if (result && typeof result[Symbol.asyncIterator] === "function") {
    const pages = [];
    for await (const page of result) pages.push(page);
    return pages;
  }
  return await result;
}

async function answer(line) {
  sent = [];
  const asked = JSON.parse(line);
  if (asked.method === "methods") {
    const { CatalogClient } = require(asked.client);
    return { value: Object.getOwnPropertyNames(CatalogClient.prototype) };
  }
  try {
    const value = await call(asked);
    return value === undefined ? { absent: true, sent } : { value, sent };
  } catch (error) {
    const { name, message, statusCode, body } = error;
    return { error: { name, message, status: statusCode, body }, sent };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
  }
})();
