import type { DescMethod } from "@bufbuild/protobuf";
import { contractsByName } from "#common/contracts.ts";
import { type ServiceName, serviceNames } from "#common/service-names.ts";
import { edgeLimits, edgeSeconds } from "./edge-limits.ts";

const localRateLimit = "envoy.filters.http.local_ratelimit";

/** How often somebody may come. */
interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** What Envoy counts by. An entry without a value stands for each value that comes, with a bucket of its own. */
interface Counted {
  readonly actions: readonly object[];
  readonly entries: readonly { readonly key: string; readonly value?: string }[];
  readonly rate: Rate;
}

const byAddress = (rate: Rate): Counted => ({
  actions: [{ remote_address: {} }],
  entries: [{ key: "remote_address" }],
  rate,
});

/** A claim of a token that was verified. */
const claim = (name: string, more: object) => ({
  metadata: {
    descriptor_key: name,
    metadata_key: {
      key: "envoy.filters.http.jwt_authn",
      path: [{ key: "token" }, { key: name }],
    },
    ...more,
  },
});

/** Calls whose token names no wallet are not counted. */
const byWallet: Counted = {
  actions: [claim("wallet", { skip_if_absent: true })],
  entries: [{ key: "wallet" }],
  rate: edgeLimits.callsOfWallet,
};

/** The subject of a token that is none: no issuer gives it. */
const nobody = "(nobody)";

/** A token that Envoy does not find good is as good as none: a service would have to check each of them. */
const byAddressOfBadTokens: Counted = {
  actions: [claim("sub", { default_value: nobody }), { remote_address: {} }],
  entries: [{ key: "sub", value: nobody }, { key: "remote_address" }],
  rate: edgeLimits.anonymousOfAddress,
};

/** The filter's configuration for a route: a bucket for each value, and one for all of them where that is given. */
function limitedBy(
  statPrefix: string,
  counted: readonly Counted[],
  inAll: object = noBound,
): object {
  const always = { default_value: { numerator: 100, denominator: "HUNDRED" } };
  return {
    [localRateLimit]: {
      "@type":
        "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
      stat_prefix: statPrefix,
      token_bucket: inAll,
      always_consume_default_token_bucket: inAll !== noBound,
      filter_enabled: always,
      filter_enforced: always,
      max_dynamic_descriptors: edgeLimits.remembered,
      rate_limits: counted.map(({ actions }) => ({ actions })),
      descriptors: counted.map(({ entries, rate }) => ({ entries, token_bucket: bucket(rate) })),
    },
  };
}

function bucket({ perSecond, burst }: Rate): object {
  return { max_tokens: burst, tokens_per_fill: perSecond / 10, fill_interval: "0.1s" };
}

const noBound = { max_tokens: 4_294_967_295, tokens_per_fill: 4_294_967_295, fill_interval: "1s" };

/** The filters of paths that anybody may ask for, as JSON. */
export function edgeAnonymousFilters(): string {
  return JSON.stringify(limitedBy("anonymous", [byAddress(edgeLimits.anonymousOfAddress)]));
}

/** The filters of Stripe's door, as JSON: how large, how often all together, and of that each address. */
export function edgeWebhookFilters(): string {
  const { webhookBytes, webhooksPerTenth, webhooksOfAddress } = edgeLimits;
  const inAll = {
    max_tokens: 5_000,
    tokens_per_fill: webhooksPerTenth,
    fill_interval: "0.1s",
  };
  return JSON.stringify({
    ...limitedBy("webhook", [byAddress(webhooksOfAddress)], inAll),
    "envoy.filters.http.buffer": {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
      buffer: { max_request_bytes: webhookBytes },
    },
  });
}

/**
 * The routes of all RPCs, one JSON a line in YAML's list: streams first, by path, then what is left of a service. A match
 * on gRPC alone would miss gRPC-Web and Connect, so each has both.
 */
export function edgeRpcRoutes(): string {
  return [...serviceNames.flatMap(streamRoutes), ...operatorRoutes(), ...unaryRoutes()]
    .map((route) => `- ${JSON.stringify(route)}`)
    .join("\n");
}

function streamRoutes(name: ServiceName): object[] {
  const { methods } = contractsByName[name];
  return methods
    .filter(({ methodKind }) => methodKind === "server_streaming")
    .flatMap((method) => both({ path: pathOf(method) }, `${name}_%_streams`, edgeSeconds.stream));
}

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** Who may ask is known by the service alone; it is asked by gRPC alone. */
function operatorRoutes(): object[] {
  const anonymous = limitedBy("anonymous", [byAddress(edgeLimits.anonymousOfAddress)]);
  const route = (match: object, cluster: string, seconds: number) => ({
    match: { ...match, grpc: {} },
    route: { cluster, timeout: `${seconds}s` },
    typed_per_filter_config: anonymous,
  });
  return [
    route({ path: "/grpc.health.v1.Health/Watch" }, "health", edgeSeconds.stream),
    route({ prefix: "/grpc.health.v1.Health/" }, "health", edgeSeconds.unary),
    ...["v1", "v1alpha"].map((version) =>
      route(
        { prefix: `/grpc.reflection.${version}.ServerReflection/` },
        "reflection",
        edgeSeconds.stream,
      ),
    ),
  ];
}

function unaryRoutes(): object[] {
  return serviceNames.flatMap((name) =>
    both({ prefix: `/${contractsByName[name].typeName}/` }, `${name}_%`, edgeSeconds.unary),
  );
}

/** Of gRPC and of all else; `%` in the cluster's name is which. */
function both(match: object, clusters: string, seconds: number): object[] {
  const route = (isGrpc: boolean, more: object) => ({
    match: { ...match, ...(isGrpc ? { grpc: {} } : {}), ...more },
    route: {
      cluster: clusters.replace("%", isGrpc ? "grpc" : "connect"),
      timeout: `${seconds}s`,
    },
  });
  // Without credentials a call will be refused, and is counted by its address; with them by whom it is for.
  const isAnonymous = {
    headers: [{ name: "authorization", present_match: true, invert_match: true }],
  };
  const anonymous = limitedBy("anonymous", [byAddress(edgeLimits.anonymousOfAddress)]);
  const wallets = limitedBy("wallet", [byWallet, byAddressOfBadTokens]);
  return [true, false].flatMap((isGrpc) => [
    { ...route(isGrpc, isAnonymous), typed_per_filter_config: anonymous },
    { ...route(isGrpc, {}), typed_per_filter_config: wallets },
  ]);
}
