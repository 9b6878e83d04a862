import { createPublicKey } from "node:crypto";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { addressOfPublicKey } from "#common/intent/signature.ts";
import { ConfigError } from "#common/process/environment.ts";
import { type Numbers, type SigningService, WrongAnswer } from "./away-keys.ts";

/** Keys in AWS KMS. Region and credentials are what the SDK finds, as in every program that uses AWS. */
export interface KmsKeys {
  /** Ids, ARNs or aliases of keys of the kind ECC_SECG_P256K1 for SIGN_VERIFY. */
  readonly keyIds: readonly string[];
  /** In place of AWS's own address in the region. */
  readonly endpoint: URL | undefined;
}

/** Asks for the public keys. Throws ConfigError for a key of another kind, Error if KMS does not answer. */
export async function openKms(
  { keyIds, endpoint }: KmsKeys,
  signal: AbortSignal,
): Promise<SigningService & Disposable> {
  // Loaded here: an Attestor whose keys lie elsewhere need not pay for it.
  const aws = await import("@aws-sdk/client-kms");
  const client = new aws.KMSClient({
    maxAttempts: 2,
    ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
  });
  const publicKeyOf = async (keyId: string, abortSignal: AbortSignal) => {
    const command = new aws.GetPublicKeyCommand({ KeyId: keyId });
    const { KeySpec, KeyUsage, PublicKey } = await tellFaults(
      client.send(command, { abortSignal }),
    );
    if (KeySpec === "ECC_SECG_P256K1" && KeyUsage === "SIGN_VERIFY" && PublicKey !== undefined) {
      return addressOfSpki(PublicKey);
    }
    const expected = `expected a key ECC_SECG_P256K1 for SIGN_VERIFY, found ${KeySpec} for ${KeyUsage}`;
    throw new ConfigError("ATTESTOR_KMS_KEY_IDS", keyId, expected);
  };
  try {
    const keys = new Map<string, string>();
    for (const keyId of keyIds) keys.set(await publicKeyOf(keyId, signal), keyId);
    return {
      what: "key management service",
      keys,
      async sign(keyId, { digest }, until) {
        const command = new aws.SignCommand({
          KeyId: keyId,
          Message: Buffer.from(digest.slice(2), "hex"),
          MessageType: "DIGEST",
          SigningAlgorithm: "ECDSA_SHA_256",
        });
        const { Signature } = await tellFaults(client.send(command, { abortSignal: until }));
        return parseDer(Signature ?? new Uint8Array());
      },
      async probe(keyId, until) {
        await publicKeyOf(keyId, until);
      },
      [Symbol.dispose]: () => client.destroy(),
    };
  } catch (error) {
    client.destroy();
    throw error;
  }
}

/**
 * Tells what mends itself, or may, from what somebody has to mend: throttling, faults of the server and broken connections
 * pass as they are; that the key is disabled, gone or not ours to use is a WrongAnswer.
 */
async function tellFaults<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const { $fault, name = "" } = error as { $fault?: string; name?: string };
    if ($fault !== "client" || /throttl|limit/i.test(name)) throw error;
    throw new WrongAnswer(`the key management service refuses: ${name}`, { cause: error });
  }
}

function addressOfSpki(der: Uint8Array): string {
  const { x, y } = createPublicKey({
    key: Buffer.from(der),
    format: "der",
    type: "spki",
  }).export({ format: "jwk" });
  if (x === undefined || y === undefined) throw new WrongAnswer("the public key has no point");
  const point = [x, y].map((text) => Buffer.from(text, "base64url"));
  return addressOfPublicKey(Buffer.concat([Buffer.of(4), ...point]));
}

function parseDer(der: Uint8Array): Numbers {
  try {
    const { r, s } = secp256k1.Signature.fromBytes(der, "der");
    return { r, s };
  } catch (error) {
    throw new WrongAnswer("the key management service answered what is no signature", {
      cause: error,
    });
  }
}
