import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import { stripeMockVersion } from "../../../cli/bring/stripe-mock.ts";
import { findProgram, runProgram } from "../../../cli/command/run-program.ts";

/** Stripe's OpenAPI document, as far as the simulator goes. */
export interface StripeSpec {
  /** What is wrong with the answer of an operation, one line each; also for a path that is not in the document. */
  checkAnswer(method: string, path: string, status: number, body: unknown): string[];
  /** What is wrong with an object, by the kind that it names itself. */
  checkObject(object: { readonly object: string }): string[];
}

type Schema = Readonly<Record<string, unknown>>;

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content: Content }>>;
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>;

/** What expandable properties are looked at expanded; others are ids. */
const kinds = ["payment_intent", "charge", "refund", "balance_transaction", "payment_method"];
const others = ["event", "error", "balance", "webhook_endpoint", "deleted_webhook_endpoint"];

/** Finds the document in the sources of stripe-mock. A text says why there is none. */
export async function openStripeSpec(): Promise<StripeSpec | string> {
  const go = findProgram("go");
  if (go === undefined) return "no Go, whose module cache has Stripe's OpenAPI document";
  const { output } = await runProgram(go, ["env", "GOMODCACHE"], { timeoutMs: 20_000 });
  const folder = `github.com/stripe/stripe-mock@${stripeMockVersion}`;
  const file = join(output.trim(), folder, "embedded/openapi/spec3.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return `no sources of stripe-mock ${stripeMockVersion} in Go's module cache`;
  }
  return createSpec(JSON.parse(text) as Document);
}

function createSpec(document: Document): StripeSpec {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  // One set of schemas, in which each is compiled once, however many refer to it.
  ajv.addSchema({ $id: "stripe", schemas: closure(document) });
  const known = new Map<string, ValidateFunction>();
  const paths = Object.keys(document.paths).map((path) => ({
    path,
    pattern: new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`),
  }));

  function check(name: string, schema: Schema, value: unknown): string[] {
    const validate = known.get(name) ?? ajv.compile(toJsonSchema(schema) as object);
    known.set(name, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map((error) => `${name} ${error.instancePath} ${error.message}`);
  }
  return {
    checkAnswer(method, path, status, body) {
      // What has no parameter comes first: /v1/charges/search is no charge.
      const template = paths
        .filter(({ pattern }) => pattern.test(path))
        .sort((left, right) => left.path.split("{").length - right.path.split("{").length)[0]?.path;
      const operation = document.paths[template ?? ""]?.[method.toLowerCase()];
      const answer = operation?.responses[status < 400 ? "200" : "default"];
      const schema = answer?.content["application/json"]?.schema;
      if (schema === undefined) return [`${method} ${path} is not in the document`];
      const name = status < 400 ? `${method} ${template}` : "error";
      return check(name, schema, body);
    },
    checkObject(object) {
      return check(object.object, { $ref: `${refPrefix}${object.object}` }, object);
    },
  };
}

const refPrefix = "#/components/schemas/";

/** The schemas of what the simulator answers with, and all that they refer to. */
function closure(document: Document): Record<string, unknown> {
  const schemas: Record<string, unknown> = {};
  const waiting = [...kinds, ...others];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (Object.hasOwn(schemas, name)) continue;
    const schema = toJsonSchema(document.components.schemas[name], (other) => waiting.push(other));
    schemas[name] = schema;
  }
  return schemas;
}

/** OpenAPI 3.0 has `nullable`, which JSON schema has not. */
function toJsonSchema(node: unknown, refersTo: (name: string) => void = () => undefined): unknown {
  const convert = (inner: unknown): unknown => {
    if (Array.isArray(inner)) return inner.map(convert);
    if (typeof inner !== "object" || inner === null) return inner;
    const { nullable, $ref, ...rest } = withoutStrangers(inner as Schema);
    if (typeof $ref === "string") {
      const name = $ref.slice(refPrefix.length);
      refersTo(name);
      return { $ref: `stripe#/schemas/${name}` };
    }
    const converted = Object.fromEntries(
      Object.entries(rest).map(([key, value]) => [key, convert(value)]),
    );
    return nullable === true ? { anyOf: [converted, { type: "null" }] } : converted;
  };
  return convert(node);
}

/** Without the objects that the simulator has not: an expandable property is an id then, and the document is small. */
function withoutStrangers(node: Schema): Schema {
  const { "x-expansionResources": expansions, description: _, anyOf, ...rest } = node;
  if (!Array.isArray(anyOf)) return anyOf === undefined ? rest : { ...rest, anyOf };
  if (expansions === undefined) return { ...rest, anyOf };
  const kept = (anyOf as readonly Schema[]).filter(
    ({ $ref }) => typeof $ref !== "string" || kinds.includes($ref.split("/").at(-1) ?? ""),
  );
  return { ...rest, anyOf: kept };
}
