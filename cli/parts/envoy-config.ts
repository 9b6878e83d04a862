import { readFileSync } from "node:fs";
import { join } from "node:path";
import { serviceNames } from "#common/service-names.ts";
import { keyFiles } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";
import { edgeReplies } from "./edge-replies.ts";
import { edgeLimits } from "./edge-situations.ts";

const placeholder = /\$\{([A-Z][A-Z0-9_]*)\}/g;
const optional = /^ *#if ([A-Z][A-Z0-9_]*)\n([\s\S]*?)^ *#end \1\n/gm;

/** What the template has wherever the edge runs. */
function edgeValues(): Record<string, string> {
  return {
    EDGE_REPLIES: edgeReplies(),
    EDGE_HEADERS_KIB: String(edgeLimits.headersKib),
    EDGE_HEADERS_COUNT: String(edgeLimits.headersCount),
    EDGE_CALLS_AT_ONCE: String(edgeLimits.callsAtOnce),
    EDGE_WEBHOOK_BYTES: String(edgeLimits.webhookBytes),
    EDGE_WEBHOOKS_PER_TENTH: String(edgeLimits.webhooksPerTenth),
  };
}

/**
 * Fills the template: `${NAME}` becomes the value of NAME, given or the edge's own, and what stands between `#if NAME`
 * and `#end NAME` is left out if NAME has none. Throws Error for any other name without a value.
 */
export function renderTemplate(
  template: string,
  given: Readonly<Record<string, string | undefined>>,
): string {
  const values: Readonly<Record<string, string | undefined>> = { ...given, ...edgeValues() };
  const chosen = template.replace(optional, (_, name: string, text: string) =>
    values[name] ? text : "",
  );
  return chosen.replace(placeholder, (_, name: string) => {
    const value = values[name];
    if (value === undefined)
      throw new Error(`envoy/envoy.yaml names \${${name}}, which has no value`);
    return value;
  });
}

/** The Envoy configuration of a mesh on this machine. */
export function renderEnvoyConfig(settings: Settings): string {
  const template = readFileSync(join(settings.root, "envoy/envoy.yaml"), "utf8");
  return renderTemplate(template, envoyValues(settings));
}

function envoyValues(settings: Settings): Record<string, string> {
  const { ports, host } = settings;
  const values: Record<string, string> = {
    ENVOY_HOST: host,
    ENVOY_PORT: String(ports.envoy),
    ENVOY_ADMIN_PORT: String(ports.envoyAdmin),
    JWKS_FILE: keyFiles(settings).jwks,
    JWT_ISSUER: settings.jwt.issuer,
    JWT_AUDIENCE: settings.jwt.audience,
    STUDIO_ORIGINS: settings.studioOrigins,
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
