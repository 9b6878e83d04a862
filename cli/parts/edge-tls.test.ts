import { describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { serviceNames } from "#common/service-names.ts";
import { readSettings } from "../state/settings.ts";
import { edgeSecretFiles, requirePrivateEdge, upstreamTls } from "./edge-tls.ts";
import { envoyValues, renderEnvoyConfig } from "./envoy-config.ts";

const tls = { ...readSettings({ MESH_STATE: "/state" }), tls: true };

interface Cluster {
  readonly name: string;
  readonly transport_socket?: {
    readonly typed_config: {
      readonly sni: string;
      readonly common_tls_context: {
        readonly alpn_protocols: readonly string[];
        readonly combined_validation_context: {
          readonly default_validation_context: {
            readonly match_typed_subject_alt_names: readonly {
              readonly san_type: string;
              readonly matcher: { readonly exact: string };
            }[];
          };
        };
      };
    };
  };
  readonly health_checks: readonly {
    readonly http_health_check?: object;
    readonly transport_socket_match_criteria?: object;
  }[];
}

interface Config {
  readonly static_resources: {
    readonly listeners: readonly { readonly filter_chains: readonly Record<string, unknown>[] }[];
    readonly clusters: readonly Cluster[];
  };
}

const render = (settings: typeof tls) =>
  (parse(renderEnvoyConfig(settings), { merge: true }) as Config).static_resources;

describe("with certificates", () => {
  it("lets every cluster speak with the one part that it leads to, and its plain health in the clear", () => {
    const { clusters } = render(tls);
    expect(clusters.length).toBeGreaterThan(15);
    for (const { name, transport_socket, health_checks } of clusters) {
      const peer = peerOf(name);
      const context = transport_socket?.typed_config.common_tls_context;
      const validation = context?.combined_validation_context.default_validation_context;
      expect([name, validation?.match_typed_subject_alt_names]).toEqual([
        name,
        [{ san_type: "URI", matcher: { exact: `spiffe://sovr-mesh/${peer}` } }],
      ]);
      const http = peer === "studio" || peer === "stripe-sim" ? "http/1.1" : "h2";
      expect([name, context?.alpn_protocols]).toEqual([name, [http]]);
      const isPlain = /_connect|webhook|studio/.test(name);
      for (const check of health_checks) {
        expect([name, check.transport_socket_match_criteria !== undefined]).toEqual([
          name,
          isPlain,
        ]);
      }
    }
  });

  it("shows everybody a certificate, by TLS 1.2 and 1.3, and lets them choose HTTP/2", () => {
    const [listener] = render(tls).listeners;
    expect(JSON.stringify(listener?.filter_chains[0]?.["transport_socket"])).toMatch(
      /TLSv1_2.*TLSv1_3.*"h2","http\/1\.1".*edge-certificate/,
    );
  });

  it("says in a file of its own where each certificate lies, so that a new one is seen", () => {
    const files = edgeSecretFiles(envoyValues(tls));
    expect([...files.keys()]).toEqual([
      "mesh-certificate.json",
      "mesh-authorities.json",
      "edge-certificate.json",
    ]);
    for (const text of files.values()) {
      expect(text).toMatch(/"watched_directory": \{\s*"path": "\/state\/tls\/envoy"/);
    }
  });

  it("believes the parts of the mesh that it is told", () => {
    const values = { TLS_FOLDER: "/tls", TLS_TRUST_DOMAIN: "staging" };
    expect(JSON.stringify(upstreamTls(values, "clearing", 2))).toContain(
      '"exact":"spiffe://staging/clearing"',
    );
  });
});

/** The part that a cluster leads to, by its name. */
function peerOf(cluster: string): string {
  if (cluster === "health" || cluster === "reflection") return "ledger";
  if (cluster === "stripe_sim") return "stripe-sim";
  return cluster.split("_")[0] ?? "";
}

test("without certificates everything is as it was", () => {
  const plain = readSettings({});
  expect(renderEnvoyConfig(plain)).not.toMatch(/transport_socket|spiffe/);
  expect(edgeSecretFiles(envoyValues(plain)).size).toBe(0);
});

describe("beyond this machine", () => {
  const hosts = Object.fromEntries(
    serviceNames.map((name) => [`${name.toUpperCase()}_HOST`, name]),
  );
  const inContainers = { ENVOY_HOST: "0.0.0.0", STUDIO_HOST: "studio", ...hosts };

  it("nothing goes in the clear, neither outside nor inside", () => {
    expect(() => requirePrivateEdge(inContainers)).toThrow(/^ENVOY_HOST is "0\.0\.0\.0"/);
    const outside = { ...inContainers, EDGE_TLS_FOLDER: "/tls" };
    expect(() => requirePrivateEdge(outside)).toThrow(/^LEDGER_HOST is "ledger"/);
    const inside = { ...inContainers, TLS_FOLDER: "/tls" };
    expect(() => requirePrivateEdge(inside)).toThrow(/^ENVOY_HOST/);
    expect(requirePrivateEdge({ ...outside, TLS_FOLDER: "/tls" })).toEqual([]);
  });

  it("unless that is allowed, and then it is told", () => {
    const allowed = { ...inContainers, ALLOW_PLAINTEXT: "true" };
    expect(requirePrivateEdge(allowed)).toEqual([
      "ENVOY_HOST",
      ...serviceNames.map((name) => `${name.toUpperCase()}_HOST`),
      "STUDIO_HOST",
    ]);
    expect(requirePrivateEdge({ ...allowed, TLS_FOLDER: "/tls" })).toEqual(["ENVOY_HOST"]);
  });

  it("and a mesh on this machine needs nothing", () => {
    expect(requirePrivateEdge(envoyValues(readSettings({})))).toEqual([]);
  });
});
