import { describe, expect, test } from "vitest";
import { identityOf, urisOf } from "./identity.ts";
import { callersOf, partNames } from "./parts.ts";

test("a part is named by its mesh and its name", () => {
  expect(identityOf("sovr-mesh", "clearing")).toBe("spiffe://sovr-mesh/clearing");
});

describe("the URIs of a certificate", () => {
  test.each([
    ["URI:spiffe://sovr-mesh/envoy", ["spiffe://sovr-mesh/envoy"]],
    ["DNS:localhost, URI:spiffe://a/b, IP Address:127.0.0.1", ["spiffe://a/b"]],
    ["URI:spiffe://a/b, URI:spiffe://a/c", ["spiffe://a/b", "spiffe://a/c"]],
    ["DNS:localhost", []],
    ["", []],
    // What Node makes of names that have commas in them.
    ['DNS:"a\\u002c URI:spiffe://sovr-mesh/envoy\\u002c DNS:b"', []],
    ['DNS:"a, URI:spiffe://sovr-mesh/envoy, DNS:b", URI:spiffe://x/y', ["spiffe://x/y"]],
    ['URI:"spiffe://a, b"', ["spiffe://a, b"]],
    ['DNS:"a\\", URI:spiffe://sovr-mesh/envoy, DNS:\\"b"', []],
    // What cannot be read names nobody.
    ['DNS:"a, URI:spiffe://sovr-mesh/envoy', []],
    ['DNS:a"b, URI:spiffe://sovr-mesh/envoy', []],
    ["nonsense, URI:spiffe://sovr-mesh/envoy", []],
  ])("%s", (subjectAltName, uris) => {
    expect(urisOf({ subjectAltName })).toEqual(uris);
  });

  test("none without alternative names", () => {
    expect(urisOf({ subjectAltName: undefined })).toEqual([]);
  });
});

test("who may call whom: the edge everybody, Checkout what it sells by, the faucet of a development mesh", () => {
  const table = (environment: string) =>
    Object.fromEntries(
      partNames.flatMap((name) => (name === "envoy" ? [] : [[name, callersOf(name, environment)]])),
    );
  const production = {
    ledger: ["envoy"],
    clearing: ["envoy", "checkout"],
    attestor: ["envoy", "checkout"],
    eventstream: ["envoy"],
    checkout: ["envoy"],
    studio: ["envoy"],
    "stripe-sim": ["envoy", "checkout"],
  };
  expect(table("production")).toEqual(production);
  expect(table("development")).toEqual({
    ...production,
    clearing: ["envoy", "checkout", "studio"],
    attestor: ["envoy", "checkout", "studio"],
  });
});
