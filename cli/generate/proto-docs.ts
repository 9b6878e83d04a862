import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  fromBinary,
  getOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { getComments } from "@bufbuild/protoplugin";
import { access, type Scope, ScopeSchema } from "#gen/sovr/common/v1/access_pb.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The pages that are written from the comments in proto/, by path from the root: the contract is said once. */
export function protoDocs(): Readonly<Record<string, string>> {
  const files = readFiles();
  return { "docs/api.md": apiPage(files), "docs/errors.md": errorsPage(files) };
}

function readFiles(): DescFile[] {
  const buf = join(root, "node_modules/.bin/buf");
  const image = execFileSync(buf, ["build", "proto", "--as-file-descriptor-set", "-o", "-"], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  return [...registry.files]
    .filter((file) => file.proto.package.startsWith("sovr."))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
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

function scopeName(scope: Scope): string {
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
  const reasons = all.flatMap((file) => file.enums).find((item) => item.name === "ErrorReason");
  if (reasons === undefined) throw new Error("proto/ declares no ErrorReason");
  const rows = reasons.values
    .filter((value) => value.number !== 0)
    .map((value) => {
      const [text = "", example = ""] = comment(value).split("Example: ");
      const name = value.name.replace("ERROR_REASON_", "");
      return `| \`${name}\` | ${cell(text)} | ${example === "" ? "" : `\`${cell(example).replaceAll("`", "")}\``} |`;
    });
  return `${[
    "# Errors",
    "",
    "Written from `proto/sovr/common/v1/error_reason.proto` by `./mesh generate`; do not edit.",
    "",
    comment(reasons),
    "Programs decide by code and reason; messages speak to people and may change. `UNAVAILABLE` and `RESOURCE_EXHAUSTED`",
    "add a google.rpc.RetryInfo that says when to try again.",
    "",
    "| reason | meaning and code | metadata, by example |",
    "|---|---|---|",
    ...rows,
  ].join("\n")}\n`;
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
  return `[${desc.name}](#${desc.typeName.toLowerCase().replaceAll(".", "")})`;
}
