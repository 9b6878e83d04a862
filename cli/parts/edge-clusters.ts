import { contractsByName } from "#common/contracts.ts";
import type { ListenerName } from "#common/process/tls/parts.ts";
import { type ServiceName, serviceNames } from "#common/service-names.ts";
import { edgeLimits } from "./edge-limits.ts";
import { type Given, plainHealthCheck, upstreamTls } from "./edge-tls.ts";

/** The values of a template by their names. Throws for one that is missing. */
export type LookUp = (name: string) => string;

/** The port of a service that a cluster leads to. */
type Port = "GRPC" | "CONNECT";

/** What a cluster leads to. Each has connections and limits of its own, so that none can take another's. */
interface Upstream {
  readonly name: string;
  readonly owner: Exclude<ListenerName, "stripe-sim">;
  readonly port: Port;
  readonly http: 1 | 2;
}

const upgrades = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** Envoy's clusters, as JSON in one line: of every service its calls, its streams, and what anybody may ask for, apart. */
export function edgeClusters(lookUp: LookUp, given: Given): string {
  const studio: Upstream = { name: "studio", owner: "studio", port: "CONNECT", http: 1 };
  const upstreams = [...serviceNames.flatMap(upstreamsOf), studio];
  return JSON.stringify([
    ...upstreams.map((upstream) => serviceCluster(upstream, lookUp, given)),
    ...(given["STRIPE_SIM_HOST"] ? [stripeSimCluster(lookUp, given)] : []),
  ]);
}

function upstreamsOf(service: ServiceName): Upstream[] {
  const hasStreams = contractsByName[service].methods.some(
    ({ methodKind }) => methodKind === "server_streaming",
  );
  const upstream = (name: string, port: Port): Upstream => ({
    name,
    owner: service,
    port,
    http: 2,
  });
  return [
    upstream(`${service}_grpc`, "GRPC"),
    upstream(`${service}_connect`, "CONNECT"),
    ...(hasStreams
      ? [
          upstream(`${service}_grpc_streams`, "GRPC"),
          upstream(`${service}_connect_streams`, "CONNECT"),
        ]
      : []),
    // One service answers for the mesh what needs no service of its own.
    ...(service === "ledger" ? [upstream("health", "GRPC"), upstream("reflection", "GRPC")] : []),
    ...(service === "checkout" ? [upstream("checkout_webhook", "CONNECT")] : []),
  ];
}

function serviceCluster(
  { name, owner, port, http }: Upstream,
  lookUp: LookUp,
  given: Given,
): object {
  const isGrpc = port === "GRPC";
  const prefix = owner.toUpperCase();
  return {
    ...cluster(name, http),
    ...upstreamTls(given, owner, http),
    health_checks: [
      isGrpc
        ? { ...healthCheck, grpc_health_check: { service_name: "readiness" } }
        : { ...healthCheck, ...plainHealthCheck(given), http_health_check: { path: "/readyz" } },
    ],
    ...endpoint(name, lookUp(`${prefix}_HOST`), lookUp(`${prefix}_${port}_PORT`), {
      // The Connect port speaks no grpc.health; the plain health of the same process does.
      ...(isGrpc
        ? {}
        : { health_check_config: { port_value: Number(lookUp(`${prefix}_METRICS_PORT`)) } }),
    }),
  };
}

function stripeSimCluster(lookUp: LookUp, given: Given): object {
  const name = "stripe_sim";
  return {
    ...cluster(name, 1),
    ...upstreamTls(given, "stripe-sim", 1),
    health_checks: [{ ...healthCheck, http_health_check: { path: "/healthz" } }],
    ...endpoint(name, lookUp("STRIPE_SIM_HOST"), lookUp("STRIPE_SIM_PORT")),
  };
}

const healthCheck = {
  timeout: "1s",
  interval: "2s",
  no_traffic_interval: "2s",
  unhealthy_threshold: 2,
  healthy_threshold: 1,
};

function endpoint(name: string, address: string, port: string, more: object = {}): object {
  const socketAddress = { address, port_value: Number(port) };
  return {
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: [{ endpoint: { address: { socket_address: socketAddress }, ...more } }],
        },
      ],
    },
  };
}

function cluster(name: string, http: 1 | 2): object {
  const { callsAtOnce, bufferBytes, retriesPercent } = edgeLimits;
  return {
    name,
    type: "STRICT_DNS",
    connect_timeout: "1s",
    per_connection_buffer_limit_bytes: bufferBytes,
    circuit_breakers: {
      thresholds: [
        {
          max_connections: callsAtOnce,
          max_pending_requests: callsAtOnce,
          max_requests: callsAtOnce,
          retry_budget: { budget_percent: { value: retriesPercent }, min_retry_concurrency: 3 },
        },
      ],
    },
    /*
     * Only connections that fail count against a replica. Statuses do not: whoever asks with a deadline of a millisecond
     * gets 504 as often as he likes, and would take one replica after the other out of service. Half stay in any case.
     */
    outlier_detection: {
      split_external_local_origin_errors: true,
      consecutive_local_origin_failure: 5,
      enforcing_consecutive_local_origin_failure: 100,
      enforcing_local_origin_success_rate: 0,
      enforcing_consecutive_5xx: 0,
      enforcing_consecutive_gateway_failure: 0,
      enforcing_success_rate: 0,
      interval: "5s",
      base_ejection_time: "10s",
      max_ejection_time: "60s",
      max_ejection_percent: 50,
    },
    typed_extension_protocol_options: { [upgrades]: protocolOptions(http) },
  };
}

function protocolOptions(http: 1 | 2): object {
  const type = { "@type": `type.googleapis.com/${upgrades}` };
  if (http === 1) {
    return {
      ...type,
      // Node closes a connection that has been idle for 75 s; a call that comes at that moment would meet the end.
      common_http_protocol_options: { idle_timeout: "60s" },
      explicit_http_config: { http_protocol_options: {} },
    };
  }
  return {
    ...type,
    explicit_http_config: {
      http2_protocol_options: {
        initial_stream_window_size: streamWindowBytes,
        /*
         * As much as all streams of a connection may hold back together. A client that does not read leaves the window
         * of its stream unread here, and were the connection's smaller, sixteen such clients would stop everybody.
         */
        initial_connection_window_size: streamWindowBytes * streamsOfUpstream,
        connection_keepalive: { interval: "30s", timeout: "10s" },
      },
    },
  };
}

const streamWindowBytes = 65_536;
/** What services allow on one connection; Envoy opens another when this many share it. */
const streamsOfUpstream = 1_000;
