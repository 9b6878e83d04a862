import { join } from "node:path";
import { type PartName, partNames } from "#common/process/tls/parts.ts";
import type { Settings } from "../state/settings.ts";

/** Whoever has a certificate in a mesh of this machine. PostgreSQL's names no part: its clients know it by its address. */
export type CertifiedName = PartName | "postgres";

export const certifiedNames: readonly CertifiedName[] = [...partNames, "postgres"];

/** The authority of a mesh of this machine. */
export interface AuthorityFiles {
  /** For whoever is to trust the mesh: curl --cacert, grpcurl -cacert, a browser. */
  readonly certificate: string;
  /** Secret. */
  readonly key: string;
}

export function authorityFiles({ state }: Settings): AuthorityFiles {
  return { certificate: join(state, "tls/ca.crt"), key: join(state, "tls/ca.key") };
}

/**
 * The folder of a part's tls.crt, tls.key and ca.crt. PostgreSQL, which may run as somebody else, can pass no folder of the
 * others'.
 */
export function tlsFolder({ state }: Settings, name: CertifiedName): string {
  return name === "postgres" ? join(state, "postgres-tls") : join(state, "tls", name);
}
