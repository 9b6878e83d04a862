import { readFileSync } from "node:fs";
import { join } from "node:path";
import { trustDomainDefault } from "#common/process/tls/config.ts";
import { clientAddressHeader } from "#common/rpc/limits/client-address.ts";
import { serviceNames } from "#common/service-names.ts";
import { keyFiles } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";
import { tlsFolder } from "../tls/tls-files.ts";
import { edgeClusters } from "./edge-clusters.ts";
import { edgeLimits, edgeSeconds } from "./edge-limits.ts";
import { edgeReplies } from "./edge-replies.ts";
import { edgeAnonymousFilters, edgeRpcRoutes, edgeWebhookFilters } from "./edge-routes.ts";
import { edgeListenerTls, type Given } from "./edge-tls.ts";

const placeholder = /(^ +)?\$\{([A-Z][A-Z0-9_]*)\}/gm;
const optional = /^ *#if ([A-Z][A-Z0-9_]*)\n([\s\S]*?)^ *#end \1\n/gm;

/** What the template has wherever the edge runs. */
function edgeValues(given: Given): Record<string, () => string> {
  const { headersKib, headersCount, connections, streamsOfConnection } = edgeLimits;
  const constants = {
    EDGE_HEADERS_KIB: headersKib,
    EDGE_HEADERS_COUNT: headersCount,
    EDGE_CONNECTIONS: connections,
    EDGE_STREAMS_OF_CONNECTION: streamsOfConnection,
    EDGE_BUFFER_BYTES: edgeLimits.bufferBytes,
    EDGE_HEAP_BYTES: edgeLimits.heapBytes,
    EDGE_WEBHOOK_BYTES: edgeLimits.webhookBytes,
    EDGE_SECONDS_HEADERS: edgeSeconds.headers,
    EDGE_SECONDS_REQUEST: edgeSeconds.request,
    EDGE_SECONDS_STREAM_IDLE: edgeSeconds.streamIdle,
    EDGE_SECONDS_CONNECTION_IDLE: edgeSeconds.connectionIdle,
    EDGE_SECONDS_WEBHOOK: edgeSeconds.webhook,
    EDGE_CLIENT_HEADER: clientAddressHeader,
  };
  return {
    ...Object.fromEntries(
      Object.entries(constants).map(([name, value]) => [name, () => `${value}`]),
    ),
    EDGE_TRUSTED_HOPS: () => given["EDGE_TRUSTED_HOPS"] || "0",
    EDGE_LOG_SUCCESS_PERCENT: () => given["EDGE_LOG_SUCCESS_PERCENT"] || "1",
    EDGE_REPLIES: edgeReplies,
    EDGE_RPC_ROUTES: edgeRpcRoutes,
    EDGE_ANONYMOUS_FILTERS: edgeAnonymousFilters,
    EDGE_WEBHOOK_FILTERS: edgeWebhookFilters,
    EDGE_LISTENER_TLS: () => edgeListenerTls(given),
    EDGE_CLUSTERS: () => edgeClusters((name) => lookUp(given, name), given),
  };
}

function lookUp(values: Given, name: string): string {
  const value = values[name];
  if (value === undefined)
    throw new Error(`envoy/envoy.yaml names \${${name}}, which has no value`);
  return value;
}

/**
 * Fills the template: `${NAME}` becomes the value of NAME, given or the edge's own, and what stands between `#if NAME`
 * and `#end NAME` is left out if NAME has none. Throws Error for any other name without a value.
 */
export function renderTemplate(template: string, given: Given): string {
  const own = edgeValues(given);
  const chosen = template.replace(optional, (_, name: string, text: string) =>
    given[name] ? text : "",
  );
  return chosen.replace(placeholder, (_, indent: string | undefined, name: string) => {
    const value = own[name]?.() ?? lookUp(given, name);
    // What has lines of its own stands alone on its line, and all of them as far in.
    return indent === undefined ? value : indent + value.replaceAll("\n", `\n${indent}`);
  });
}

/** The Envoy configuration of a mesh on this machine. */
export function renderEnvoyConfig(settings: Settings): string {
  const template = readFileSync(join(settings.root, "envoy/envoy.yaml"), "utf8");
  return renderTemplate(template, envoyValues(settings));
}

/** What a mesh on this machine fills the template with. */
export function envoyValues(settings: Settings): Record<string, string> {
  const { ports, host } = settings;
  const values: Record<string, string> = {
    ENVOY_HOST: host,
    ENVOY_PORT: String(ports.envoy),
    ENVOY_ADMIN_PORT: String(ports.envoyAdmin),
    JWKS_FILE: keyFiles(settings).jwks,
    JWT_ISSUER: settings.jwt.issuer,
    JWT_AUDIENCE: settings.jwt.audience,
    STUDIO_ORIGINS: settings.studioOrigins,
    EDGE_TRUSTED_HOPS: String(settings.edgeTrustedHops),
    EDGE_LOG_SUCCESS_PERCENT: String(settings.edgeLogSuccessPercent),
    ...edgeTlsValues(settings),
  };
  for (const name of serviceNames) {
    const prefix = name.toUpperCase();
    const service = ports.services[name];
    values[`${prefix}_HOST`] = host;
    values[`${prefix}_GRPC_PORT`] = String(service.grpc);
    values[`${prefix}_CONNECT_PORT`] = String(service.connect);
    values[`${prefix}_METRICS_PORT`] = String(service.metrics);
  }
  values["STUDIO_HOST"] = host;
  values["STUDIO_CONNECT_PORT"] = String(ports.studio.connect);
  values["STUDIO_METRICS_PORT"] = String(ports.studio.metrics);
  if (ports.stripeSim !== undefined) {
    values["STRIPE_SIM_HOST"] = host;
    values["STRIPE_SIM_PORT"] = String(ports.stripeSim);
  }
  return values;
}

/** On a developer's machine Envoy shows the same certificate inside and outside. */
function edgeTlsValues(settings: Settings): Record<string, string> {
  if (!settings.tls) return {};
  const folder = tlsFolder(settings, "envoy");
  return {
    TLS_FOLDER: folder,
    TLS_TRUST_DOMAIN: trustDomainDefault,
    EDGE_TLS_FOLDER: folder,
    EDGE_SECRETS_FOLDER: join(settings.state, "tls"),
  };
}
