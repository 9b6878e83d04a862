import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { listWallets } from "../../../cli/client/wallets.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import type { TestMesh } from "./mesh.ts";

/** All that a mesh has said so far: the log of every part, which is its output, and its metrics. By name. */
export async function outputOf(mesh: TestMesh): Promise<Map<string, string>> {
  const folder = join(mesh.settings.state, "logs");
  const output = new Map(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")] as const),
  );
  for (const [name, { metrics }] of Object.entries(mesh.services)) {
    const response = await fetch(`http://${metrics}/metrics`);
    output.set(`metrics of ${name}`, await response.text());
  }
  return output;
}

/** Every secret of a mesh's own: what its files hold that only their owner may read. By what it is. */
export function secretsOf({ settings }: TestMesh): Map<string, string> {
  const keys = keyFiles(settings);
  const privateHalf = (file: string) => (JSON.parse(readFileSync(file, "utf8")) as { d: string }).d;
  const text = (file: string) => readFileSync(file, "utf8").trim();
  return new Map([
    ["the issuer's private key", privateHalf(keys.issuer)],
    ["Checkout's private key", privateHalf(keys.checkout)],
    ["the Attestor's private key", text(keys.attestor).slice(2)],
    ["the database's password", text(keys.databasePassword)],
    ["Stripe's secret key", text(keys.stripe.secretKey)],
    ["Stripe's webhook secret", text(keys.stripe.webhookSecret)],
    ...listWallets(settings).map(
      ({ name, privateKey }) => [`the private key of ${name}`, privateKey.slice(2)] as const,
    ),
  ]);
}

/** A card's number as people and programs write it. */
export function spellings(card: string): string[] {
  const groups = card.match(/.{4}/g) ?? [];
  return [card, groups.join(" "), groups.join("-")];
}
