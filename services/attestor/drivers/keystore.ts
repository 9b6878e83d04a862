import { readFileSync } from "node:fs";
import { decryptKeystoreJson, isKeystoreJson } from "ethers";
import { asError } from "#common/domain-error.ts";
import { ConfigError } from "#common/process/environment.ts";

/** A key encrypted with a password: Web3 Secret Storage, version 3, as geth, Foundry and ethers write it. */
export interface KeystoreFile {
  readonly path: string;
  readonly password: string;
}

/** A keystore is a few hundred bytes; what is larger is something else. */
const sizeMax = 64 * 1024;

/** The 32 bytes of the private key. Takes seconds: the password is stretched. Throws ConfigError. */
export async function readKeystore({ path, password }: KeystoreFile): Promise<Uint8Array> {
  const json = readWhole(path);
  if (!isKeystoreJson(json)) throw refused(path, "expected a keystore of version 3 (JSON)");
  try {
    const { privateKey } = await decryptKeystoreJson(json, password);
    return Buffer.from(privateKey.slice(2), "hex");
  } catch (error) {
    // Of the library's words only the first: what follows may quote what it was given.
    const isPassword = asError(error).message.startsWith("incorrect password");
    throw refused(
      path,
      isPassword ? "the password is not the keystore's" : "the keystore cannot be decrypted",
    );
  }
}

function readWhole(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw refused(path, `the file cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (text.length > sizeMax)
    throw refused(path, "expected a keystore, which is no such large file");
  return text;
}

function refused(path: string, expected: string): ConfigError {
  return new ConfigError("ATTESTOR_KEYSTORE_FILE", path, expected);
}
