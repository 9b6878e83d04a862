import { invalidRequest, parameterMissing } from "../objects/errors.ts";
import type { FormMap, FormValue } from "./form-codec.ts";

/** Reads one value at a path such as `card[number]`. Throws StripeSimError in Stripe's words. */
export type Reader<T> = (value: FormValue, path: string) => T;

interface Field<T> {
  readonly read: Reader<T>;
  readonly required: boolean;
}

type Shape = Readonly<Record<string, Reader<unknown> | Field<unknown>>>;
type Required<S> = { [K in keyof S]: S[K] extends Field<unknown> ? K : never }[keyof S];

/** What a shape of readers yields: required fields always, the others perhaps. */
export type Read<S> = {
  readonly [K in Required<S>]: S[K] extends Field<infer T> ? T : never;
} & {
  readonly [K in Exclude<keyof S, Required<S>>]?: S[K] extends Reader<infer T> ? T : never;
};

export function required<T>(read: Reader<T>): Field<T> {
  return { read, required: true };
}

/** A map with these fields and no others. */
export function object<S extends Shape>(shape: S): Reader<Read<S>> {
  return (value, path) => {
    if (!isMap(value)) throw invalidRequest("Invalid object", { param: path });
    const unknown = Object.keys(value)
      .filter((key) => !Object.hasOwn(shape, key))
      .map((key) => at(path, key));
    if (unknown.length > 0) throw unknownParameters(unknown);
    const result: Record<string, unknown> = {};
    for (const [key, field] of Object.entries(shape)) {
      const item = value[key];
      const param = at(path, key);
      if (item !== undefined) {
        result[key] = typeof field === "function" ? field(item, param) : field.read(item, param);
      } else if (typeof field !== "function" && field.required) throw parameterMissing(param);
    }
    return result as Read<S>;
  };
}

function at(path: string, key: string): string {
  return path === "" ? key : `${path}[${key}]`;
}

function unknownParameters(names: readonly string[]) {
  const [param = ""] = names;
  return invalidRequest(
    `Received unknown parameter${names.length === 1 ? "" : "s"}: ${names.join(", ")}. ` +
      "(This simulator knows fewer parameters than Stripe.)",
    { code: "parameter_unknown", param },
  );
}

function isMap(value: FormValue): value is FormMap {
  return typeof value === "object" && !Array.isArray(value);
}

function scalar(value: FormValue, param: string): string {
  if (typeof value !== "string") throw invalidRequest(`Invalid string: ${param}`, { param });
  return value;
}

/** A text that is not empty, of at most `max` characters. */
export function text(max = 5_000): Reader<string> {
  const read = clearableText(max);
  return (value, param) => {
    const string = read(value, param);
    if (string !== "") return string;
    throw invalidRequest(
      `You passed an empty string for '${param}'. We assume empty values are an attempt to unset a parameter; however '${param}' cannot be unset. You should remove '${param}' from your request or supply a non-empty value.`,
      { code: "parameter_invalid_empty", param },
    );
  };
}

/** Like `text`; empty takes the value away. */
export function clearableText(max = 5_000): Reader<string> {
  return (value, param) => {
    const string = scalar(value, param);
    if (string.length > max) {
      throw invalidRequest(`Invalid string: must be at most ${max} characters`, { param });
    }
    return string;
  };
}

/** A whole number; Stripe's amounts and times are JSON numbers of at most 53 bits. */
export function integer(min: number, max: number): Reader<number> {
  return (value, param) => {
    const string = scalar(value, param);
    const code = "parameter_invalid_integer";
    if (!/^-?\d{1,15}$/.test(string)) {
      throw invalidRequest(`Invalid integer: ${string.slice(0, 40)}`, { code, param });
    }
    const number = Number(string);
    const bound = number < min ? `greater than or equal to ${min}` : `less than or equal to ${max}`;
    if (number < min || number > max) {
      throw invalidRequest(`This value must be ${bound}.`, { code, param });
    }
    return number;
  };
}

export const boolean: Reader<boolean> = (value, param) => {
  const string = scalar(value, param);
  if (string !== "true" && string !== "false") {
    throw invalidRequest(`Invalid boolean: ${string.slice(0, 40)}`, { param });
  }
  return string === "true";
};

export function choice<Word extends string>(...words: readonly Word[]): Reader<Word> {
  return (value, param) => {
    const string = scalar(value, param);
    const word = words.find((candidate) => candidate === string);
    if (word === undefined) {
      const list = words.length === 1 ? words[0] : `one of ${words.join(", ")}`;
      throw invalidRequest(`Invalid ${param}: must be ${list}`, { param });
    }
    return word;
  };
}

export function list<T>(read: Reader<T>, max: number): Reader<readonly T[]> {
  return (value, param) => {
    if (!Array.isArray(value)) throw invalidRequest("Invalid array", { param });
    if (value.length > max) {
      throw invalidRequest(`Array must have at most ${max} elements`, { param });
    }
    return (value as readonly FormValue[]).map((item, index) => read(item, `${param}[${index}]`));
  };
}

export const url: Reader<string> = (value, param) => {
  const string = scalar(value, param);
  const parsed = string.length <= 5_000 ? URL.parse(string) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw invalidRequest("Not a valid URL", { code: "url_invalid", param });
  }
  return string;
};

const metadataKeysMax = 50;

/** What a request says about metadata: an empty value takes its key away; all empty takes all away. */
export type MetadataChange = Readonly<Record<string, string>> | "";

export const metadata: Reader<MetadataChange> = (value, param) => {
  if (value === "") return "";
  // Keys that look like 0, 1, 2 come as a list.
  const entries = typeof value === "object" ? Object.entries(value) : undefined;
  if (entries === undefined) throw invalidRequest("Invalid object", { param });
  const read = clearableText(500);
  for (const [key] of entries) {
    if (key.length > 40) {
      throw invalidRequest(
        `Metadata keys can have up to 40 characters, but you passed in one with ${key.length}.`,
        { param },
      );
    }
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, read(item, `${param}[${key}]`)]));
};

/** Metadata after a change. Throws StripeSimError for more than 50 keys. */
export function changeMetadata(
  before: Readonly<Record<string, string>>,
  change: MetadataChange | undefined,
): Record<string, string> {
  if (change === "") return {};
  const merged = Object.entries({ ...before, ...change }).filter(([, value]) => value !== "");
  if (merged.length > metadataKeysMax) {
    throw invalidRequest(`You can have up to ${metadataKeysMax} metadata keys.`, {
      param: "metadata",
    });
  }
  return Object.fromEntries(merged);
}
