import { readFileSync, statSync } from "node:fs";
import { asError } from "#common/domain-error.ts";
import { ConfigError } from "#common/process/environment.ts";
import { noPolicies, type Policies, type PolicyVersion } from "./policy.ts";
import { readPolicies } from "./read-policies.ts";

/** The file of approval policies, read again when it changes. */
export interface PoliciesFile {
  /** The policies as last read well. */
  current(): Policies;
  close(): void;
}

/** The variable that names the file. */
export const policiesVariable = "APPROVALS_PATH";

/** How often the file's time and size are looked at, in milliseconds. A revocation takes effect within it. */
const pollMs = 1_000;
/** A policy is some hundred lines; what is larger is something else. */
const bytesMax = 4 * 1024 * 1024;

/**
 * Opens the file of policies; without a path there is none, and nothing needs approval. One that cannot be read stops the
 * start: throws ConfigError. Later on the last good content stays in force and `onFault` is told: a bad file must neither
 * stop the mesh nor open it.
 */
export function openPoliciesFile(
  path: string | undefined,
  nowSeconds: () => bigint,
  onFault: (error: unknown, message: string) => void,
): PoliciesFile {
  if (path === undefined) return { current: () => noPolicies, close: () => undefined };
  let { seen, policies } = firstReading(path);
  let problem = "";
  const timer = setInterval(() => {
    try {
      const current = version(path);
      if (current === seen) return;
      policies = successors(policies, readPolicies(readText(path)), nowSeconds());
      seen = current;
      problem = "";
    } catch (error) {
      // Told once, not once a second for as long as it lasts.
      if (problem !== String(error))
        onFault(error, "the file of approval policies is bad; the policies stay as they were");
      problem = String(error);
    }
  }, pollMs);
  timer.unref();
  return { current: () => policies, close: () => clearInterval(timer) };
}

/** Reads the file of policies once. Throws ConfigError. */
export function readPoliciesFile(path: string | undefined): Policies {
  return path === undefined ? noPolicies : firstReading(path).policies;
}

function firstReading(path: string): { readonly seen: string; readonly policies: Policies } {
  try {
    // The version first: a change between the two reads is then seen once more, not missed.
    const seen = version(path);
    return { seen, policies: readPolicies(readText(path)) };
  } catch (error) {
    throw new ConfigError(policiesVariable, path, asError(error).message);
  }
}

function readText(path: string): string {
  if (statSync(path).size > bytesMax) throw new Error(`is larger than ${bytesMax} bytes`);
  return readFileSync(path, "utf8");
}

/**
 * The new policies, unless they say otherwise of a time that has come: what was judged by a version must stay judged by it,
 * and a revocation known.
 */
function successors(old: Policies, next: Policies, nowSeconds: bigint): Policies {
  const past = old.versions.filter(({ activeFrom }) => activeFrom <= nowSeconds);
  const changed = past.find((known, index) => plain(known) !== plain(next.versions[index]));
  if (changed !== undefined) {
    const since = new Date(Number(changed.activeFrom) * 1_000).toISOString();
    throw new Error(`the version of ${since} has changed; put a new version behind it`);
  }
  const late = next.versions.find(
    ({ activeFrom }, index) => index >= past.length && activeFrom <= nowSeconds,
  );
  if (late !== undefined) throw new Error("a new version begins in the future");
  for (const [address, revokeTime] of old.revokeTimes) {
    if (revokeTime <= nowSeconds && next.revokeTimes.get(address) !== revokeTime)
      throw new Error(`${address} is revoked, and stays so`);
  }
  return next;
}

/** A version as a text, the same for the same. */
function plain(version: PolicyVersion | undefined): string {
  return JSON.stringify(version, (_, value: unknown) => {
    if (typeof value === "bigint") return value.toString();
    if (value instanceof Map || value instanceof Set) return [...value];
    return value;
  });
}

function version(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs}/${size}/${ino}`;
}
