import { readFileSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { Problem } from "../command/problem.ts";
import type { Settings } from "../state/settings.ts";
import { authorityFiles } from "./tls-files.ts";

/** Has this process trust the authority of a mesh that is encrypted, beside all that it trusts already. */
export function trustMesh(settings: Settings): void {
  if (!settings.tls) return;
  const file = authorityFiles(settings).certificate;
  let authority: string;
  try {
    authority = readFileSync(file, "utf8");
  } catch (error) {
    throw new Problem(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const trusted = getCACertificates("default");
  if (!trusted.includes(authority)) setDefaultCACertificates([...trusted, authority]);
}
