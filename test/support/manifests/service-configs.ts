import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment } from "#common/process/environment.ts";
import type { ServiceName } from "#common/service-names.ts";
import { attestorConfig } from "../../../services/attestor/config.ts";
import { checkoutConfig } from "../../../services/checkout/config.ts";
import { clearingConfig } from "../../../services/clearing/config.ts";
import { eventStreamConfig } from "../../../services/eventstream/config.ts";
import { ledgerConfig } from "../../../services/ledger/config.ts";
import { stripeSimConfig } from "../../../services/stripe-sim/config.ts";
import { studioConfig } from "../../../services/studio/config.ts";

/** Every service and how it reads its environment. */
export const serviceConfigs = {
  attestor: attestorConfig,
  clearing: clearingConfig,
  ledger: ledgerConfig,
  eventstream: eventStreamConfig,
  checkout: checkoutConfig,
} as const satisfies Record<ServiceName, (env: Environment) => object>;

/** The services and Studio, which speaks no gRPC. */
export const partConfigs = { ...serviceConfigs, studio: studioConfig } as const;

export type PartName = keyof typeof partConfigs;
export const partNames = Object.keys(partConfigs) as PartName[];

/** And the simulator of Stripe, which is not everywhere. */
const allConfigs = { ...partConfigs, "stripe-sim": stripeSimConfig } as const;

/** Files that the configuration itself reads, with contents that it takes. */
const secrets = {
  DATABASE_URL_FILE: "postgres://sovr:secret@postgres:5432/sovr",
  ATTESTOR_PRIVATE_KEY_FILE: `0x${"11".repeat(32)}`,
  DEVELOPMENT_ISSUER_KEY_FILE: '{"kty":"OKP","crv":"Ed25519","x":"eA","d":"ZA"}',
  CHECKOUT_CREDENTIAL_KEY_FILE: '{"kty":"OKP","crv":"Ed25519","x":"eA","d":"ZA"}',
  SIGN_IN_KEY_FILE: '{"kty":"OKP","crv":"Ed25519","x":"eA","d":"ZA"}',
  OIDC_CLIENT_SECRET_FILE: "secret",
  STRIPE_SECRET_KEY_FILE: "sk_test_simulator_0",
  STRIPE_PUBLISHABLE_KEY_FILE: "pk_test_simulator_0",
  STRIPE_WEBHOOK_SECRET_FILE: "whsec_00000000",
};

/**
 * Has a service read an environment that a manifest gives it. Returns the names that it looked at. Throws the service's
 * own ConfigError for what is missing or bad.
 */
export function readByService(
  name: keyof typeof allConfigs,
  values: Environment,
): ReadonlySet<string> {
  const folder = mkdtempSync(join(tmpdir(), "sovr-config-"));
  try {
    const given: Record<string, string | undefined> = { ...values };
    for (const [variable, text] of Object.entries(secrets)) {
      if (given[variable] === undefined) continue;
      given[variable] = join(folder, variable);
      writeFileSync(join(folder, variable), text);
    }
    const read = new Set<string>();
    const watched = new Proxy(given, {
      get: (target, variable) => {
        if (typeof variable !== "string") return undefined;
        read.add(variable);
        return target[variable];
      },
    });
    allConfigs[name](watched);
    return read;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
