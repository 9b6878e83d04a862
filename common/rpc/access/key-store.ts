import { readFileSync, statSync } from "node:fs";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  type JWTVerifyGetKey,
  type LocalJWKSet,
} from "jose";
import { ConfigError } from "#common/process/environment.ts";
import type { Logger } from "#common/process/logger.ts";
import type { KeySource } from "../runtime-config.ts";
import { type KeyRights, parseKeyRights, rightsOf } from "./key-rights.ts";

/** The public keys of the token issuer. */
export interface KeyStore {
  /** Finds the key that a token names. */
  readonly getKey: JWTVerifyGetKey;
  /** What the tokens of the key that a token names may be good for. Throws Error if that cannot be read. */
  rightsOf(kid: string | undefined): KeyRights;
  /** Rises whenever the keys changed: what an older generation verified must be verified again. */
  generation(): number;
}

/** How often the file is looked at, at most. A rotated key is known, and a withdrawn one refused, after this long. */
const fileCheckIntervalMs = 1_000;

/** Opens the key set. A file that cannot be read or parsed now is a ConfigError; one that breaks later keeps its last good keys. */
export function openKeyStore(source: KeySource, logger: Logger): KeyStore {
  return source.kind === "file" ? openKeyFile(source.path, logger) : openKeyUrl(source.url);
}

/** Fetches with a deadline and caches; jose refetches when a token names an unknown key, at most every 30 s. */
function openKeyUrl(url: URL): KeyStore {
  const getKey = createRemoteJWKSet(url, {
    timeoutDuration: 5_000,
    cooldownDuration: 30_000,
    cacheMaxAge: 300_000,
  });
  // Parsed anew: the keys are fetched behind our back, and a token is verified once in minutes.
  const rights = (kid: string | undefined) => rightsOf(parseKeyRights(getKey.jwks() ?? {}), kid);
  return { getKey, rightsOf: rights, generation: () => 0 };
}

function openKeyFile(path: string, logger: Logger): KeyStore {
  let version = fileVersion(path);
  let keys = readKeys(path);
  let generation = 0;
  let checkedAtMs = Date.now();

  function refresh(): void {
    const nowMs = Date.now();
    if (nowMs - checkedAtMs < fileCheckIntervalMs) return;
    checkedAtMs = nowMs;
    try {
      const newVersion = fileVersion(path);
      if (newVersion === version) return;
      keys = readKeys(path);
      version = newVersion;
      generation += 1;
      logger.info({ path }, "token keys reloaded");
    } catch (error) {
      logger.warn({ path, err: error }, "token keys cannot be reloaded; the last good ones stay");
    }
  }

  return {
    getKey: (header, token) => keys.get(header, token),
    rightsOf: (kid) => rightsOf(keys.rights, kid),
    generation() {
      refresh();
      return generation;
    },
  };
}

/** Changes when the file does; a mounted secret is replaced by rename, so the inode counts too. */
function fileVersion(path: string): string {
  try {
    const { mtimeMs, ino, size } = statSync(path);
    return `${mtimeMs} ${ino} ${size}`;
  } catch (error) {
    throw new ConfigError("JWT_JWKS_FILE", path, `the file cannot be read (${reason(error)})`);
  }
}

interface FileKeys {
  readonly get: LocalJWKSet;
  readonly rights: ReadonlyMap<string, KeyRights>;
}

function readKeys(path: string): FileKeys {
  try {
    const jwks = JSON.parse(readFileSync(path, "utf8"));
    return { get: createLocalJWKSet(jwks), rights: parseKeyRights(jwks) };
  } catch (error) {
    throw new ConfigError("JWT_JWKS_FILE", path, `expected a JSON Web Key Set (${reason(error)})`);
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return "unknown fault";
  return "code" in error ? String(error.code) : error.message;
}
