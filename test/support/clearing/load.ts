import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import type { Intent } from "#common/intent/intent.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { clearIntent } from "../../../cli/client/clear-intent.ts";
import { fundingIntent, signIntent, usd } from "../../../cli/client/intents.ts";
import type { MeshClient } from "../../../cli/client/open-mesh.ts";
import type { Wallet } from "../../../cli/client/wallets.ts";
import { chart, houseIntentOf, intentOf, purchase } from "../intents/intents.ts";

export interface LoadOptions {
  readonly mesh: MeshClient;
  readonly wallet: Wallet;
  readonly random: () => number;
  readonly isOver: () => boolean;
  /** The longest pause between two clearings, in milliseconds. */
  readonly pauseMsMax: number;
}

/** Opens a wallet's account in dollars and puts 100,000.00 into it. */
export async function openFunded(mesh: MeshClient, { address }: Wallet): Promise<void> {
  const clearing = createClient(ClearingService, mesh.transport);
  await clearing.openWallet({ wallet: address, ledger: usd });
  await clearIntent(mesh, fundingIntent(10_000_000n, address));
}

/**
 * Clears one intent after another for a funded wallet through the services: fundings, purchases of one to three legs,
 * reservations that run out, are posted or are voided. What fails, because something is away, is left. Resolves with
 * the number of answers.
 */
export async function clearRandomly(options: LoadOptions): Promise<number> {
  const { mesh, wallet, random, isOver } = options;
  const open: Intent[] = [];
  let cleared = 0;
  while (!isOver()) {
    const intent = nextIntent(options, open);
    const isHouse = intent.wallet !== wallet.address;
    try {
      await clearIntent(mesh, intent, isHouse ? "" : signIntent(intent, wallet, mesh.identity));
      if (intent.phase === "PENDING") open.push(intent);
      cleared += 1;
    } catch {
      await sleep(50);
    }
    await sleep(Math.floor(random() * options.pauseMsMax));
  }
  return cleared;
}

/** What a wallet wants next; takes what it resolves out of `open`, its reservations. */
export function nextIntent(
  { wallet, random }: Pick<LoadOptions, "wallet" | "random">,
  open: Intent[],
): Intent {
  const amount = () => 1n + BigInt(Math.floor(random() * 20));
  const kind = random();
  if (kind < 0.15) return fundingIntent(amount(), wallet.address);
  const [pending] = kind < 0.35 ? open.splice(Math.floor(random() * open.length), 1) : [];
  if (pending !== undefined) {
    const { intentId: pendingIntentId, postings } = pending;
    const phase = random() < 0.5 ? "POST_PENDING" : "VOID_PENDING";
    return houseIntentOf({ phase, pendingIntentId, postings });
  }
  const goods = [chart.milk, chart.eggs, chart.bread].slice(0, 1 + Math.floor(random() * 3));
  const postings = goods.map((good) => purchase(wallet.address, amount(), good));
  if (kind < 0.6) {
    const timeoutSeconds = Math.floor(random() * 3);
    return intentOf({ wallet: wallet.address, phase: "PENDING", timeoutSeconds, postings });
  }
  return intentOf({ wallet: wallet.address, postings });
}
