import { join } from "node:path";
import { requirePrivate, trustDomainDefault } from "#common/process/tls/config.ts";
import { identityOf } from "#common/process/tls/identity.ts";
import type { ListenerName } from "#common/process/tls/parts.ts";
import { serviceNames } from "#common/service-names.ts";

/** What the renderer was given: TLS_FOLDER, EDGE_TLS_FOLDER, EDGE_SECRETS_FOLDER, TLS_TRUST_DOMAIN and others. */
export type Given = Readonly<Record<string, string | undefined>>;

const extensions = "type.googleapis.com/envoy.extensions.transport_sockets";

/** Envoy reads certificates again when they change only if it is told of them in files of their own, one a secret. */
interface SecretFile {
  readonly name: string;
  readonly content: object;
}

/** Its own certificate among the parts of the mesh, whom it trusts there, and what it shows to everybody outside. */
function secretsOf({ TLS_FOLDER: inside, EDGE_TLS_FOLDER: outside }: Given): SecretFile[] {
  const pair = (folder: string) => ({
    tls_certificate: {
      certificate_chain: { filename: join(folder, "tls.crt") },
      private_key: { filename: join(folder, "tls.key") },
      watched_directory: { path: folder },
    },
  });
  const authorities = (folder: string) => ({
    validation_context: {
      trusted_ca: { filename: join(folder, "ca.crt") },
      watched_directory: { path: folder },
    },
  });
  return [
    ...(inside ? [{ name: "mesh-certificate", content: pair(inside) }] : []),
    ...(inside ? [{ name: "mesh-authorities", content: authorities(inside) }] : []),
    ...(outside ? [{ name: "edge-certificate", content: pair(outside) }] : []),
  ];
}

/** The files that lie in EDGE_SECRETS_FOLDER beside the configuration, by their names: where the certificates are. */
export function edgeSecretFiles(given: Given): ReadonlyMap<string, string> {
  return new Map(
    secretsOf(given).map(({ name, content }) => {
      const secret = { "@type": `${extensions}.tls.v3.Secret`, name, ...content };
      return [`${name}.json`, `${JSON.stringify({ resources: [secret] }, null, 2)}\n`];
    }),
  );
}

function secret(given: Given, name: string): object {
  const path = join(given["EDGE_SECRETS_FOLDER"] ?? "", `${name}.json`);
  return { name, sds_config: { path_config_source: { path }, resource_api_version: "V3" } };
}

/** As the services have it (common/process/tls/secure-server.ts), in BoringSSL's words, in which TLS 1.3 is not a choice. */
const protocols = {
  tls_minimum_protocol_version: "TLSv1_2",
  tls_maximum_protocol_version: "TLSv1_3",
  cipher_suites: [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ],
};

/** What the listener shows to everybody, as JSON. Nobody out there needs a certificate: tokens say who calls. */
export function edgeListenerTls(given: Given): string {
  return JSON.stringify({
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": `${extensions}.tls.v3.DownstreamTlsContext`,
      common_tls_context: {
        tls_params: protocols,
        alpn_protocols: ["h2", "http/1.1"],
        tls_certificate_sds_secret_configs: [secret(given, "edge-certificate")],
      },
    },
  });
}

/** What a cluster has in a mesh with certificates: mutual TLS with the one part that it leads to. Else nothing. */
export function upstreamTls(given: Given, peer: ListenerName, http: 1 | 2): object {
  if (!given["TLS_FOLDER"]) return {};
  const identity = identityOf(given["TLS_TRUST_DOMAIN"] || trustDomainDefault, peer);
  return {
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": `${extensions}.tls.v3.UpstreamTlsContext`,
        sni: peer,
        // A session that is resumed is not verified again.
        max_session_keys: 0,
        common_tls_context: {
          tls_params: protocols,
          alpn_protocols: [http === 2 ? "h2" : "http/1.1"],
          tls_certificate_sds_secret_configs: [secret(given, "mesh-certificate")],
          combined_validation_context: {
            default_validation_context: {
              match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: identity } }],
            },
            validation_context_sds_secret_config: secret(given, "mesh-authorities"),
          },
        },
      },
    },
    transport_socket_matches: [
      {
        name: "plain",
        match: plainHealth,
        transport_socket: {
          name: "envoy.transport_sockets.raw_buffer",
          typed_config: { "@type": `${extensions}.raw_buffer.v3.RawBuffer` },
        },
      },
    ],
  };
}

const plainHealth = { health: "plain" };

/** What a health check has that asks at the port of metrics and health, which is never encrypted. */
export function plainHealthCheck(given: Given): object {
  return given["TLS_FOLDER"] ? { transport_socket_match_criteria: plainHealth } : {};
}

/** The variables of what the edge would leave in the clear beyond this machine. Throws ConfigError unless ALLOW_PLAINTEXT. */
export function requirePrivateEdge(given: Given): readonly string[] {
  const { ENVOY_HOST: own, EDGE_TLS_FOLDER: outside, TLS_FOLDER: inside } = given;
  const hosts = [...serviceNames.map((name) => name.toUpperCase()), "STUDIO", "STRIPE_SIM"]
    .map((name) => `${name}_HOST`)
    .flatMap((name) => (given[name] ? [[name, given[name]] as const] : []));
  return requirePrivate(given, {
    ...(outside || !own ? {} : { ENVOY_HOST: own }),
    ...(inside ? {} : Object.fromEntries(hosts)),
  });
}
