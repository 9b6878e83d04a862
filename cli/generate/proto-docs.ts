import {
  type DescEnum,
  type DescEnumValue,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  getOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { getComments } from "@bufbuild/protoplugin";
import { CodeSchema } from "#gen/google/rpc/code_pb.ts";
import { access, type Scope, ScopeSchema } from "#gen/sovr/common/v1/access_pb.ts";
import { error_rule as errorRule } from "#gen/sovr/common/v1/error_rule_pb.ts";
import { enumOf, reasonsOf } from "./proto-files.ts";

/** The pages that are written from the comments and options in proto/, by path from the root: the contract is said once. */
export function protoDocs(files: readonly DescFile[]): Readonly<Record<string, string>> {
  return { "docs/api.md": apiPage(files), "docs/errors.md": errorsPage(files) };
}

function apiPage(all: readonly DescFile[]): string {
  const lines = [
    "# API",
    "",
    "Written from the comments in `proto/` by `./mesh generate`; do not edit. Errors are in [errors.md](errors.md).",
    "Every RPC needs a token that carries at least one of the scopes named with it; every request is bounded and checked.",
  ];
  for (const service of all.flatMap((file) => file.services)) {
    lines.push("", `## ${service.typeName}`, "", comment(service));
    for (const method of service.methods) lines.push("", ...methodSection(method));
  }
  lines.push("", "## Messages");
  for (const message of all.flatMap((file) => file.messages)) {
    lines.push("", `### ${message.typeName}`, "", comment(message));
    if (message.fields.length > 0) lines.push("", ...fieldTable(message));
  }
  lines.push("", "## Enums");
  for (const item of all.flatMap((file) => file.enums)) {
    if (item.name === "ErrorReason") continue;
    lines.push("", `### ${item.typeName}`, "", comment(item), "", ...enumTable(item));
  }
  return `${lines.join("\n")}\n`;
}

function methodSection(method: DescMethod): string[] {
  const scopes = getOption(method, access).anyOf.map(scopeName);
  const stream = method.methodKind === "server_streaming" ? "stream " : "";
  const repeat =
    method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS
      ? "A read; safe to repeat."
      : method.idempotency === MethodOptions_IdempotencyLevel.IDEMPOTENT
        ? "Safe to repeat with the same request."
        : "Safe to repeat: the intent id makes it so.";
  return [
    `### ${method.name}`,
    "",
    `\`${method.parent.typeName}/${method.name}\`: ${link(method.input)} → ${stream}${link(method.output)} · scope ${scopes.map((scope) => `\`${scope}\``).join(" or ")}`,
    "",
    comment(method),
    repeat,
  ];
}

/** The form of a scope in a token. */
export function scopeName(scope: Scope): string {
  const name = ScopeSchema.value[scope]?.name ?? "";
  return name.replace("SCOPE_", "").toLowerCase().replaceAll("_", ".");
}

function fieldTable(message: DescMessage): string[] {
  const rows = message.fields.map((field) => {
    const choice = field.oneof === undefined ? "" : ` (one of \`${field.oneof.name}\`)`;
    return `| \`${field.name}\` | ${fieldType(field)}${choice} | ${cell(comment(field))} |`;
  });
  return ["| field | type | meaning |", "|---|---|---|", ...rows];
}

function fieldType(field: DescField): string {
  switch (field.fieldKind) {
    case "scalar":
      return scalarName(field.scalar);
    case "enum":
      return link(field.enum);
    case "message":
      return link(field.message);
    case "list":
      return `repeated ${
        field.listKind === "scalar"
          ? scalarName(field.scalar)
          : link(field.listKind === "enum" ? field.enum : field.message)
      }`;
    case "map":
      return "map";
  }
}

function scalarName(scalar: ScalarType): string {
  const entry = Object.entries(ScalarType).find(([, value]) => value === scalar);
  return (entry?.[0] ?? "").toLowerCase();
}

function enumTable(item: DescEnum): string[] {
  const rows = item.values.map((value) => `| \`${value.name}\` | ${cell(comment(value))} |`);
  return ["| value | meaning |", "|---|---|", ...rows];
}

function errorsPage(all: readonly DescFile[]): string {
  const rules = enumOf(all, "RetryRule");
  return `${[
    "# Errors",
    "",
    "Written from `proto/sovr/common/v1/error_reason.proto` by `./mesh generate`; do not edit.",
    "",
    comment(enumOf(all, "ErrorReason")),
    "Programs decide by code and reason; messages speak to people and may change. `UNAVAILABLE` and `RESOURCE_EXHAUSTED`",
    "add a google.rpc.RetryInfo that says when to try again.",
    "",
    "| reason | meaning | code | keys | keys that may be absent | retry | metadata, by example |",
    "|---|---|---|---|---|---|---|",
    ...reasonsOf(all).map((reason) => errorRow(reason, rules)),
    "",
    "## Retry",
    "",
    comment(rules),
    "",
    "| retry | what a caller does |",
    "|---|---|",
    ...rules.values
      .filter(({ number }) => number !== 0)
      .map((rule) => `| ${retryName(rule)} | ${cell(comment(rule))} |`),
  ].join("\n")}\n`;
}

function errorRow(reason: DescEnumValue, rules: DescEnum): string {
  const [text = "", example = ""] = comment(reason).split("Example: ");
  const { code, earlyCode, requiredKeys, optionalKeys, retry } = getOption(reason, errorRule);
  const early = earlyCode === 0 ? "" : `; ${CodeSchema.value[earlyCode]?.name} while there is time`;
  const cells = [
    `\`${reason.localName}\``,
    cell(text),
    `${CodeSchema.value[code]?.name}${early}`,
    keyList(requiredKeys),
    keyList(optionalKeys),
    retryName(rules.value[retry]),
    example === "" ? "" : `\`${cell(example).replaceAll("`", "")}\``,
  ];
  return `| ${cells.join(" | ")} |`;
}

function keyList(keys: readonly string[]): string {
  return keys.map((key) => `\`${key}\``).join(", ");
}

function retryName(rule: DescEnumValue | undefined): string {
  return (rule?.localName ?? "").toLowerCase().replaceAll("_", " ");
}

function comment(desc: Parameters<typeof getComments>[0]): string {
  return (getComments(desc).leading ?? "")
    .split("\n")
    .map((line) => line.trim())
    .join("\n")
    .trim();
}

function cell(text: string): string {
  return text.replaceAll("\n", " ").replaceAll("|", "\\|").trim();
}

function link(desc: { readonly typeName: string; readonly name: string }): string {
  if (!desc.typeName.startsWith("sovr.")) return `\`${desc.typeName}\``;
  // Reasons have a page of their own.
  if (desc.name === "ErrorReason") return `[${desc.name}](errors.md)`;
  return `[${desc.name}](#${desc.typeName.toLowerCase().replaceAll(".", "")})`;
}
