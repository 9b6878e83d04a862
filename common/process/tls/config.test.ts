import { describe, expect, test } from "vitest";
import { readWire } from "./config.ts";

const here = { GRPC_ADDRESS: { host: "127.0.0.1", port: 1 } };
const beyond = { GRPC_ADDRESS: { host: "0.0.0.0", port: 5100 }, PEER: "clearing:5100" };

test("on this machine nothing needs to be said", () => {
  const ends = { ...here, A: "localhost:1", B: "[::1]:2", C: "dns:///127.8.9.10:3", D: "::1" };
  expect(readWire({}, { ...ends, D: { host: "::1", port: 1 } })).toEqual({
    tls: undefined,
    plaintext: [],
  });
});

test.each([
  "clearing:5100",
  "dns:///clearing:5100",
  "dns:clearing:5100",
  "10.0.0.1:1",
  "[2001:db8::1]:1",
  "[::]:1",
  "127.evil.example:1",
  "localhost.evil.example:1",
  "http://stripe-sim:5400/",
])("%s is beyond it, and plaintext there stops the start", (end) => {
  expect(() => readWire({}, { PEER: end })).toThrow(/^PEER is ".*": beyond this machine/);
  expect(readWire({ ALLOW_PLAINTEXT: "true" }, { PEER: end }).plaintext).toEqual(["PEER"]);
});

describe("beyond this machine", () => {
  test("the first end is named, and what to do", () => {
    expect(() => readWire({ ALLOW_PLAINTEXT: "false" }, beyond)).toThrow(
      'GRPC_ADDRESS is "0.0.0.0:5100": beyond this machine nothing goes in the clear: give certificates by TLS_FOLDER, or say ALLOW_PLAINTEXT=true',
    );
  });

  test("what is allowed is all told", () => {
    const { tls, plaintext } = readWire(
      { ALLOW_PLAINTEXT: "true" },
      { ...beyond, HERE: "[::1]:1" },
    );
    expect(tls).toBeUndefined();
    expect(plaintext).toEqual(["GRPC_ADDRESS", "PEER"]);
  });

  test("certificates are all that is needed", () => {
    expect(readWire({ TLS_FOLDER: "/tls" }, beyond)).toEqual({
      tls: { folder: "/tls", trustDomain: "sovr-mesh" },
      plaintext: [],
    });
    const env = { TLS_FOLDER: "/tls", TLS_TRUST_DOMAIN: "staging.example" };
    expect(readWire(env, beyond).tls?.trustDomain).toBe("staging.example");
  });
});

test.each([
  [{ ALLOW_PLAINTEXT: "yes" }, /^ALLOW_PLAINTEXT is "yes"/],
  [{ TLS_FOLDER: "/tls", TLS_TRUST_DOMAIN: "a/b" }, /^TLS_TRUST_DOMAIN is "a\/b"/],
  [{ TLS_TRUST_DOMAIN: "spiffe://a" }, /^TLS_TRUST_DOMAIN/],
])("%o is refused", (env, message) => {
  expect(() => readWire(env, here)).toThrow(message);
});
