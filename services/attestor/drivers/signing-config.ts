import {
  ConfigError,
  type Environment,
  readOptionalSecret,
  readOptionalString,
  readOptionalUrl,
  readSecret,
} from "#common/process/environment.ts";
import type { SigningKeys } from "../signing-keys.ts";
import type { KeystoreFile } from "./keystore.ts";
import type { KmsKeys } from "./kms.ts";
import { createLocalKeys } from "./local-keys.ts";
import { type OpenedKeys, openKeys } from "./open-keys.ts";
import type { RemoteSigner } from "./remote-signer.ts";

/** More keys than rotations overlap are a mistake. */
const keysMax = 16;

/**
 * Reads where the Attestor's keys lie: in the environment, in keystores, at a remote signer, in AWS KMS, or, while signers
 * rotate, in several of them. Throws ConfigError, also if it is told of none. What it returns shows no secret.
 */
export function signingConfig(env: Environment): (signal: AbortSignal) => Promise<OpenedKeys> {
  const places = {
    local: readKeys(env, "ATTESTOR_PRIVATE_KEY"),
    keystores: readKeystores(env),
    remote: readRemoteSigner(env),
    kms: readKms(env),
  };
  const { local, keystores, remote, kms } = places;
  if (local === undefined && keystores.length === 0 && remote === undefined && kms === undefined) {
    throw new ConfigError(
      "ATTESTOR_PRIVATE_KEY",
      undefined,
      "give it a value, or name a file in ATTESTOR_PRIVATE_KEY_FILE, keystores in ATTESTOR_KEYSTORE_FILE, ATTESTOR_REMOTE_SIGNER_URL or ATTESTOR_KMS_KEY_IDS",
    );
  }
  return (signal) => openKeys(places, signal);
}

/** One private key or, while signers rotate, several with commas between. */
function readKeys(env: Environment, name: string): SigningKeys | undefined {
  const secret = readOptionalSecret(env, name);
  if (secret === undefined) return undefined;
  const texts = secret.split(",");
  const expected = `expected 1 to ${keysMax} secp256k1 private keys, 64 hex digits each, with commas between`;
  if (texts.length > keysMax) throw new ConfigError(name, "(hidden)", expected);
  try {
    return createLocalKeys(texts.map(parseKey));
  } catch {
    // The cause would show a part of the key.
    throw new ConfigError(name, "(hidden)", expected);
  }
}

function parseKey(text: string): Uint8Array {
  const digits = text.trim().replace(/^0x/, "");
  if (!/^[0-9a-fA-F]{64}$/.test(digits)) throw new RangeError("not 64 hex digits");
  return Buffer.from(digits, "hex");
}

/** All with one password: whoever may read one of them may read the others, which lie beside it. */
function readKeystores(env: Environment): readonly KeystoreFile[] {
  const paths = readList(env, "ATTESTOR_KEYSTORE_FILE");
  if (paths.length === 0) return [];
  const password = readSecret(env, "ATTESTOR_KEYSTORE_PASSWORD");
  return paths.map((path) => ({ path, password }));
}

function readRemoteSigner(env: Environment): RemoteSigner | undefined {
  const url = readOptionalUrl(env, "ATTESTOR_REMOTE_SIGNER_URL");
  if (url === undefined) return undefined;
  const certificate = readOptionalString(env, "ATTESTOR_REMOTE_SIGNER_CERTIFICATE_FILE");
  const key = readOptionalString(env, "ATTESTOR_REMOTE_SIGNER_KEY_FILE");
  if ((certificate === undefined) !== (key === undefined)) {
    const missing = key === undefined ? "KEY" : "CERTIFICATE";
    throw new ConfigError(
      `ATTESTOR_REMOTE_SIGNER_${missing}_FILE`,
      undefined,
      "a certificate and its key go together",
    );
  }
  const isLoopback = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url.protocol !== "https:" && !isLoopback) {
    throw new ConfigError(
      "ATTESTOR_REMOTE_SIGNER_URL",
      url.href,
      "expected https, or an address of this machine: whoever can ask the signer can sign",
    );
  }
  const ca = readOptionalString(env, "ATTESTOR_REMOTE_SIGNER_CA_FILE");
  return { url, tls: { ca, certificate, key } };
}

function readKms(env: Environment): KmsKeys | undefined {
  const keyIds = readList(env, "ATTESTOR_KMS_KEY_IDS");
  if (keyIds.length === 0) return undefined;
  return { keyIds, endpoint: readOptionalUrl(env, "ATTESTOR_KMS_ENDPOINT") };
}

/** Texts with commas between; none if the variable is absent. */
function readList(env: Environment, name: string): readonly string[] {
  const text = readOptionalString(env, name);
  if (text === undefined) return [];
  const items = text.split(",").map((item) => item.trim());
  if (items.length <= keysMax && items.every((item) => item !== "")) return items;
  throw new ConfigError(name, text, `expected 1 to ${keysMax} names with commas between`);
}
