import { setTimeout as sleep } from "node:timers/promises";
import type { Account, Client } from "tigerbeetle-node";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { clusterTime } from "#common/tigerbeetle/cluster-time.ts";
import { engineConfig } from "#common/tigerbeetle/engine-config.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { everythingIn, parseTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import { recordsEnvironment } from "../../../cli/parts/records-environment.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import { LedgerModel } from "../ledger/ledger-model.ts";
import type { TestMesh } from "../mesh/mesh.ts";
import type { JudgedLoad } from "./judged-load.ts";

/** What became of all that clients were told, once everything is well again. */
export interface Verdict {
  readonly cleared: number;
  readonly answered: number;
  /** Acknowledged, and not in the ledger whole. */
  readonly lost: readonly string[];
  /** In the ledger more than once, or cleared anew, or nobody's. */
  readonly doubled: readonly string[];
  /** Any other answer that the ledger, the model or the audit does not bear out. */
  readonly wrong: readonly string[];
  /** Answers that break the contract of errors. */
  readonly strange: readonly string[];
}

const expiryMs = 60_000;

/** Ends the load, asks for what is open, and holds all answers against the ledger, and the ledger against a model. */
export async function passVerdict(mesh: TestMesh, load: JudgedLoad): Promise<Verdict> {
  await load.stop();
  const early = await withLedger(mesh, readTransfers);
  const sentAllTheSame = load.sentAllTheSame(early);
  await load.settle();
  const { rows, unequal } = await withLedger(mesh, holdAgainstModel);
  const problems = load.answers.check(rows);
  const audit = await mesh.run("audit");
  const lost = problems.filter((text) => /not there$|half there/.test(text));
  const doubled = problems.filter((text) => /cleared anew|twice|nobody's/.test(text));
  return {
    cleared: load.cleared,
    answered: load.judge.answered,
    lost,
    doubled,
    wrong: [
      ...problems.filter((text) => !lost.includes(text) && !doubled.includes(text)),
      ...sentAllTheSame.map((intentId) => `intent ${intentId}: NOT_SENT, and in the ledger`),
      ...unequal,
      ...(audit.code === 0 ? [] : [`the audit: ${audit.stdout}${audit.stderr}`]),
    ],
    strange: load.judge.strange,
  };
}

/** The line that a run among faults ends with. */
export function verdictLine({ answered, cleared, lost, doubled, wrong, strange }: Verdict): string {
  return `${answered} answers, ${cleared} acknowledged, lost ${lost.length}, doubled ${doubled.length}, wrong ${wrong.length}, answers without a reason ${strange.length}`;
}

async function withLedger<Result>(
  { settings, identity }: TestMesh,
  use: (client: Client, batchMax: number) => Promise<Result>,
): Promise<Result> {
  const config = engineConfig(recordsEnvironment(settings, identity, keyFiles(settings)));
  const client = await openClient(config);
  try {
    return await use(client, config.batchMax);
  } finally {
    client.destroy();
  }
}

/** Every transfer, in commit order, read past the services. */
async function readTransfers(client: Client, limit: number): Promise<CommittedTransfer[]> {
  const rows: CommittedTransfer[] = [];
  for (;;) {
    const timestampMin = (rows.at(-1)?.timestamp ?? 0n) + 1n;
    const page = await client.queryTransfers(
      everythingIn({ timestampMin, timestampMax: 0n, limit }),
    );
    rows.push(...page.map(parseTransfer));
    if (page.length < limit) return rows;
  }
}

/** Replays the ledger on the small model and compares every account's sums; reservations that ran out take a moment. */
async function holdAgainstModel(client: Client, limit: number) {
  for (const untilMs = Date.now() + expiryMs; ; await sleep(250)) {
    const rows = await readTransfers(client, limit);
    const model = new LedgerModel();
    for (const row of rows) {
      model.add({ committed: true, rows: [row], timestamps: [row.timestamp] });
    }
    const accounts = await client.queryAccounts(
      everythingIn({ timestampMin: 1n, timestampMax: 0n, limit }),
    );
    const now = await clusterTime(client);
    const unequal = accounts.flatMap((account) => differenceOf(account, model, now));
    if (unequal.length === 0 || Date.now() > untilMs) return { rows, unequal };
  }
}

function differenceOf(account: Account, model: LedgerModel, now: bigint): string[] {
  const has = {
    debitsPosted: account.debits_posted,
    creditsPosted: account.credits_posted,
    debitsPending: account.debits_pending,
    creditsPending: account.credits_pending,
  };
  const should = model.sumsAt(account.id, now);
  const names = Object.keys(has) as (keyof typeof has)[];
  return names
    .filter((name) => has[name] !== should[name])
    .map((name) => `account ${account.id}: ${name} is ${has[name]}, and replayed ${should[name]}`);
}
