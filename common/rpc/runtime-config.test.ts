import { describe, expect, it } from "vitest";
import { runtimeConfig } from "./runtime-config.ts";

const keys = { JWT_JWKS_FILE: "/keys.json" };

describe("runtimeConfig", () => {
  it("has the design's ports and names as defaults", () => {
    expect(runtimeConfig("attestor", keys)).toMatchObject({
      name: "attestor",
      environment: "development",
      grpc: { host: "127.0.0.1", port: 5103 },
      connect: { host: "127.0.0.1", port: 5203 },
      metrics: { host: "127.0.0.1", port: 5303 },
      auth: { jwks: { kind: "file", path: "/keys.json" }, issuer: "sovr", audience: "sovr-mesh" },
      logLevel: "info",
      logFormat: "auto",
    });
  });

  it("lets the environment move everything", () => {
    const config = runtimeConfig("ledger", {
      JWT_JWKS_URL: "https://keys.example/jwks",
      JWT_ISSUER: "i",
      JWT_AUDIENCE: "a",
      GRPC_ADDRESS: "0.0.0.0:5100",
      ALLOW_PLAINTEXT: "true",
      DRAIN_DELAY_MS: "5000",
      DRAIN_GRACE_MS: "20000",
      LOG_LEVEL: "debug",
      LOG_FORMAT: "human",
      SOVR_ENVIRONMENT: "staging",
    });
    expect(config).toMatchObject({
      environment: "staging",
      grpc: { host: "0.0.0.0", port: 5100 },
      auth: {
        jwks: { kind: "url", url: new URL("https://keys.example/jwks") },
        issuer: "i",
        audience: "a",
      },
      drainDelayMs: 5_000,
      drainGraceMs: 20_000,
      logLevel: "debug",
      logFormat: "human",
    });
  });

  it("asks for exactly one source of keys", () => {
    expect(() => runtimeConfig("ledger", {})).toThrow("JWT_JWKS_FILE is missing");
    const both = { ...keys, JWT_JWKS_URL: "https://keys.example/" };
    expect(() => runtimeConfig("ledger", both)).toThrow("JWT_JWKS_FILE is set as well");
  });

  it("names a bad variable", () => {
    expect(() => runtimeConfig("ledger", { ...keys, GRPC_ADDRESS: "5101" })).toThrow(
      'GRPC_ADDRESS is "5101"',
    );
    expect(() => runtimeConfig("ledger", { ...keys, LOG_LEVEL: "loud" })).toThrow(
      'LOG_LEVEL is "loud"',
    );
  });
});
