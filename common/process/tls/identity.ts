import type { X509Certificate } from "node:crypto";
import type { PartName } from "./parts.ts";

/**
 * How a certificate says whose it is: a URI among its subject alternative names, as SPIFFE has it. An address says where
 * somebody is, and not who; and the domain keeps two meshes apart that trust one authority.
 */
export function identityOf(trustDomain: string, name: PartName): string {
  return `spiffe://${trustDomain}/${name}`;
}

/** The URIs among a certificate's subject alternative names. */
export function urisOf({ subjectAltName }: Pick<X509Certificate, "subjectAltName">): string[] {
  return namesOf(subjectAltName ?? "")
    .filter(({ kind }) => kind === "URI")
    .map(({ value }) => value);
}

interface AlternativeName {
  readonly kind: string;
  readonly value: string;
}

/**
 * Node writes the names as one text, `DNS:a, URI:b`, and one that has a comma or a quote in it as JSON: to split at commas
 * would let a name carry another inside it.
 */
function namesOf(text: string): AlternativeName[] {
  const entry = /(?:^|, )([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^,"]*)(?=, |$)/y;
  const names: AlternativeName[] = [];
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text);
    // What cannot be read names nobody, and neither does anything beside it.
    if (match === null) return [];
    const [, kind = "", value = ""] = match;
    names.push({ kind, value: value.startsWith('"') ? unquoted(value) : value });
  }
  return names;
}

function unquoted(json: string): string {
  try {
    return String(JSON.parse(json));
  } catch {
    return "";
  }
}
