import { join } from "node:path";
import { describeError } from "../command/problem.ts";
import { bringChromium } from "./chromium.ts";
import { requireEnvoy } from "./envoy.ts";
import { bringGrpcurl } from "./grpcurl.ts";
import { bringPostgresClient } from "./postgres-client.ts";
import { bringStripeMock } from "./stripe-mock.ts";

/**
 * Brings the programs that tests need and this machine lacks, where that needs no question. Returns PATH with
 * them on it. What cannot be brought is said here, and its tests are skipped by name or fail with the reason.
 */
export async function bringTestPrograms(root: string): Promise<string> {
  const bin = join(root, ".toolchain/bin");
  await requireEnvoy(root, () => console.log("installing Envoy …")).catch((error: unknown) => {
    console.log(`no Envoy: ${describeError(error)}`);
  });
  tellMissing("grpcurl", await bringGrpcurl(bin), "its tests are skipped");
  tellMissing("stripe-mock", await bringStripeMock(bin), "its tests are skipped");
  tellMissing("chromium", await bringChromium(), "the browser tests are skipped");
  const { folder, why } = await bringPostgresClient(root);
  tellMissing("pg_dump", why, "the test of the restore is skipped");
  const { PATH = "" } = process.env;
  return [bin, ...(folder === undefined ? [] : [folder]), PATH].join(":");
}

function tellMissing(name: string, why: string | undefined, skipped: string): void {
  if (why !== undefined) console.log(`no ${name}: ${why}; ${skipped}`);
}
