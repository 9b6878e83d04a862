import type { LedgerReader } from "#common/ledger/reader.ts";
import { type CommittedTransfer, digestPrefix, transferId } from "#common/ledger/transfer-rows.ts";
import type { IntentKey } from "./ports.ts";

/**
 * What the ledger holds of an intent. ALL: every leg, under its digest. PART: some legs, or transfers of another digest
 * under their ids.
 */
export interface Holding {
  readonly kind: "ALL" | "PART" | "NONE";
  /** Of the newest transfer found, nanoseconds; 0 with NONE. */
  readonly newest: bigint;
}

/** Transfers that are looked up at once: what bounds the memory, for an intent may have 64. */
const idsMax = 4_096;

/** Looks up the transfers of intents; the answers stand in their order. LEDGER_UNAVAILABLE. */
export async function readHoldings(
  ledger: Pick<LedgerReader, "findTransfers">,
  intents: readonly IntentKey[],
): Promise<Holding[]> {
  const holdings: Holding[] = [];
  for (let first = 0; first < intents.length; ) {
    const group: { readonly intent: IntentKey; readonly ids: readonly bigint[] }[] = [];
    for (let ids = 0; first < intents.length && ids < idsMax; first += 1) {
      const intent = intents[first];
      if (intent === undefined) break;
      group.push({ intent, ids: legIds(intent) });
      ids += intent.legs;
    }
    const found = await ledger.findTransfers(group.flatMap(({ ids }) => ids));
    holdings.push(...group.map(({ intent, ids }) => holdingOf(intent, ids, found)));
  }
  return holdings;
}

/** The ids of an intent's transfers, in the order of its legs. */
export function legIds({ intentId, legs }: IntentKey): bigint[] {
  return Array.from({ length: legs }, (_, leg) => transferId(intentId, leg));
}

function holdingOf(
  { digest, legs }: IntentKey,
  ids: readonly bigint[],
  found: ReadonlyMap<bigint, CommittedTransfer>,
): Holding {
  const { userData128, userData64 } = digestPrefix(digest);
  let own = 0;
  let any = 0;
  let newest = 0n;
  for (const [leg, id] of ids.entries()) {
    const transfer = found.get(id);
    if (transfer === undefined) continue;
    any += 1;
    if (transfer.timestamp > newest) newest = transfer.timestamp;
    const isOwn =
      transfer.userData128 === userData128 &&
      transfer.userData64 === userData64 &&
      transfer.userData32 === ((legs << 16) | leg) >>> 0;
    if (isOwn) own += 1;
  }
  if (any === 0) return { kind: "NONE", newest };
  return { kind: own === legs ? "ALL" : "PART", newest };
}
