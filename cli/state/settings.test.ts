import { describe, expect, it } from "vitest";
import { ConfigError } from "#common/process/environment.ts";
import { Problem } from "../command/problem.ts";
import { readSettings, repositoryRoot } from "./settings.ts";

describe("readSettings", () => {
  it("has the ports of the design, and keeps its state in .mesh", () => {
    const settings = readSettings({});
    expect(settings.ports).toEqual({
      services: {
        ledger: { grpc: 5101, connect: 5201, metrics: 5301 },
        clearing: { grpc: 5102, connect: 5202, metrics: 5302 },
        attestor: { grpc: 5103, connect: 5203, metrics: 5303 },
        eventstream: { grpc: 5104, connect: 5204, metrics: 5304 },
        checkout: { grpc: 5105, connect: 5205, metrics: 5305 },
      },
      studio: { connect: 5206, metrics: 5306 },
      envoy: 8080,
      envoyAdmin: 9901,
      postgres: 5433,
      tigerbeetle: 3000,
      stripeSim: 5400,
      stripeSimMetrics: 5307,
      identity: 5500,
    });
    expect(settings.state).toBe(`${repositoryRoot}/.mesh`);
  });

  it("moves every port by its variable", () => {
    const settings = readSettings({ CLEARING_METRICS_PORT: "6302", ENVOY_PORT: "80" });
    expect(settings.ports.services.clearing).toEqual({ grpc: 5102, connect: 5202, metrics: 6302 });
    expect(settings.ports.envoy).toBe(80);
  });

  it.each([
    ["", 5400],
    ["STRIPE_SECRET_KEY", undefined],
    ["STRIPE_SECRET_KEY_FILE", undefined],
    ["SOVR_ENVIRONMENT", undefined],
    ["STRIPE_PUBLISHABLE_KEY", 5400],
  ])("simulates Stripe unless there is a key for it or it is production: %s", (name, port) => {
    expect(readSettings({ [name]: "production" }).ports.stripeSim).toBe(port);
    expect(readSettings({ [name]: "" }).ports.stripeSim).toBe(5400);
  });

  it.each([
    ["ENVOY_PORT", "0"],
    ["POSTGRES_PORT", "65536"],
    ["LEDGER_GRPC_PORT", "5101.0"],
    ["TIGERBEETLE_CLUSTER_ID", "340282366920938463463374607431768211456"],
  ])("refuses %s=%s by name and value", (name, value) => {
    expect(() => readSettings({ [name]: value })).toThrow(ConfigError);
    expect(() => readSettings({ [name]: value })).toThrow(`${name} is "${value}"`);
  });

  it("refuses one port for two", () => {
    expect(() => readSettings({ ENVOY_PORT: "5433" })).toThrow(
      new Problem("ENVOY_PORT and POSTGRES_PORT are both 5433: give each its own port"),
    );
  });

  it("allows browsers of this machine and of no other host", () => {
    const origins = new RegExp(readSettings({}).studioOrigins);
    expect(
      ["http://localhost:5206", "http://127.0.0.1", "http://localhost:8080"].every((o) =>
        origins.test(o),
      ),
    ).toBe(true);
    for (const other of ["http://localhost.example", "https://example.com", "http://127x0.0.1"]) {
      expect(origins.test(other)).toBe(false);
    }
  });
});
