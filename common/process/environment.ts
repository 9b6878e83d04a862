import { readFileSync } from "node:fs";

/** What `process.env` looks like. Only main.ts and scripts hand the real one in. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable that is missing or bad. The message names it, its value and what is expected: one line, for people. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly variable: string;

  /** `value` undefined means missing. Never pass a secret as `value`. */
  constructor(variable: string, value: string | undefined, expected: string) {
    super(
      value === undefined
        ? `${variable} is missing: ${expected}`
        : `${variable} is ${JSON.stringify(value)}: ${expected}`,
    );
    this.variable = variable;
  }
}

/** A listening or peer address. `port` 0 asks the system for a free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The value of a variable; an empty one counts as missing, as it does in every shell script and manifest. */
function textOf(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === undefined || value === "" ? undefined : value;
}

/** Reads a text. Without `fallback` the variable is required. */
export function readString(env: Environment, name: string, fallback?: string): string {
  const value = textOf(env, name) ?? fallback;
  if (value === undefined) throw new ConfigError(name, undefined, "give it a value");
  return value;
}

/** Reads a text that may be absent. */
export function readOptionalString(env: Environment, name: string): string | undefined {
  return textOf(env, name);
}

/** Reads one of a few words. */
export function readOneOf<Word extends string>(
  env: Environment,
  name: string,
  words: readonly Word[],
  fallback?: Word,
): Word {
  const value = textOf(env, name) ?? fallback;
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) throw new ConfigError(name, value, `expected one of ${words.join(", ")}`);
  return word;
}

export interface IntegerRange {
  readonly min: number;
  readonly max: number;
  /** What a missing variable means; without it the variable is required. */
  readonly fallback?: number;
}

/** Reads a whole number between `min` and `max`, both inclusive and safe integers. */
export function readInteger(env: Environment, name: string, range: IntegerRange): number {
  const value = textOf(env, name);
  const expected = `expected a whole number from ${range.min} to ${range.max}`;
  if (value === undefined) {
    if (range.fallback === undefined) throw new ConfigError(name, undefined, expected);
    return range.fallback;
  }
  const number = /^-?(0|[1-9][0-9]{0,15})$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= range.min && number <= range.max)) throw new ConfigError(name, value, expected);
  return number;
}

/** Reads a port, 0 to 65535. */
export function readPort(env: Environment, name: string, fallback?: number): number {
  const range = { min: 0, max: 65_535 };
  return readInteger(env, name, fallback === undefined ? range : { ...range, fallback });
}

const u128Max = 2n ** 128n - 1n;

/** Reads a u128 as a decimal number. */
export function readU128(env: Environment, name: string, fallback?: bigint): bigint {
  const value = textOf(env, name);
  const expected = "expected a decimal number from 0 to 2^128 - 1";
  if (value === undefined) {
    if (fallback === undefined) throw new ConfigError(name, undefined, expected);
    return fallback;
  }
  if (!/^(0|[1-9][0-9]{0,38})$/.test(value) || BigInt(value) > u128Max) {
    throw new ConfigError(name, value, expected);
  }
  return BigInt(value);
}

/** Reads `host:port`, the host being a name, an IPv4 address or an IPv6 address in brackets. */
export function readAddress(env: Environment, name: string, fallback?: string): Address {
  const value = textOf(env, name) ?? fallback;
  const expected = "expected host:port, such as 127.0.0.1:5100";
  if (value === undefined) throw new ConfigError(name, undefined, expected);
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):([0-9]{1,5})$/.exec(value);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port > 65_535) throw new ConfigError(name, value, expected);
  return { host: match[1].replace(/^\[|\]$/g, ""), port };
}

/** Writes an address as `host:port`, an IPv6 host in brackets. */
export function formatAddress(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** Reads an http or https URL that may be absent. */
export function readOptionalUrl(env: Environment, name: string): URL | undefined {
  const value = textOf(env, name);
  if (value === undefined) return undefined;
  const url = URL.parse(value);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new ConfigError(name, value, "expected an http or https URL");
  }
  return url;
}

/**
 * Reads a secret from NAME, or from the file that NAME_FILE names, without its trailing line end.
 * The secret itself is never part of an error.
 */
export function readSecret(env: Environment, name: string): string {
  const secret = readOptionalSecret(env, name);
  if (secret === undefined) {
    throw new ConfigError(name, undefined, `give it a value, or name a file in ${name}_FILE`);
  }
  return secret;
}

/** Like `readSecret`, for a secret that may be absent. */
export function readOptionalSecret(env: Environment, name: string): string | undefined {
  const value = textOf(env, name);
  const fileVariable = `${name}_FILE`;
  const path = textOf(env, fileVariable);
  if (path === undefined) return value;
  if (value !== undefined) {
    throw new ConfigError(fileVariable, path, `${name} is set as well; give only one of them`);
  }
  return readSecretFile(fileVariable, path);
}

function readSecretFile(variable: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new ConfigError(variable, path, `the file cannot be read (${code})`);
  }
  const secret = text.replace(/\r?\n$/, "");
  if (secret === "") throw new ConfigError(variable, path, "the file is empty");
  return secret;
}
