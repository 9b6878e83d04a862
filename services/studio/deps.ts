import { join } from "node:path";
import { createLogger, type Logger } from "#common/process/logger.ts";
import type { Certificates } from "#common/process/tls/certificates.ts";
import { openWire } from "#common/process/tls/open-wire.ts";
import { createRateLimit } from "#common/rate-limit.ts";
import type { DevelopmentConfig, StudioConfig } from "./config.ts";
import { openFaucet } from "./development/faucet.ts";
import { createDevelopment, type Development } from "./development/giveaway.ts";
import { openIssuer } from "./development/issuer.ts";
import { loadStaticFiles, type StaticFiles } from "./static-files.ts";

/** What Studio's server is made of. */
export interface StudioDeps {
  readonly files: StaticFiles;
  /** Undefined: there is no /dev/. */
  readonly development: Development | undefined;
  /** Its own; undefined: it speaks in the clear. */
  readonly certificates: Certificates | undefined;
  readonly logger: Logger;
  readonly close: () => Promise<void>;
}

/** What tests put in place of the real thing. */
export interface StudioOverrides {
  /** The folder of the built app; default is dist/ beside this file. */
  readonly folder?: string;
  readonly logger?: Logger;
}

/** Loads the app and, where there is a key for it, opens what /dev/ needs. Throws Error if the app was not built. */
export async function createStudioDeps(
  config: StudioConfig,
  overrides: StudioOverrides = {},
): Promise<StudioDeps> {
  const logger =
    overrides.logger ?? createLogger("studio", config.logLevel, { format: config.logFormat });
  const files = load(overrides.folder ?? join(import.meta.dirname, "dist"));
  const certificates = openWire(config.wire, "studio", logger);
  const common = { files, certificates, logger };
  if (config.development === undefined) {
    return { ...common, development: undefined, close: async () => certificates?.close() };
  }
  logger.warn("development: /dev/ gives tokens and play money to everybody");
  const { development, close } = await openDevelopment(config.development, certificates);
  return {
    ...common,
    development,
    async close() {
      await close();
      certificates?.close();
    },
  };
}

function load(folder: string): StaticFiles {
  try {
    return loadStaticFiles(folder);
  } catch (error) {
    throw new Error(`the app in ${folder} cannot be loaded: node cli/build-studio.ts makes it`, {
      cause: error,
    });
  }
}

async function openDevelopment(config: DevelopmentConfig, certificates: Certificates | undefined) {
  const issuer = await openIssuer(config);
  const faucet = openFaucet({ ...config, token: issuer.signHouseToken, certificates });
  const nowMs = Date.now;
  const development = createDevelopment({
    signToken: issuer.signWalletToken,
    walletOf: issuer.walletOf,
    fund: faucet.fund,
    challenges: createRateLimit({
      what: "challenges in a minute",
      perWallet: 60,
      inAll: 600,
      nowMs,
    }),
    fundings: createRateLimit({ what: "fundings in a minute", perWallet: 6, inAll: 60, nowMs }),
    nowMs,
  });
  return { development, close: async () => faucet.close() };
}
