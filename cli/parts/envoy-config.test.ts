import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { contracts } from "#common/contracts.ts";
import { unaryMsMax } from "#common/rpc/caller-timeout.ts";
import { runtimeLimits } from "#common/rpc/limits/runtime-limits.ts";
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
      expect(config).toMatch(new RegExp(`port_value"?: ?${port}\\b`));
    }
  });

  it("gives up later than any service, and leaves the deadline of a caller to it", () => {
    const config = renderEnvoyConfig(readSettings({}));
    // Each of these writes another grpc-timeout into the request, or answers it.
    expect(config).not.toMatch(/^[^#]*(max_stream_duration|grpc_timeout|max_grpc_timeout)/m);
    const timeouts = usual()
      .routes.filter(({ match }) => /^\/sovr\..*\/$/.test(match.prefix ?? ""))
      .map(({ route }) => Number.parseInt(route?.timeout ?? "0", 10) * 1_000);
    // Of five services, in gRPC and in all else, with credentials and without.
    expect(timeouts).toHaveLength(20);
    for (const timeoutMs of timeouts) expect(timeoutMs).toBeGreaterThan(unaryMsMax + 10_000);
  });

  it("keeps calls, streams, health, reflection and the webhook apart", () => {
    const { routes, clusters } = usual();
    const streams = contracts
      .flatMap(({ methods }) => methods)
      .filter(({ methodKind }) => methodKind === "server_streaming")
      .map(({ parent, name }) => `/${parent.typeName}/${name}`);
    expect(streams.length).toBeGreaterThan(2);
    const to = (path: string, isGrpc: boolean) =>
      routes.find(
        ({ match }) =>
          (match.path === path || (match.prefix !== undefined && path.startsWith(match.prefix))) &&
          (match.grpc === undefined || isGrpc),
      )?.route?.cluster;
    for (const path of streams) {
      const service = path.split(".")[1];
      expect([to(path, true), to(path, false)]).toEqual([
        `${service}_grpc_streams`,
        `${service}_connect_streams`,
      ]);
    }
    expect(to("/sovr.ledger.v1.LedgerService/GetBalance", true)).toBe("ledger_grpc");
    expect(to("/sovr.ledger.v1.LedgerService/GetBalance", false)).toBe("ledger_connect");
    for (const method of ["Watch", "Check", "List"])
      expect(to(`/grpc.health.v1.Health/${method}`, true)).toBe("health");
    expect(to("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true)).toBe(
      "reflection",
    );
    expect(to("/webhooks/stripe", false)).toBe("checkout_webhook");
    const named = routes.flatMap(({ route }) => (route === undefined ? [] : [route.cluster]));
    expect(new Set(clusters.map(({ name }) => name))).toEqual(new Set(named));
  });

  it("allows more at once than all replicas of a service take, so that they refuse and say of what", () => {
    const { clusters } = usual();
    // What an autoscaler may make of one service.
    const replicasMax = 10;
    const taken = Math.max(runtimeLimits.calls, defaultSubscribersMax) * replicasMax;
    for (const { circuit_breakers } of clusters) {
      const [{ max_requests, max_connections, max_pending_requests } = breakers] =
        circuit_breakers.thresholds;
      expect(Math.min(max_requests, max_connections, max_pending_requests)).toBeGreaterThan(taken);
    }
  });

  it("is opened for as many proxies before it as it is told", () => {
    const hops = (text: string) => /xff_num_trusted_hops: (\d+)/.exec(text)?.[1];
    const template = readFileSync(join(readSettings({}).root, "envoy/envoy.yaml"), "utf8");
    const only = template.slice(template.indexOf("xff_num"), template.indexOf("# Every answer"));
    expect(hops(renderTemplate(only, {}))).toBe("0");
    expect(hops(renderTemplate(only, { EDGE_TRUSTED_HOPS: "2" }))).toBe("2");
    expect(hops(renderEnvoyConfig(readSettings({})))).toBe("0");
    expect(hops(renderEnvoyConfig(readSettings({ EDGE_TRUSTED_HOPS: "3" })))).toBe("3");
    expect(() => readSettings({ EDGE_TRUSTED_HOPS: "many" })).toThrow("EDGE_TRUSTED_HOPS");
  });

  it("logs one of a hundred calls that went well, or as many as it is told", () => {
    const percent = (given: Record<string, string>) =>
      /percent_sampled: \{ numerator: (\d+)/.exec(renderEnvoyConfig(readSettings(given)))?.[1];
    expect(percent({})).toBe("1");
    expect(percent({ EDGE_LOG_SUCCESS_PERCENT: "100" })).toBe("100");
    expect(() => readSettings({ EDGE_LOG_SUCCESS_PERCENT: "101" })).toThrow("EDGE_LOG_SUCCESS");
  });

  it("knows the simulator of Stripe only where one runs", () => {
    expect(renderEnvoyConfig(readSettings({}))).toMatch(/stripe-sim/);
    const own = renderEnvoyConfig(readSettings({ STRIPE_SECRET_KEY: "sk_test_own" }));
    // The comments at its head name it.
    expect(own.slice(own.indexOf("admin:"))).not.toMatch(/stripe.sim/i);
  });
});

/** The most streams of one EventStream, where its configuration says nothing else. */
const defaultSubscribersMax = 10_000;

interface Route {
  readonly match: { readonly path?: string; readonly prefix?: string; readonly grpc?: object };
  readonly route?: { readonly cluster: string; readonly timeout?: string };
}

interface Breaker {
  readonly max_requests: number;
  readonly max_connections: number;
  readonly max_pending_requests: number;
}

interface Cluster {
  readonly name: string;
  readonly circuit_breakers: { readonly thresholds: readonly Breaker[] };
}

const breakers: Breaker = { max_requests: 0, max_connections: 0, max_pending_requests: 0 };

interface Config {
  readonly static_resources: {
    readonly clusters: readonly Cluster[];
    readonly listeners: readonly {
      readonly filter_chains: readonly {
        readonly filters: readonly {
          readonly typed_config: {
            readonly route_config?: {
              readonly virtual_hosts: readonly { readonly routes: Route[] }[];
            };
          };
        }[];
      }[];
    }[];
  };
}

function readConfig(text: string) {
  const { static_resources } = parse(text, { merge: true, maxAliasCount: -1 }) as Config;
  const routes = static_resources.listeners
    .flatMap(({ filter_chains }) => filter_chains)
    .flatMap(({ filters }) => filters)
    .flatMap(({ typed_config }) => typed_config.route_config?.virtual_hosts ?? [])
    .flatMap((host) => host.routes);
  return { routes, clusters: static_resources.clusters };
}

let usualConfig: ReturnType<typeof readConfig> | undefined;

/** Of a mesh whose settings say nothing: it takes YAML a while to read, so all tests read it once. */
function usual(): ReturnType<typeof readConfig> {
  usualConfig ??= readConfig(renderEnvoyConfig(readSettings({})));
  return usualConfig;
}
