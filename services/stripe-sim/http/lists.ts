import type { Call } from "../objects/call.ts";
import { invalidRequest, resourceMissing } from "../objects/errors.ts";
import type { CreatedRange, Kind, Kinds, PageQuery } from "../objects/stored.ts";
import type { FormValue } from "./form-codec.ts";
import { integer, object, type Read, text } from "./params.ts";

const time = integer(0, 99_999_999_999);
const range = object({ gt: time, gte: time, lt: time, lte: time });

/** Of every list; `created` is a time or bounds of it. */
export const listParams = {
  limit: integer(1, 100),
  starting_after: text(),
  ending_before: text(),
  created: (value: FormValue, path: string): CreatedRange => {
    if (typeof value !== "string") return range(value, path);
    const second = time(value, path);
    return { gte: second, lte: second };
  },
};

export interface List<T> {
  readonly object: "list";
  readonly data: readonly T[];
  readonly has_more: boolean;
  readonly url: string;
}

/** One page, newest first. */
export function listPage<K extends Kind>(
  call: Call,
  kind: K,
  url: string,
  params: Read<typeof listParams>,
  only: Partial<Pick<PageQuery, "filter" | "types" | "delivered">> = {},
): List<Kinds[K]> {
  const { starting_after: after, ending_before: before, limit = 10 } = params;
  if (after !== undefined && before !== undefined) {
    throw invalidRequest("You cannot parameterize both starting_after and ending_before.");
  }
  const found = call.store.page({
    kind,
    filter: only.filter ?? {},
    created: params.created ?? {},
    types: only.types ?? [],
    delivered: only.delivered,
    after: cursor(call, kind, "starting_after", after),
    before: cursor(call, kind, "ending_before", before),
    limit: limit + 1,
  });
  const data = found.slice(0, limit);
  if (before !== undefined) data.reverse();
  return { object: "list", data, has_more: found.length > limit, url };
}

function cursor(call: Call, kind: Kind, param: string, id: string | undefined) {
  if (id === undefined) return undefined;
  const sequence = call.store.sequenceOf(kind, id);
  if (sequence === undefined) throw resourceMissing(kind, id, { param, status: 400 });
  return sequence;
}
