import { asError } from "#common/domain-error.ts";
import { ConfigError } from "#common/process/environment.ts";
import { joinSigningKeys, type SigningKeys } from "../signing-keys.ts";
import { createAwayKeys } from "./away-keys.ts";
import { type KeystoreFile, readKeystore } from "./keystore.ts";
import { type KmsKeys, openKms } from "./kms.ts";
import { createLocalKeys } from "./local-keys.ts";
import { openRemoteSigner, type RemoteSigner } from "./remote-signer.ts";

/** Where keys lie. */
export interface KeyPlaces {
  readonly local: SigningKeys | undefined;
  readonly keystores: readonly KeystoreFile[];
  readonly remote: RemoteSigner | undefined;
  readonly kms: KmsKeys | undefined;
}

export interface OpenedKeys {
  readonly keys: SigningKeys;
  close(): void;
}

/**
 * Opens the keys of every place: decrypts, and asks the services for their addresses. Throws ConfigError, also for a service
 * that does not answer before `signal` fires.
 */
export async function openKeys(places: KeyPlaces, signal: AbortSignal): Promise<OpenedKeys> {
  using opened = new DisposableStack();
  const { local, keystores, remote, kms } = places;
  const all = local === undefined ? [] : [local];
  if (keystores.length > 0) {
    all.push(createLocalKeys(await Promise.all(keystores.map(readKeystore))));
  }
  if (remote !== undefined) {
    const open = () => openRemoteSigner(remote, signal);
    const { origin } = remote.url;
    all.push(createAwayKeys(opened.use(await named("ATTESTOR_REMOTE_SIGNER_URL", origin, open))));
  }
  if (kms !== undefined) {
    const open = () => openKms(kms, signal);
    const keyIds = kms.keyIds.join();
    all.push(createAwayKeys(opened.use(await named("ATTESTOR_KMS_KEY_IDS", keyIds, open))));
  }
  const kept = opened.move();
  return { keys: joinSigningKeys(all), close: () => kept.dispose() };
}

/** Names the variable by which a service was found that cannot be opened. */
async function named<T>(variable: string, value: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(variable, value, `its keys cannot be listed: ${asError(error).message}`);
  }
}
