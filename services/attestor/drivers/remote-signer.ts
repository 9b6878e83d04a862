import { readFileSync } from "node:fs";
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { addressOfPublicKey } from "#common/intent/signature.ts";
import { ConfigError } from "#common/process/environment.ts";
import { type Numbers, type SigningService, WrongAnswer } from "./away-keys.ts";

/** A server that speaks Web3Signer's REST API for eth1 keys. */
export interface RemoteSigner {
  readonly url: URL;
  /** Paths of PEM files. Both or neither of the client's: with them the server knows who asks. */
  readonly tls: {
    readonly ca: string | undefined;
    readonly certificate: string | undefined;
    readonly key: string | undefined;
  };
}

const socketsMax = 32;
/** Of an answer, bytes: 64 public keys and more, or one signature. */
const answerMax = 64 * 1024;

/** Asks the server which keys it has. Throws ConfigError for files that cannot be read, Error if it does not answer. */
export async function openRemoteSigner(
  remote: RemoteSigner,
  signal: AbortSignal,
): Promise<SigningService & Disposable> {
  const server = connect(remote);
  try {
    const keys = new Map<string, string>();
    for (const key of await listKeys(server, signal)) keys.set(addressOf(key), key);
    return {
      what: "remote signer",
      keys,
      async sign(key, data, until) {
        const body = JSON.stringify({ data: `0x${Buffer.from(data.encode()).toString("hex")}` });
        // It hashes what it is given by itself, with keccak-256 and without a prefix.
        const path = `api/v1/eth1/sign/${key}`;
        return parseSignature((await server.ask("POST", path, until, body)).trim());
      },
      async probe(key, until) {
        if (!(await listKeys(server, until)).includes(key)) {
          throw new WrongAnswer(`the remote signer does not have the key ${key} any more`);
        }
      },
      [Symbol.dispose]: server.close,
    };
  } catch (error) {
    server.close();
    throw error;
  }
}

interface Server {
  /** The body of a 200. Rejects for everything else. */
  ask(method: string, path: string, signal: AbortSignal, body?: string): Promise<string>;
  close(): void;
}

function connect({ url, tls }: RemoteSigner): Server {
  const isSecure = url.protocol === "https:";
  const options = { keepAlive: true, maxSockets: socketsMax };
  const agent = isSecure ? new HttpsAgent(options) : new HttpAgent(options);
  const base = url.href.endsWith("/") ? url.href : `${url.href}/`;
  if (isSecure) readFiles(tls);
  return {
    ask: (method, path, signal, body) =>
      new Promise((resolve, reject) => {
        const send = isSecure ? requestHttps : requestHttp;
        const headers = body === undefined ? {} : { "content-type": "application/json" };
        // Read each time, so that a certificate that was renewed counts without a restart; the agent keeps apart the
        // connections that were opened with others.
        const files = isSecure ? readFiles(tls) : {};
        const sent = send(new URL(path, base), { method, agent, signal, headers, ...files });
        sent.on("error", reject);
        sent.on("response", (response) => readBody(response).then(resolve, reject));
        sent.end(body);
      }),
    close: () => agent.destroy(),
  };
}

/** Throws ConfigError that names the variable of a file that cannot be read. */
function readFiles({ ca, certificate, key }: RemoteSigner["tls"]) {
  const read = (variable: string, path: string | undefined) => {
    if (path === undefined) return undefined;
    try {
      return readFileSync(path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      throw new ConfigError(variable, path, `the file cannot be read (${code})`);
    }
  };
  return {
    ca: read("ATTESTOR_REMOTE_SIGNER_CA_FILE", ca),
    cert: read("ATTESTOR_REMOTE_SIGNER_CERTIFICATE_FILE", certificate),
    key: read("ATTESTOR_REMOTE_SIGNER_KEY_FILE", key),
  };
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > answerMax) throw new WrongAnswer("the remote signer's answer is too long");
    chunks.push(chunk);
  }
  const { statusCode = 0 } = response;
  if (statusCode === 200) return Buffer.concat(chunks).toString("utf8");
  const fault = `the remote signer answered ${statusCode}`;
  // 404: it has no such key. Another 4xx: it does not understand us. Neither mends itself.
  throw statusCode >= 400 && statusCode < 500 && statusCode !== 429
    ? new WrongAnswer(fault)
    : new Error(fault);
}

async function listKeys(server: Server, signal: AbortSignal): Promise<readonly string[]> {
  const text = await server.ask("GET", "api/v1/eth1/publicKeys", signal);
  const keys = parseJson(text);
  if (!Array.isArray(keys) || !keys.every(isPublicKey)) {
    throw new WrongAnswer("the remote signer's list of public keys is none");
  }
  return keys;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** 64 bytes, or 65 that begin with 04. */
function isPublicKey(value: unknown): value is string {
  return typeof value === "string" && /^0x(04)?[0-9a-fA-F]{128}$/.test(value);
}

function addressOf(key: string): string {
  const bytes = Buffer.from(key.slice(-128), "hex");
  return addressOfPublicKey(Buffer.concat([Buffer.of(4), bytes]));
}

function parseSignature(text: string): Numbers {
  // Some versions answer it as JSON, in quotes.
  const match = /^"?0x([0-9a-fA-F]{64})([0-9a-fA-F]{64})[0-9a-fA-F]{2}"?$/.exec(text);
  if (match === null) throw new WrongAnswer("the remote signer answered what is no signature");
  return { r: BigInt(`0x${match[1]}`), s: BigInt(`0x${match[2]}`) };
}
