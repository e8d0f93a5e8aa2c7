// Calls methods of Backstage's clients for the tests: a line of JSON in, a line of JSON out.
//
// In:  {"client": "@backstage/catalog-client", "method": "getEntities", "args": [{}]}
// Out: {"value": …} | {"absent": true} (undefined) | {"error": {"name", "message", "status", "body"}}
// Each answer has the requests that were made for it: {"sent": ["GET /entities?…"]}.
"use strict";

const readline = require("node:readline");

// The reader of event streams asks its page whether it is seen.
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
globalThis.window = globalThis;

const [base, token] = process.argv.slice(2);
const clients = new Map();
let sent = [];

const fetchApi = {
  fetch(url, options) {
    const method = (options && options.method) || "GET";
    sent.push(`${method} ${String(url).slice(`${base}/api/catalog`.length)}`);
    return fetch(url, authorized(options));
  },
};
// The catalogue's client takes a token with each call; the scaffolder's leaves that to its fetch.
function authorized(options = {}) {
  const headers = new Headers(options.headers);
  if (!headers.has("authorization")) headers.set("authorization", `Bearer ${token}`);
  return { ...options, headers };
}

const discoveryApi = { getBaseUrl: async (plugin) => `${base}/api/${plugin}` };

function classOf(name) {
  const { CatalogClient, ScaffolderClient } = require(name);
  return CatalogClient || ScaffolderClient;
}

function clientOf(name) {
  if (!clients.has(name)) {
    const identityApi = { getBackstageIdentity: async () => ({ userEntityRef: "user:default/me" }) };
    const Client = classOf(name);
    clients.set(name, new Client({ discoveryApi, fetchApi, identityApi }));
  }
  return clients.get(name);
}

function collected(observable) {
  const events = [];
  return new Promise((resolve, reject) =>
    observable.subscribe({
      next: (event) => events.push(event),
      error: reject,
      complete: () => resolve(events),
    }),
  );
}

async function call({ client, method, args, polling }) {
  const made = clientOf(client);
  if (polling !== undefined) made.useLongPollingLogs = polling;
  const result = made[method](...args, { token });
  if (result && typeof result.subscribe === "function") return await collected(result);
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
    return { value: Object.getOwnPropertyNames(classOf(asked.client).prototype) };
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
