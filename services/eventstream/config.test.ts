import { expect, test } from "vitest";
import { eventStreamConfig } from "./config.ts";

const env = {
  JWT_JWKS_FILE: "keys.json",
  DATABASE_URL: "postgres://sovr:secret@127.0.0.1:5433/sovr",
  EMBEDDED_LEDGER_PATH: "ledger.sqlite",
};

test("reads what it needs and knows its own ports", () => {
  const config = eventStreamConfig({ ...env, SUBSCRIBERS_MAX: "5" });
  expect(config).toMatchObject({
    runtime: { name: "eventstream", grpc: { port: 5104 }, connect: { port: 5204 } },
    engine: { engine: { kind: "embedded", path: "ledger.sqlite" }, clusterId: 0n },
    subscribersMax: 5,
  });
  expect(eventStreamConfig(env).subscribersMax).toBe(10_000);
});

test("names what is missing or bad, and keeps the secret", () => {
  expect(() => eventStreamConfig({ ...env, DATABASE_URL: undefined })).toThrow(/DATABASE_URL/);
  const none = { ...env, SUBSCRIBERS_MAX: "0" };
  expect(() => eventStreamConfig(none)).toThrow(/SUBSCRIBERS_MAX is "0"/);
  const two = { ...env, TIGERBEETLE_ADDRESSES: "127.0.0.1:3000" };
  expect(() => eventStreamConfig(two)).toThrow(/EMBEDDED_LEDGER_PATH/);
});
