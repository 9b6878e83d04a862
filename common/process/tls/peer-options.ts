import { X509Certificate } from "node:crypto";
import type { ConnectionOptions, PeerCertificate } from "node:tls";
import type { Certificates } from "./certificates.ts";
import { identityOf, urisOf } from "./identity.ts";
import type { ListenerName } from "./parts.ts";
import { contextOptions } from "./secure-server.ts";

/** How a peer is called by TLS, with the certificate that is in use now; it fails if somebody else answers. */
export function peerOptions(certificates: Certificates, peer: ListenerName): ConnectionOptions {
  return {
    ...contextOptions(certificates.current()),
    checkServerIdentity: checkPeer(certificates.trustDomain, peer),
  };
}

/** In place of the check of a name: an address says where a peer is, and a certificate who. */
export function checkPeer(trustDomain: string, peer: ListenerName) {
  const identity = identityOf(trustDomain, peer);
  return (_: string, { raw }: Pick<PeerCertificate, "raw">): Error | undefined => {
    const uris = urisOf(new X509Certificate(raw));
    if (uris.includes(identity)) return undefined;
    return new Error(`${identity} was called, and ${uris.join(", ") || "nobody"} answered`);
  };
}
