import type { Call } from "../objects/call.ts";
import { invalidRequest } from "../objects/errors.ts";
import type { Kind } from "../objects/stored.ts";

const depthMax = 4;

/** What each expandable property holds the id of. */
const expandable: Readonly<Record<string, Kind>> = {
  latest_charge: "charge",
  charge: "charge",
  payment_intent: "payment_intent",
  payment_method: "payment_method",
  balance_transaction: "balance_transaction",
  failure_balance_transaction: "balance_transaction",
};

/** Replaces ids by their objects along paths such as `latest_charge.balance_transaction` or `data.charge`. */
export function expand(call: Call, answer: object, paths: readonly string[]): object {
  const copy = structuredClone(answer);
  for (const path of paths) {
    const names = path.split(".");
    if (names.length > depthMax) {
      throw invalidRequest(`You cannot expand more than ${depthMax} levels of a property.`, {
        param: "expand",
      });
    }
    expandPath(call, copy, names, path);
  }
  return copy;
}

function expandPath(call: Call, holder: object, names: readonly string[], path: string): void {
  const [name = "", ...rest] = names;
  const record = holder as Record<string, unknown>;
  const value = record[name];
  if (name === "data" && Array.isArray(value) && rest.length > 0) {
    for (const item of value as object[]) expandPath(call, item, rest, path);
    return;
  }
  const kind = Object.hasOwn(expandable, name) ? expandable[name] : undefined;
  if (kind === undefined || !Object.hasOwn(record, name)) {
    throw invalidRequest(`This property cannot be expanded (${path}).`, { param: "expand" });
  }
  // A charge names its payment method, but does not let it be expanded.
  if (record["object"] === "charge" && name === "payment_method") {
    throw invalidRequest(`This property cannot be expanded (${path}).`, { param: "expand" });
  }
  if (typeof value === "string") record[name] = call.store.find(kind, value)?.body ?? value;
  const next = record[name];
  if (rest.length > 0 && typeof next === "object" && next !== null) {
    expandPath(call, next, rest, path);
  }
}
