import type { Item } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { Problem } from "../command/problem.ts";

/** Reads "milk" or "milk=2". Throws Problem. */
export function parseItem(text: string, usage: string): Pick<Item, "sku" | "quantity"> {
  const [, name, count] = /^([a-z]+)(?:=([0-9]{1,5}))?$/.exec(text) ?? [];
  if (name === undefined) throw new Problem(`"${text}" is no item (usage: ${usage})`);
  return { sku: name.toUpperCase(), quantity: Number(count ?? "1") };
}
