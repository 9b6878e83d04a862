/** A value of Stripe's form encoding: texts, lists and maps of them. */
export type FormValue = string | readonly FormValue[] | FormMap;
export interface FormMap {
  readonly [key: string]: FormValue;
}

/** Thrown for a form that means nothing. `path` is the parameter at fault. */
export class FormError extends Error {
  override readonly name = "FormError";
  readonly path: string;

  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

const pairsMax = 1_000;
const depthMax = 8;
const listMax = 100;

/**
 * Reads `a=1&b[c]=2&d[0]=3&d[]=4`. A map whose keys are the numbers from 0 on is a list.
 * Throws FormError for more than 1,000 pairs, eight levels or 100 items of a list, and for a name that is text and map.
 */
export function decodeForm(text: string): FormMap {
  const root: OpenMap = new Map();
  let pairs = 0;
  for (const [name, value] of new URLSearchParams(text)) {
    pairs += 1;
    if (pairs > pairsMax) throw new FormError("", `at most ${pairsMax} parameters`);
    insert(root, name, value);
  }
  return closeMap(root);
}

type OpenMap = Map<string, string | OpenMap>;

function insert(root: OpenMap, name: string, value: string): void {
  const match = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(name);
  if (match === null) throw new FormError(name, `Invalid parameter name: ${name}`);
  const [, first = "", rest = ""] = match;
  const keys = [
    first,
    ...rest
      .split("[")
      .slice(1)
      .map((key) => key.slice(0, -1)),
  ];
  if (keys.length > depthMax) throw new FormError(name, `at most ${depthMax} levels`);
  let map = root;
  for (const key of keys.slice(0, -1)) {
    const next = map.get(key) ?? new Map<string, string | OpenMap>();
    if (typeof next === "string") throw new FormError(name, `Invalid object: ${name}`);
    map.set(key, next);
    map = next;
  }
  // An empty last key adds to a list.
  const last = keys.at(-1) ?? first;
  const key = last === "" && keys.length > 1 ? String(map.size) : last;
  if (map.get(key) instanceof Map) throw new FormError(name, `Invalid object: ${name}`);
  map.set(key, value);
}

function closeMap(map: OpenMap): FormMap {
  // Without a prototype no name of a parameter means anything to the language.
  const closed: Record<string, FormValue> = Object.create(null);
  for (const [key, value] of map) closed[key] = close(value);
  return closed;
}

function close(value: string | OpenMap): FormValue {
  if (typeof value === "string") return value;
  const items = Array.from({ length: value.size }, (_, index) => value.get(String(index)));
  if (!items.every((item) => item !== undefined)) return closeMap(value);
  if (items.length > listMax) throw new FormError("", `at most ${listMax} items in a list`);
  return items.map(close);
}
