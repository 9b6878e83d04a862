import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { databaseUsers, type ServiceName } from "#common/service-names.ts";
import type { KeyFiles } from "./keys.ts";
import { keepWhole, makeFolder } from "./write-whole.ts";

/** What is handed out to a part: the name that it finds, and the file that it is. */
type Handed = Readonly<Record<string, string>>;

/** Which keys each part of a mesh in containers is given, and no other. */
export function handedOut(keys: KeyFiles): Readonly<Record<string, Handed>> {
  const { stripe, databaseLogins } = keys;
  const service = (name: ServiceName): Handed => ({
    "jwks.json": keys.jwks,
    "signers.json": keys.signers,
    "database-url": databaseLogins[name].url,
  });
  return {
    attestor: { ...service("attestor"), "attestor.key": keys.attestor },
    clearing: service("clearing"),
    ledger: service("ledger"),
    eventstream: service("eventstream"),
    checkout: {
      ...service("checkout"),
      "checkout.jwk": keys.checkout,
      "stripe-secret-key": stripe.secretKey,
      "stripe-webhook-secret": stripe.webhookSecret,
    },
    studio: {
      "jwks.json": keys.jwks,
      "issuer.jwk": keys.issuer,
      "studio.jwk": keys.studio,
      "database-url": databaseLogins.studio.url,
      "stripe-publishable-key": stripe.publishableKey,
    },
    "stripe-sim": {
      "stripe-secret-key": stripe.secretKey,
      "stripe-publishable-key": stripe.publishableKey,
      "stripe-webhook-secret": stripe.webhookSecret,
    },
    envoy: { "jwks.json": keys.jwks },
    postgres: { "database-password": keys.databasePassword },
    migrate: {
      "database-url": keys.databaseUrl,
      ...Object.fromEntries(
        databaseUsers.map((name) => [`database-url-${name}`, databaseLogins[name].url]),
      ),
    },
  };
}

/** Copies each part's keys into a folder of its name below `target`, so that a container can be given that one alone. */
export function handOut(keys: KeyFiles, target: string): void {
  for (const [part, files] of Object.entries(handedOut(keys))) {
    const folder = join(target, part);
    makeFolder(folder);
    chmodSync(folder, 0o700);
    for (const [name, file] of Object.entries(files)) {
      keepWhole(join(folder, name), readFileSync(file, "utf8"));
    }
  }
}
