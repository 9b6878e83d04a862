// The library puts certificates together with the help of this one, which must be there first.
import "reflect-metadata";
import { randomBytes, type webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** An authority that a mesh makes for itself: whoever has its key can be anybody in that mesh, and nowhere else. */
export interface Authority {
  /** PEM: its own certificate. */
  readonly certificate: string;
  /** PEM, PKCS #8. Secret. */
  readonly key: string;
}

/** What a certificate says, and for how long. */
export interface Subject {
  /** For people; nothing goes by it. */
  readonly name: string;
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
  readonly from: Date;
  readonly to: Date;
}

/** A certificate and its key, both PEM. */
export interface IssuedCertificate {
  readonly certificate: string;
  /** Secret. */
  readonly key: string;
}

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" };
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };

/** Makes an authority with a key of its own. */
export async function createAuthority({ name, from, to }: Subject): Promise<Authority> {
  x509.cryptoProvider.set(crypto);
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerialNumber(),
    name: [{ CN: [name] }],
    notBefore: from,
    notAfter: to,
    keys,
    signingAlgorithm,
    extensions: [
      // Signs certificates of parts, and none that sign others.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString("pem"), key: await pemOf(keys.privateKey) };
}

/** Makes a key and has the authority say whose it is. Both sides of a connection show such a certificate. */
export async function issueCertificate(
  authority: Authority,
  subject: Subject,
): Promise<IssuedCertificate> {
  x509.cryptoProvider.set(crypto);
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await crypto.subtle.importKey(
    "pkcs8",
    x509.PemConverter.decodeFirst(authority.key),
    keyAlgorithm,
    false,
    ["sign"],
  );
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    subject: [{ CN: [subject.name] }],
    issuer: issuer.subject,
    notBefore: subject.from,
    notAfter: subject.to,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(namesOf(subject)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { certificate: certificate.toString("pem"), key: await pemOf(keys.privateKey) };
}

function namesOf({ uris = [], dnsNames = [], addresses = [] }: Subject): x509.JsonGeneralNames {
  return [
    ...uris.map((value) => ({ type: "url" as const, value })),
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
    ...addresses.map((value) => ({ type: "ip" as const, value })),
  ];
}

/** 128 random bits, positive. */
function newSerialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`;
}
