// The certificates of x509 are put together by a library that needs this one first.
import "reflect-metadata";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** An authority that signs certificates for tests, into a folder. */
export interface TestAuthority {
  /** Path of its own certificate. */
  readonly ca: string;
  /** A certificate for 127.0.0.1 and localhost. */
  issue(name: string): Promise<CertificateFiles>;
}

export async function createAuthority(folder: string, name: string): Promise<TestAuthority> {
  x509.cryptoProvider.set(crypto);
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const lifetime = {
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + dayMs),
  };
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    ...lifetime,
  });
  const ca = join(folder, `${name}.pem`);
  writeFileSync(ca, own.toString("pem"));
  return {
    ca,
    async issue(subject) {
      const leaf = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const issued = await x509.X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: own.subject,
        publicKey: leaf.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [
          new x509.SubjectAlternativeNameExtension([
            { type: "ip", value: "127.0.0.1" },
            { type: "dns", value: "localhost" },
          ]),
        ],
        ...lifetime,
      });
      const files = {
        certificate: join(folder, `${subject}.pem`),
        key: join(folder, `${subject}.key`),
      };
      writeFileSync(files.certificate, issued.toString("pem"));
      const pkcs8 = await crypto.subtle.exportKey("pkcs8", leaf.privateKey);
      writeFileSync(files.key, x509.PemConverter.encode(pkcs8, "PRIVATE KEY"));
      return files;
    },
  };
}
