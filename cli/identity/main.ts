import { createServer } from "node:http";
import { readAddress, readSecret, readString } from "#common/process/environment.ts";
import { closeHttp, listenHttp } from "#common/process/listen-http.ts";
import { createLogger } from "#common/process/logger.ts";
import { runMain } from "#common/process/run-main.ts";
import { stopOnSignal } from "#common/process/stop-on-signal.ts";
import { createIdentityListener } from "./provider.ts";

// The provider of identities of ./mesh up --sign-in: whoever comes chooses who to be. Development only.
await runMain(async () => {
  const { env } = process;
  const address = readAddress(env, "IDENTITY_ADDRESS", "127.0.0.1:5500");
  const logger = createLogger("identity", "info", { format: "auto" });
  const listener = createIdentityListener({
    issuer: `http://${address.host}:${address.port}`,
    clientId: readString(env, "IDENTITY_CLIENT_ID", "sovr-studio"),
    clientSecret: readSecret(env, "IDENTITY_CLIENT_SECRET"),
    redirectUri: readString(env, "IDENTITY_REDIRECT"),
  });
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, listener);
  server.maxConnections = 100;
  await listenHttp(server, "IDENTITY_ADDRESS", address);
  logger.warn("development: whoever comes chooses who to be");
  return stopOnSignal(logger, (forced) => closeHttp(server, 1_000, forced));
});
