import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { ConfigError } from "../environment.ts";
import type { Logger } from "../logger.ts";
import { watchExpiry } from "./certificate-metrics.ts";
import type { TlsConfig } from "./config.ts";
import { identityOf, urisOf } from "./identity.ts";
import type { PartName } from "./parts.ts";

/** What a part shows, and whom it believes. */
export interface Certificate {
  /** PEM: its own certificate and those between it and the authority. */
  readonly chain: Buffer;
  /** PEM. Secret. */
  readonly key: Buffer;
  /** PEM: the authorities that it trusts, several while they rotate. */
  readonly authorities: Buffer;
  /** Epoch milliseconds. */
  readonly expiresMs: number;
}

/** The certificate of a part, read again whenever its files change. */
export interface Certificates {
  readonly name: PartName;
  readonly trustDomain: string;
  /** What new connections are made with. One that is open stays as it is. */
  current(): Certificate;
  /** Calls back with every certificate that takes another's place. Returns the end of it. */
  onChange(listener: (certificate: Certificate) => void): () => void;
  close(): void;
}

const fileNames = ["tls.crt", "tls.key", "ca.crt"] as const;

/** How soon a change of the files is seen. They are three and small, and a folder in a container tells of no change. */
const lookMs = 2_000;

export interface CertificatesOptions {
  readonly config: TlsConfig;
  readonly name: PartName;
  readonly logger: Logger;
  readonly lookMs?: number;
}

/**
 * Opens the certificate of a part and keeps looking for another. Files that do not fit each other, as while one of them
 * is written, change nothing: the certificate that is there goes on, and the log says why. Throws ConfigError if there is
 * no good one at the start.
 */
export function openCertificates(options: CertificatesOptions): Certificates {
  const { config, name, logger } = options;
  const identity = identityOf(config.trustDomain, name);
  const read = (files: readonly Buffer[]) => readCertificate(files, identity, Date.now());
  let current = readAtStart(config, read);
  let seen = hashOf(filesOf(current));
  let closed = false;
  const listeners = new Set<(certificate: Certificate) => void>();
  const expiry = watchExpiry(() => current.expiresMs);

  let told = "";
  function keep(error: unknown, hash: string): void {
    const why = `${error instanceof Error ? error.message : String(error)} ${hash}`;
    if (why === told || closed) return;
    told = why;
    expiry.refused();
    const { folder } = config;
    logger.warn({ err: error, folder }, "the certificate there is no good; the old one stays");
  }

  function use(files: readonly Buffer[], hash: string): void {
    if (hash === seen || closed) return;
    current = read(files);
    seen = hash;
    expiry.reloaded();
    const expires = new Date(current.expiresMs).toISOString();
    logger.info({ folder: config.folder, expires }, "a new certificate is in use");
    for (const listener of listeners) listener(current);
  }

  async function look(): Promise<void> {
    let hash = "";
    try {
      const paths = fileNames.map((file) => join(config.folder, file));
      const files = await Promise.all(paths.map((path) => readFile(path)));
      hash = hashOf(files);
      use(files, hash);
      told = "";
    } catch (error) {
      keep(error, hash);
    }
  }

  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look().finally(() => {
      looking = false;
    });
  }, options.lookMs ?? lookMs);
  timer.unref();
  return {
    name,
    trustDomain: config.trustDomain,
    current: () => current,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      clearInterval(timer);
      expiry.close();
      listeners.clear();
    },
  };
}

function readAtStart(
  { folder }: TlsConfig,
  read: (files: readonly Buffer[]) => Certificate,
): Certificate {
  const files = fileNames.map((file) => {
    try {
      return readFileSync(join(folder, file));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      throw new ConfigError("TLS_FOLDER", folder, `${file} cannot be read there (${code})`);
    }
  });
  try {
    return read(files);
  } catch (error) {
    throw new ConfigError(
      "TLS_FOLDER",
      folder,
      error instanceof Error ? error.message : String(error),
    );
  }
}

function filesOf({ chain, key, authorities }: Certificate): readonly Buffer[] {
  return [chain, key, authorities];
}

function hashOf(files: readonly Buffer[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file.length}:`).update(file);
  return hash.digest("hex");
}

/** Takes the files for what they are. Throws Error, without anything of the key, if they are no pair, or not this part's. */
function readCertificate(
  [chain, key, authorities]: readonly Buffer[],
  identity: string,
  nowMs: number,
): Certificate {
  if (chain === undefined || key === undefined || authorities === undefined) {
    throw new Error(`${fileNames.join(", ")} are needed`);
  }
  const leaf = parsed("tls.crt", () => new X509Certificate(chain));
  const privateKey = parsed("tls.key", () => createPrivateKey(key));
  parsed("ca.crt", () => new X509Certificate(authorities));
  if (!leaf.checkPrivateKey(privateKey)) throw new Error("tls.key is not the key of tls.crt");
  if (!urisOf(leaf).includes(identity)) {
    throw new Error(
      `tls.crt is not that of ${identity}: it names ${leaf.subjectAltName ?? "nobody"}`,
    );
  }
  const [fromMs, expiresMs] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
  if (nowMs < fromMs)
    throw new Error(`tls.crt is good from ${leaf.validFromDate.toISOString()} on`);
  if (nowMs >= expiresMs) throw new Error(`tls.crt expired at ${leaf.validToDate.toISOString()}`);
  // All that follows would fail with one of them, so it fails here.
  createSecureContext({ cert: chain, key, ca: authorities });
  return { chain, key, authorities, expiresMs };
}

function parsed<Value>(file: string, parse: () => Value): Value {
  try {
    return parse();
  } catch {
    throw new Error(`${file} is no PEM that can be read`); // the cause may show what is in it
  }
}
