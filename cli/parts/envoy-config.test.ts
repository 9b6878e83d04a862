import { describe, expect, it } from "vitest";
import { unaryMsMax } from "#common/rpc/caller-timeout.ts";
import { readSettings } from "../state/settings.ts";
import { renderEnvoyConfig, renderTemplate } from "./envoy-config.ts";

describe("renderTemplate", () => {
  it("puts values in and leaves everything else alone", () => {
    const template = `a: \${A}\nb: '%REQ(\${A})% $x \${…} {A}'\n`;
    expect(renderTemplate(template, { A: "$&1" })).toBe(`a: $&1\nb: '%REQ($&1)% $x \${…} {A}'\n`);
  });

  it("refuses a name without a value", () => {
    expect(() => renderTemplate(`\${A} \${B}`, { A: "1" })).toThrow(
      `names \${B}, which has no value`,
    );
  });

  it("leaves out what is for a name that has no value", () => {
    const template = `a\n  #if X\n  b: \${X}\n  #end X\nc\n#if Y\nd\n#end Y\n`;
    expect(renderTemplate(template, { X: "1", Y: "" })).toBe("a\n  b: 1\nc\n");
    expect(renderTemplate(template, { Y: "2" })).toBe("a\nc\nd\n");
  });
});

describe("renderEnvoyConfig", () => {
  it("has every address of the mesh in it, and no name left", () => {
    const config = renderEnvoyConfig(
      readSettings({ ENVOY_PORT: "18080", LEDGER_GRPC_PORT: "15101" }),
    );
    expect(config).not.toMatch(/\$\{[A-Z]|^ *#(if|end) /m);
    for (const port of [18080, 9901, 15101, 5201, 5301, 5102, 5103, 5104, 5204, 5304, 5105, 5400]) {
      expect(config).toMatch(new RegExp(`port_value: ${port}\\b`));
    }
  });

  it("gives up later than any service, and leaves the deadline of a caller to it", () => {
    const config = renderEnvoyConfig(readSettings({}));
    // Each of these writes another grpc-timeout into the request, or answers it.
    expect(config).not.toMatch(/^[^#]*(max_stream_duration|grpc_timeout|max_grpc_timeout)/m);
    const rpc = /prefix: \/sovr\.[\s\S]*? timeout: (\d+)s/g;
    const timeoutsMs = [...config.matchAll(rpc)].map(([, seconds]) => Number(seconds) * 1_000);
    expect(timeoutsMs).toHaveLength(10);
    for (const timeoutMs of timeoutsMs) expect(timeoutMs).toBeGreaterThan(unaryMsMax + 10_000);
  });

  it("knows the simulator of Stripe only where one runs", () => {
    expect(renderEnvoyConfig(readSettings({}))).toMatch(/stripe-sim/);
    const own = renderEnvoyConfig(readSettings({ STRIPE_SECRET_KEY: "sk_test_own" }));
    // The comments at its head name it.
    expect(own.slice(own.indexOf("admin:"))).not.toMatch(/stripe.sim/i);
  });
});
