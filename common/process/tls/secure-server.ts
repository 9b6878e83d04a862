import { constants } from "node:crypto";
import type { Socket } from "node:net";
import type { SecureContextOptions, Server, TLSSocket, TlsOptions } from "node:tls";
import type { Logger } from "../logger.ts";
import { tlsInstruments } from "./certificate-metrics.ts";
import type { Certificate, Certificates } from "./certificates.ts";
import { identityOf, urisOf } from "./identity.ts";
import { callersOf, type ListenerName } from "./parts.ts";

/**
 * Of TLS 1.2 what Mozilla calls intermediate, without DHE: keys that are agreed upon anew, and ciphers that authenticate.
 * TLS 1.3, which has no others, is taken wherever both sides have it.
 */
export const cipherSuites = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** How long a client has to say who it is. */
const handshakeMs = 10_000;

/** What a secure context of either side is made with. */
export function contextOptions({ chain, key, authorities }: Certificate): SecureContextOptions {
  return {
    cert: chain,
    key,
    ca: authorities,
    minVersion: "TLSv1.2",
    ciphers: cipherSuites,
    /*
     * No tickets: a session that is resumed is not verified again, and would outlive the authority that it was verified
     * by. Connections last, so that nothing is gained by them.
     */
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** The options of a server that takes connections of parts of the mesh and of nobody else. */
export function secureServerOptions(
  certificates: Certificates,
  protocols: readonly string[],
): TlsOptions {
  return {
    ...contextOptions(certificates.current()),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: handshakeMs,
    ALPNProtocols: [...protocols],
  };
}

export interface SecureServerOptions {
  readonly certificates: Certificates;
  /** Whose server it is: who may call it follows. */
  readonly name: ListenerName;
  readonly environment: string;
  readonly logger: Logger;
}

/**
 * Hands connections of those who may call on, and ends all others; new connections are made with the newest certificate.
 * What the server would do by itself with a secure connection is the caller's to remove. Returns what cuts every
 * connection, those too whose handshake has not ended.
 */
export function guardServer(
  server: Server,
  { certificates, name, environment, logger }: SecureServerOptions,
  onConnection: (socket: TLSSocket) => void,
): () => void {
  const callers = callersOf(name, environment).map((caller) =>
    identityOf(certificates.trustDomain, caller),
  );
  const { refused } = tlsInstruments();
  const stopRenewing = certificates.onChange((certificate) =>
    server.setSecureContext(contextOptions(certificate)),
  );
  server.once("close", stopRenewing);
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    // Whoever cuts a connection cuts off nobody else; without a listener it would end the process.
    socket.on("error", (error) => logger.debug({ err: error }, "a connection was cut"));
    const certificate = socket.getPeerX509Certificate();
    const uris = certificate === undefined ? [] : urisOf(certificate);
    if (uris.some((uri) => callers.includes(uri))) return onConnection(socket);
    refused.add(1, { why: "caller" });
    logger.warn({ from: socket.remoteAddress, uris }, "a part that may not call here was refused");
    socket.destroy();
  });
  server.on("tlsClientError", (error: Error, socket: Socket) => {
    refused.add(1, { why: "handshake" });
    // Anybody who reaches the port can cause it, as often as he likes: the metric has it, the log on request.
    logger.debug({ err: error, from: socket.remoteAddress }, "a handshake failed");
  });
  return () => {
    for (const socket of open) socket.destroy();
  };
}
