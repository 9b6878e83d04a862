import { type ChannelCredentials, credentials, experimental } from "@grpc/grpc-js";
import type { Certificate, Certificates } from "#common/process/tls/certificates.ts";
import type { ListenerName } from "#common/process/tls/parts.ts";
import { checkPeer } from "#common/process/tls/peer-options.ts";

/** With what a peer is called that wants a certificate. */
export interface PeerSecurity {
  readonly certificates: Certificates;
  /** Who must be at the other end. */
  readonly peer: ListenerName;
}

/** Credentials of a channel: in the clear without certificates, else mutual TLS, each connection with the newest. */
export function channelCredentials(security: PeerSecurity | undefined): ChannelCredentials {
  if (security === undefined) return credentials.createInsecure();
  const { certificates, peer } = security;
  const provider = providerOf(certificates);
  return experimental.createCertificateProviderChannelCredentials(provider, provider, {
    checkServerIdentity: checkPeer(certificates.trustDomain, peer),
  });
}

/** Our certificates in the words of grpc-js, whose own reader of files would take the two halves of two pairs for one. */
function providerOf(certificates: Certificates): experimental.CertificateProvider {
  const ends = new Map<unknown, () => void>();
  const listen = <Update>(
    listener: (update: Update) => void,
    toUpdate: (certificate: Certificate) => Update,
  ) => {
    listener(toUpdate(certificates.current()));
    const end = certificates.onChange((certificate) => listener(toUpdate(certificate)));
    ends.set(listener, end);
  };
  const forget = (listener: unknown) => {
    ends.get(listener)?.();
    ends.delete(listener);
  };
  return {
    addCaCertificateListener: (listener) =>
      listen(listener, ({ authorities }) => ({ caCertificate: authorities })),
    removeCaCertificateListener: forget,
    addIdentityCertificateListener: (listener) =>
      listen(listener, ({ chain, key }) => ({ certificate: chain, privateKey: key })),
    removeIdentityCertificateListener: forget,
  };
}
