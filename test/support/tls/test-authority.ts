import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PartName } from "#common/process/tls/parts.ts";
import {
  type Authority,
  createAuthority,
  type IssuedCertificate,
  issueCertificate,
  type Subject,
} from "../../../cli/tls/authority.ts";

const dayMs = 86_400_000;

/** An instant so many days from now. */
export const inDays = (days: number) => new Date(Date.now() + days * dayMs);

/** An authority that also says what no authority should. */
export interface TestAuthority extends Authority {
  /** A certificate as a part of the mesh `sovr-mesh` has it, unless told otherwise. */
  issue(part: PartName, change?: Partial<Subject>): Promise<IssuedCertificate>;
}

export async function createTestAuthority(name = "test"): Promise<TestAuthority> {
  const authority = await createAuthority({ name, from: inDays(-30), to: inDays(30) });
  return {
    ...authority,
    issue: (part, change = {}) =>
      issueCertificate(authority, {
        name: part,
        uris: [`spiffe://sovr-mesh/${part}`],
        addresses: ["127.0.0.1"],
        from: inDays(-1),
        to: inDays(1),
        ...change,
      }),
  };
}

/** Writes what TLS_FOLDER names, one file after the other, as no atomic writer would. Returns the folder. */
export function writeTlsFolder(
  folder: string,
  { certificate, key }: IssuedCertificate,
  authorities: string,
): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "tls.crt"), certificate);
  writeFileSync(join(folder, "tls.key"), key);
  writeFileSync(join(folder, "ca.crt"), authorities);
  return folder;
}
