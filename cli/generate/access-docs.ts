import { type DescFile, type DescMethod, getOption } from "@bufbuild/protobuf";
import { type Role, roles, serviceScopes } from "#common/roles.ts";
import { access } from "#gen/sovr/common/v1/access_pb.ts";
import { scopeName } from "./proto-docs.ts";

const table: readonly (readonly [string, Role])[] = Object.entries(roles);
/** A service has no scopes but those of its key. */
const columns = table.filter(([, { scopes }]) => scopes.length > 0);

/** The page that says who may call what, by path from the root: the roles against the options of each RPC. */
export function accessDocs(files: readonly DescFile[]): Readonly<Record<string, string>> {
  const lines = [
    "# Access",
    "",
    "Written from `common/roles.ts` and the options in `proto/` by `./mesh generate`; do not edit. A token carries scopes;",
    "a role is a name for some of them: `./mesh token --role support`. What each scope is for stands in",
    "[api.md](api.md#sovrcommonv1scope).",
    "",
    "## Roles",
    "",
    "| role | who | bound to | scopes |",
    "|---|---|---|---|",
    ...table.map(roleRow),
    "",
    "A token that is bound is refused the house's scopes whatever it names, and posts and voids nothing. A shopper sees of an",
    "intent his own legs, a merchant the intents that name it (`merchant_id`). A token is bound to one of both at most.",
    "Services sign tokens of their own:",
    "",
    "| service | scopes |",
    "|---|---|",
    ...Object.entries(serviceScopes).map(([name, scopes]) => `| ${name} | ${codes(scopes)} |`),
    "",
    "## Who may call what",
    "",
    "*all*: everything that the RPC reaches. *own*: what is the wallet's or the merchant's own. Nothing: SCOPE_MISSING. Health needs no",
    "token; reflection needs `reflection`. AttestBatch has the scopes of Attest and still refuses whoever is bound.",
  ];
  for (const service of files.flatMap((file) => file.services)) {
    lines.push("", `### ${service.typeName}`, "");
    lines.push(`| RPC | ${columns.map(([name]) => name).join(" | ")} |`);
    lines.push(`|---|${"---|".repeat(columns.length)}`);
    lines.push(...service.methods.map(methodRow));
  }
  return { "docs/access.md": `${lines.join("\n")}\n` };
}

function roleRow([name, { who, boundBy, scopes }]: (typeof table)[number]): string {
  const bound = boundBy === undefined ? "" : `a ${boundBy}`;
  return `| ${name} | ${who} | ${bound} | ${scopes.length === 0 ? "those of its key" : codes(scopes)} |`;
}

function codes(scopes: readonly string[]): string {
  return scopes.map((scope) => `\`${scope}\``).join(", ");
}

function methodRow(method: DescMethod): string {
  return `| ${method.name} | ${columns.map(([, role]) => reachOf(role, method)).join(" | ")} |`;
}

function reachOf({ scopes, boundBy }: Role, method: DescMethod): string {
  const { anyOf, unboundOnly } = getOption(method, access);
  if (!anyOf.some((scope) => scopes.includes(scopeName(scope)))) return "";
  if (boundBy === undefined) return "all";
  return unboundOnly ? "" : "own";
}
