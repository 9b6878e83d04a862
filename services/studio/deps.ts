import { join } from "node:path";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool } from "#common/postgres/pool.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import type { Certificates } from "#common/process/tls/certificates.ts";
import { openWire } from "#common/process/tls/open-wire.ts";
import { createRateLimit } from "#common/rate-limit.ts";
import type { DevelopmentConfig, StudioConfig } from "./config.ts";
import { openFaucet } from "./development/faucet.ts";
import { createDevelopment, type Development } from "./development/giveaway.ts";
import { openIssuer } from "./development/issuer.ts";
import { createProvider } from "./drivers/provider.ts";
import { createSessionStore, migrations } from "./drivers/session-store.ts";
import type { SignInConfig } from "./sign-in/config.ts";
import { callbackPath } from "./sign-in/cookies.ts";
import { signInLimits } from "./sign-in/limits.ts";
import { createSignIn, type SignIn } from "./sign-in/sign-in.ts";
import { openTokenSigner } from "./sign-in/sign-token.ts";
import { loadStaticFiles, type StaticFiles } from "./static-files.ts";

/** What Studio's server is made of. */
export interface StudioDeps {
  readonly files: StaticFiles;
  /** Undefined: there is no /dev/. */
  readonly development: Development | undefined;
  /** Undefined: nobody can sign in. */
  readonly signIn: SignIn | undefined;
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
  const closing: (() => Promise<void>)[] = [async () => certificates?.close()];
  const signedIn = config.signIn && (await openSignIn(config.signIn, logger));
  if (signedIn !== undefined) closing.unshift(signedIn.close);
  let development: Development | undefined;
  if (config.development !== undefined) {
    const gives = signedIn === undefined ? "tokens and play money" : "play money";
    logger.warn(`development: /dev/ gives ${gives} to everybody`);
    const opened = await openDevelopment(config.development, certificates, signedIn?.walletOf);
    development = opened.development;
    closing.unshift(opened.close);
  }
  return {
    files,
    certificates,
    logger,
    development,
    signIn: signedIn?.signIn,
    async close() {
      for (const close of closing) await close();
    },
  };
}

async function openSignIn(config: SignInConfig, logger: Logger) {
  const { databaseUrl, origin, chainId } = config;
  await migrateAtStart(databaseUrl, "studio", migrations, (details, message) =>
    logger.info(details, message),
  );
  const pool = createPool({
    databaseUrl,
    applicationName: "sovr-studio",
    connectionsMax: 4,
    statementTimeoutMs: 5_000,
    role: "sovr_studio",
  });
  const signer = await openTokenSigner(config);
  const nowMs = Date.now;
  const signIn = createSignIn({
    store: createSessionStore(pool, config.idleSeconds * 1_000),
    provider: config.provider && createProvider(config.provider, new URL(callbackPath, origin)),
    signToken: signer.sign,
    origin,
    chainId,
    sessionMs: config.sessionSeconds * 1_000,
    challenges: createRateLimit({
      what: "challenges in a minute",
      perWallet: signInLimits.challengesOfAddress,
      nowMs,
    }),
    attempts: createRateLimit({
      what: "sign-ins begun in a minute",
      perWallet: signInLimits.attemptsOfAddress,
      nowMs,
    }),
    nowMs,
  });
  return { signIn, walletOf: signer.walletOf, close: () => pool.end() };
}

function load(folder: string): StaticFiles {
  try {
    return loadStaticFiles(folder);
  } catch (error) {
    throw new Error(
      `the app in ${folder} cannot be loaded: node cli/bring/build-studio.ts makes it`,
      {
        cause: error,
      },
    );
  }
}

/** `walletOf`: of the tokens that a sign-in gives; without it the faucet takes those of /dev/. */
async function openDevelopment(
  config: DevelopmentConfig,
  certificates: Certificates | undefined,
  walletOf: ((token: string) => Promise<string | undefined>) | undefined,
) {
  const issuer = await openIssuer(config);
  const faucet = openFaucet({ ...config, token: issuer.signHouseToken, certificates });
  const nowMs = Date.now;
  const development = createDevelopment({
    signToken: issuer.signWalletToken,
    walletOf: walletOf ?? issuer.walletOf,
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
