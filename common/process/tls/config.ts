import { isIPv4 } from "node:net";
import {
  type Address,
  ConfigError,
  type Environment,
  formatAddress,
  readOneOf,
  readOptionalString,
  readString,
} from "../environment.ts";

/** Where the certificates of a part lie, and which mesh they are of. */
export interface TlsConfig {
  /** TLS_FOLDER: with `tls.crt` (its chain, leaf first), `tls.key` and `ca.crt` (whom it trusts), all PEM. */
  readonly folder: string;
  /** TLS_TRUST_DOMAIN: the mesh, as its certificates name it. */
  readonly trustDomain: string;
}

/** How a part speaks with others: with TLS everywhere, or without. */
export interface Wire {
  readonly tls: TlsConfig | undefined;
  /** What leaves this machine in the clear, as ALLOW_PLAINTEXT lets it, by the names of variables. Told at every start. */
  readonly plaintext: readonly string[];
}

/** The default of TLS_TRUST_DOMAIN. */
export const trustDomainDefault = "sovr-mesh";

/**
 * Reads how a part speaks. `ends`: by variable, where it listens and whom it calls; what is encrypted otherwise, or for
 * everybody to read, is not among them. Throws ConfigError for one beyond this machine that would be plaintext.
 */
export function readWire(env: Environment, ends: Readonly<Record<string, Address | string>>): Wire {
  const trustDomain = readTrustDomain(env);
  const folder = readOptionalString(env, "TLS_FOLDER");
  if (folder !== undefined) {
    return Object.freeze({ tls: Object.freeze({ folder, trustDomain }), plaintext: [] });
  }
  return Object.freeze({ tls: undefined, plaintext: requirePrivate(env, ends) });
}

/** The variables whose ends lie beyond this machine. Throws ConfigError unless ALLOW_PLAINTEXT is true, or there is none. */
export function requirePrivate(
  env: Environment,
  ends: Readonly<Record<string, Address | string>>,
): readonly string[] {
  const isAllowed = readOneOf(env, "ALLOW_PLAINTEXT", ["true", "false"], "false") === "true";
  const beyond = Object.entries(ends).filter(([, end]) => !isLoopback(hostOf(end)));
  const [first] = beyond;
  if (first !== undefined && !isAllowed) {
    const [variable, end] = first;
    throw new ConfigError(
      variable,
      typeof end === "string" ? end : formatAddress(end),
      "beyond this machine nothing goes in the clear: give certificates by TLS_FOLDER, or say ALLOW_PLAINTEXT=true where the network itself encrypts (docs/tls.md)",
    );
  }
  return beyond.map(([variable]) => variable);
}

function readTrustDomain(env: Environment): string {
  const domain = readString(env, "TLS_TRUST_DOMAIN", trustDomainDefault);
  if (/^[a-z0-9][a-z0-9._-]{0,254}$/.test(domain)) return domain;
  throw new ConfigError("TLS_TRUST_DOMAIN", domain, "expected a name such as sovr-mesh");
}

/** The host of an address, of host:port, of a URL, or of a target of gRPC such as dns:///ledger:5100. */
function hostOf(end: Address | string): string {
  if (typeof end !== "string") return end.host;
  const place = end.replace(/^[a-z][a-z0-9+.-]*:\/+/i, "");
  return /^\[([^\]]*)\]/.exec(place)?.[1] ?? place.split(/[:/]/, 1)[0] ?? "";
}

/** Whether a host is this machine by its very name or number; a name that has to be looked up may be anywhere. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}
