// Goal: the LedgerService answers what the ledger and the records say, and to a wallet no more than is its own.
// Method: the real service behind the real runtime on a real engine and PostgreSQL, called over gRPC with tokens.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Client } from "tigerbeetle-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contracts } from "#common/contracts.ts";
import { createLedgerReaders } from "#common/ledger/drivers/tigerbeetle.ts";
import { transferId } from "#common/ledger/transfer-rows.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { createLogger } from "#common/process/logger.ts";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { type Running, serve } from "#common/rpc/serve.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { formatTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { formatNanoseconds } from "#common/wire/timestamps.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { Phase } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { AccountType } from "#gen/sovr/ledger/v1/account_pb.ts";
import {
  LedgerService,
  type ListJournalEntriesRequestSchema,
} from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { ledgerConfig } from "../../services/ledger/config.ts";
import { createLedgerDeps } from "../../services/ledger/deps.ts";
import { createLedgerService } from "../../services/ledger/service.ts";
import {
  alice,
  attest,
  bob,
  chart,
  funding,
  houseIntentOf,
  intentOf,
  posting,
  purchase,
  testKey,
  transfer,
  usd,
} from "../support/intents/intents.ts";
import { createSeed, insertEvidence, type Seed, type Seeded } from "../support/intents/seed.ts";
import { describeOnEngines, type RunningEngine } from "../support/ledger/tigerbeetle.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { patience } from "../support/process/node-environment.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

type Ledger = RpcClient<typeof LedgerService>;

const fee = posting({ debitAccountId: chart.fees, creditAccountId: chart.stripe, code: 11 });
const carol = testKey(0xca401);
const aliceUsd = walletAccountId(alice.address, usd);
const bobUsd = walletAccountId(bob.address, usd);

describeOnEngines("LedgerService", (engine) => {
  let running: RunningEngine;
  let postgres: TestPostgres;
  let issuer: TokenIssuer;
  let client: Client;
  let pool: Pool;
  let seed: Seed;
  let service: Running;
  /** An operator's. */
  let ledger: Ledger;
  let asAlice: Ledger;
  let asCarol: Ledger;
  let connect: (wallet?: string) => Ledger;
  let funded: Seeded;
  let bundle: Seeded;
  let sent: Seeded;
  let reserved: Seeded;
  let posted: Seeded;

  beforeAll(async () => {
    [running, postgres, issuer] = await Promise.all([
      engine.start(),
      startPostgres(),
      createTokenIssuer(),
    ]);
    client = await openClient(running.config);
    pool = createPool({ databaseUrl: postgres.databaseUrl, applicationName: "test" });
    const migrations = new URL("../../services/clearing/migrations/", import.meta.url);
    await migrate(pool, "clearing", migrations);
    seed = createSeed(client, pool);
    await seed.openChart();
    await seed.openWallets([alice.address, bob.address], [1, 2]);
    const { address } = alice;
    funded = await seed.clear(houseIntentOf({ postings: [funding(address, 2_000n)] }));
    const goods = [chart.milk, chart.eggs, chart.bread];
    bundle = await seed.clear(
      intentOf({
        postings: goods.map((id, index) => purchase(address, [350n, 250n, 150n][index], id)),
      }),
    );
    sent = await seed.clear(intentOf({ postings: [transfer(address, bob.address, 100n)] }));
    reserved = await seed.clear(
      intentOf({ phase: "PENDING", postings: [purchase(address, 350n)] }),
    );
    const post = { phase: "POST_PENDING", pendingIntentId: reserved.intent.intentId } as const;
    posted = await seed.clear(houseIntentOf({ ...post, postings: [purchase(address, 300n)] }));
    service = await start();
    connect = (wallet) =>
      createRpcClient(LedgerService, {
        address: `127.0.0.1:${service.ports.grpc}`,
        token: () => issuer.token({ scope: "ledger.read", ...(wallet && { wallet }) }),
        defaultTimeoutMs: 10_000,
      });
    ledger = connect();
    asAlice = connect(alice.address);
    asCarol = connect(carol.address);
  });

  async function start(): Promise<Running> {
    const config = ledgerConfig({
      GRPC_ADDRESS: "127.0.0.1:0",
      CONNECT_ADDRESS: "127.0.0.1:0",
      METRICS_ADDRESS: "127.0.0.1:0",
      JWT_JWKS_FILE: issuer.jwksPath,
      DATABASE_URL: postgres.databaseUrl,
      TIGERBEETLE_BATCH_MAX: String(running.config.batchMax),
      ...patience,
      ...(running.config.engine.kind === "embedded"
        ? { EMBEDDED_LEDGER_PATH: running.config.engine.path }
        : { TIGERBEETLE_ADDRESSES: running.config.engine.addresses.join(",") }),
    });
    const logger = createLogger("ledger", "silent");
    const deps = await createLedgerDeps(config, { logger });
    const mounts = [mountOf(LedgerService, createLedgerService(deps))];
    return serve({ config: config.runtime, mounts, contracts, ...deps });
  }

  afterAll(async () => {
    for (const each of [ledger, asAlice, asCarol]) each?.[Symbol.dispose]();
    await service?.stop();
    await pool?.end();
    client?.destroy();
    issuer?.[Symbol.dispose]();
    await Promise.all([running?.stop(), postgres?.stop()]);
  });

  describe("accounts", () => {
    test("are named by the chart or by their wallet", async () => {
      const { account: milk } = await ledger.getAccount({ accountId: chart.milk.toString() });
      expect(milk).toMatchObject({
        name: "MILK_OBLIGATION",
        code: 40,
        ledger: 1,
        type: AccountType.LIABILITY,
        wallet: "",
        closed: false,
      });
      const wallet = alice.address.toLowerCase();
      const { account } = await ledger.getAccount({ wallet, ledger: 1 });
      expect(account).toMatchObject({
        accountId: aliceUsd.toString(),
        name: `WALLET ${alice.address}`,
        wallet: alice.address,
        type: AccountType.LIABILITY,
      });
    });

    test("are never invented", async () => {
      await expectError(ledger.getAccount({ accountId: "42" }), {
        code: Code.NotFound,
        reason: "ACCOUNT_NOT_FOUND",
        metadata: { accountId: "42" },
      });
      await expectError(ledger.getBalance({ wallet: carol.address, ledger: 1 }), {
        code: Code.NotFound,
        reason: "ACCOUNT_NOT_FOUND",
        metadata: { wallet: carol.address, ledger: "1" },
      });
      await expectError(ledger.getBalance({ wallet: carol.address, ledger: 9 }), {
        code: Code.InvalidArgument,
        reason: "INVALID_FIELD",
        metadata: { field: "ledger" },
      });
    });

    test("are listed in the order of their opening, page by page, by every filter", async () => {
      const all = await pages((pageToken) => ledger.listAccounts({ pageSize: 10, pageToken }));
      const accounts = all.flatMap((page) => page.accounts);
      const times = accounts.map(({ createTime }) => nanoseconds(createTime));
      expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : 1)));
      expect(new Set(accounts.map(({ accountId }) => accountId)).size).toBe(accounts.length);
      const count = async (filter: { code?: number; wallet?: string; type?: AccountType }) =>
        (await ledger.listAccounts({ filter, pageSize: 1_000 })).accounts.length;
      expect(await count({ code: 20 })).toBe(4);
      expect(await count({ wallet: bob.address })).toBe(2);
      expect(await count({ wallet: bob.address, code: 40 })).toBe(0);
      expect(await count({ type: AccountType.LIABILITY })).toBe(10);
      expect(await count({ code: 30, type: AccountType.LIABILITY })).toBe(0);
      expect(await count({})).toBe(accounts.length);
    });

    test("are listed on, not again, after others were opened", async () => {
      const first = await ledger.listAccounts({ pageSize: 20 });
      await seed.openWallets([testKey(77).address]);
      const next = { pageSize: 20, pageToken: first.nextPageToken };
      const rest = await ledger.listAccounts(next);
      const names = [...first.accounts, ...rest.accounts].map(({ name }) => name);
      expect(names).not.toContain(`WALLET ${testKey(77).address}`);
    });

    test("lists the assets", async () => {
      const { assets } = await ledger.listAssets({});
      expect(assets.map(({ code, scale }) => [code, scale])).toEqual([
        ["USD", 2],
        ["SFIAT", 2],
        ["POSCR", 18],
      ]);
    });
  });

  describe("balances", () => {
    test("stand on the normal side", async () => {
      const { balance } = await ledger.getBalance({ wallet: alice.address, ledger: 1 });
      expect(balance).toMatchObject({
        accountId: aliceUsd.toString(),
        ledger: 1,
        posted: "850",
        pendingIn: "0",
        pendingOut: "0",
        available: "850",
        debitsPosted: "1150",
        creditsPosted: "2000",
      });
      const cash = await ledger.getBalance({ accountId: chart.cash.toString() });
      expect(cash.balance).toMatchObject({ posted: "2000", debitsPosted: "2000" });
    });

    test("show what was reserved, at the time", async () => {
      const at = formatNanoseconds(reserved.timestamps[0] ?? 0n);
      const request = { wallet: alice.address, ledger: 1, asOfTime: at };
      const { balance } = await ledger.getBalance(request);
      expect(balance).toMatchObject({ posted: "1150", pendingOut: "350", available: "800" });
      expect(balance?.asOfTime).toEqual(at);
    });

    test("are zero before the first transfer, and not there before the opening", async () => {
      const { account } = await ledger.getAccount({ wallet: bob.address, ledger: 2 });
      const opening = nanoseconds(account?.createTime);
      const request = { wallet: bob.address, ledger: 2 };
      const { balance } = await ledger.getBalance({
        ...request,
        asOfTime: formatNanoseconds(opening),
      });
      expect(balance).toMatchObject({ posted: "0", available: "0", creditsPending: "0" });
      for (const before of [opening - 1n, 0n, -5_000_000_000n]) {
        const asOfTime = {
          seconds: before / 1_000_000_000n,
          nanos: Number(before % 1_000_000_000n),
        };
        await expectError(ledger.getBalance({ ...request, asOfTime }), {
          code: Code.NotFound,
          reason: "ACCOUNT_NOT_FOUND",
          metadata: { wallet: bob.address, ledger: "2" },
        });
      }
    });

    test("are of no future", async () => {
      const asOfTime = timestampFromDate(new Date(Date.now() + 60_000));
      const refusal = {
        code: Code.InvalidArgument,
        reason: "INVALID_FIELD",
        metadata: { field: "as_of_time" },
      };
      const accountId = aliceUsd.toString();
      await expectError(ledger.getBalance({ accountId, asOfTime }), refusal);
      await expectError(ledger.batchGetBalances({ accountIds: [accountId], asOfTime }), refusal);
      await expectError(ledger.getTrialBalance({ ledger: 1, asOfTime }), refusal);
    });

    test("come in the order asked for, as of one instant, or not at all", async () => {
      const accountIds = [chart.bread, chart.milk].map(String);
      const wallets = [bob.address, alice.address];
      const { balances } = await ledger.batchGetBalances({ accountIds, wallets, ledger: 1 });
      expect(balances.map(({ posted }) => posted)).toEqual(["150", "650", "100", "850"]);
      expect(new Set(balances.map(({ asOfTime }) => nanoseconds(asOfTime))).size).toBe(1);
      await expectError(ledger.batchGetBalances({ accountIds: [...accountIds, "42"] }), {
        code: Code.NotFound,
        reason: "ACCOUNT_NOT_FOUND",
        metadata: { accountId: "42" },
      });
    });
  });

  describe("transfers", () => {
    test("tell everything that their row says", async () => {
      const id = transferId(bundle.intent.intentId, 1);
      const response = await ledger.getTransfer({ transferId: id.toString() });
      expect(response.transfer).toMatchObject({
        transferId: id.toString(),
        debitAccountId: aliceUsd.toString(),
        creditAccountId: chart.eggs.toString(),
        amount: "250",
        ledger: 1,
        code: 2,
        phase: Phase.IMMEDIATE,
        pendingTransferId: "",
        leg: 1,
        legs: 3,
        digestPrefix: bundle.attestation.digest.slice(0, 50),
        commitTime: formatNanoseconds(bundle.timestamps[1] ?? 0n),
      });
      const postId = transferId(posted.intent.intentId, 0).toString();
      const { transfer: post } = await ledger.getTransfer({ transferId: postId });
      expect(post).toMatchObject({
        amount: "300",
        phase: Phase.POST_PENDING,
        pendingTransferId: transferId(reserved.intent.intentId, 0).toString(),
      });
      await expectError(ledger.getTransfer({ transferId: "42" }), {
        code: Code.NotFound,
        reason: "TRANSFER_NOT_FOUND",
        metadata: { transferId: "42" },
      });
    });

    test("are listed from an instant on and up to one, exclusive", async () => {
      const [fromTime, , toTime] = bundle.timestamps.map(formatNanoseconds);
      const { transfers } = await ledger.listTransfers({ ...times(fromTime, toTime) });
      expect(transfers.map(({ leg }) => leg)).toEqual([0, 1]);
      await expectError(ledger.listTransfers({ ...times(toTime, fromTime) }), {
        code: Code.InvalidArgument,
        reason: "INVALID_FIELD",
        metadata: { field: "to_time" },
      });
    });

    test("refuse a page token that was given for another request", async () => {
      const { nextPageToken } = await ledger.listTransfers({ pageSize: 1 });
      expect(nextPageToken).not.toBe("");
      for (const request of [
        { pageToken: `${nextPageToken}x` },
        { pageToken: nextPageToken, code: 2 },
      ]) {
        await expectError(ledger.listTransfers(request), {
          code: Code.InvalidArgument,
          reason: "INVALID_FIELD",
          metadata: { field: "page_token" },
        });
      }
    });
  });

  describe("statements", () => {
    test("run from the opening to the closing balance", async () => {
      const fromTime = formatNanoseconds(bundle.timestamps[0] ?? 0n);
      const request = { accountId: aliceUsd.toString(), fromTime };
      const statement = await ledger.getStatement(request);
      expect(statement.account?.name).toBe(`WALLET ${alice.address}`);
      expect(statement.openingBalance).toBe("2000");
      expect(statement.lines.map(({ change, balance }) => [change, balance])).toEqual([
        ["-350", "1650"],
        ["-250", "1400"],
        ["-150", "1250"],
        ["-100", "1150"],
        ["-300", "850"],
      ]);
      expect(statement.closingBalance).toBe("850");
      const cash = await ledger.getStatement({ accountId: chart.cash.toString() });
      expect(cash.openingBalance).toBe("0");
      expect(cash.lines.map(({ change }) => change)).toEqual(["2000"]);
    });
  });

  describe("journal entries", () => {
    const listed = (
      from: Ledger,
      request: MessageInitShape<typeof ListJournalEntriesRequestSchema> = {},
    ) =>
      pages((pageToken) => from.listJournalEntries({ pageSize: 2, ...request, pageToken })).then(
        (all) => all.flatMap((page) => page.journalEntries.map(({ intentId }) => intentId)),
      );
    const idsOf = (...entries: Seeded[]) => entries.map(({ intent }) => intent.intentId);

    test("join the chain with the evidence that authorised it", async () => {
      const { intentId } = bundle.intent;
      const { journalEntry } = await ledger.getJournalEntry({ intentId });
      expect(journalEntry).toMatchObject({
        intentId,
        digest: bundle.attestation.digest,
        phase: Phase.IMMEDIATE,
        merchantId: "market-1",
        reference: "A-17",
        wallet: alice.address,
        corrects: "",
        attestation: bundle.attestation,
        commitTime: formatNanoseconds(bundle.timestamps[2] ?? 0n),
      });
      expect(journalEntry?.lines.map(({ amount }) => amount)).toEqual(["350", "250", "150"]);
    });

    test("are listed in commit order", async () => {
      expect(await listed(ledger)).toEqual(idsOf(funded, bundle, sent, reserved, posted));
    });

    test("belong to the span in which their last line was committed", async () => {
      const [, second, last = 0n] = bundle.timestamps.map((time) => time);
      const [fromTime, toTime] = [formatNanoseconds(second ?? 0n), formatNanoseconds(last)];
      expect(await listed(ledger, { fromTime: toTime })).toEqual(
        idsOf(bundle, sent, reserved, posted),
      );
      expect(await listed(ledger, { fromTime, toTime })).toEqual([]);
      expect(await listed(ledger, { toTime: formatNanoseconds(last + 1n) })).toEqual(
        idsOf(funded, bundle),
      );
    });

    test("are filtered by the wallet that they touch", async () => {
      expect(await listed(ledger, { wallet: bob.address })).toEqual(idsOf(sent));
      expect(await listed(ledger, { wallet: alice.address, pageSize: 1 })).toEqual(
        idsOf(funded, bundle, sent, reserved, posted),
      );
    });

    test("need evidence and the whole chain, equal in every field", async () => {
      const intent = intentOf({ postings: [purchase(alice.address, 1n)] });
      await insertEvidence(pool, { intent, attestation: attest(intent) });
      const unattested = await createSeed(client, undefined).clear(
        intentOf({ postings: [purchase(alice.address, 2n)] }),
      );
      expect(unattested.committed).toBe(true);
      // Evidence that says another amount than the chain under the same id and digest.
      const altered = intentOf({ postings: [purchase(alice.address, 3n)] });
      const lie = { ...altered, postings: [purchase(alice.address, 4n)] };
      await createSeed(client, undefined).clear(altered);
      await insertEvidence(pool, { intent: lie, attestation: attest(altered) });
      // A row that copies the digest of another intent.
      const [copied] = bundle.rows;
      if (copied === undefined) throw new Error("the bundle has no rows");
      await client.createTransfers([formatTransfer({ ...copied, id: 4_242n, linked: false })]);
      expect((await client.lookupTransfers([4_242n])).length).toBe(1);
      const before = idsOf(funded, bundle, sent, reserved, posted);
      expect(await listed(ledger)).toEqual(before);
      for (const intentId of [...idsOf(unattested), intent.intentId, lie.intentId, newUuidV7()]) {
        await expectError(ledger.getJournalEntry({ intentId }), {
          code: Code.NotFound,
          reason: "INTENT_NOT_FOUND",
          metadata: { intentId },
        });
      }
    });

    test("of a wallet's credential are those that touch its accounts", async () => {
      const others = await seed.clear(
        houseIntentOf({ postings: [funding(bob.address, 10n), fee] }),
      );
      expect(await listed(asAlice)).toEqual(idsOf(funded, bundle, sent, reserved, posted));
      expect(await listed(asAlice, { wallet: bob.address })).toEqual([]);
      expect(await listed(asCarol)).toEqual([]);
      // Only its first line touches the wallet, and only its last lies in the span.
      const fromTime = formatNanoseconds(others.timestamps[1] ?? 0n);
      expect(await listed(ledger, { wallet: bob.address, fromTime })).toEqual(idsOf(others));
      const [intentId = ""] = idsOf(others);
      expect((await ledger.getJournalEntry({ intentId })).journalEntry?.intentId).toBe(intentId);
      const refusal = { code: Code.NotFound, reason: "INTENT_NOT_FOUND", metadata: { intentId } };
      await expectError(asAlice.getJournalEntry({ intentId }), refusal);
    });
  });

  test("of five whom one intent pays none learns of another, by reading, listing or filtering", async () => {
    const people = [0xf1, 0xf2, 0xf3, 0xf4, 0xf5].map(testKey);
    await seed.openWallets(
      people.map(({ address }) => address),
      [1],
    );
    const payroll = await seed.clear(
      intentOf({
        postings: people.map(({ address }, index) =>
          transfer(alice.address, address, 10n + BigInt(index)),
        ),
      }),
    );
    const { intentId } = payroll.intent;
    const { digest, signature, signer } = payroll.attestation;
    const whole = (await asAlice.getJournalEntry({ intentId })).journalEntry;
    expect(whole).toMatchObject({ masked: false, legCount: 5, reference: "A-17" });
    expect(whole).toEqual((await ledger.getJournalEntry({ intentId })).journalEntry);
    for (const [leg, { address }] of people.entries()) {
      using own = connect(address);
      const { journalEntry } = await own.getJournalEntry({ intentId });
      const masked = {
        intentId,
        digest,
        phase: Phase.IMMEDIATE,
        merchantId: "",
        reference: "",
        wallet: alice.address,
        corrects: "",
        legCount: 5,
        masked: true,
        commitTime: whole?.commitTime,
        attestation: { digest, signature, signer, walletSignature: "" },
      };
      expect(journalEntry).toMatchObject(masked);
      expect(journalEntry?.lines).toEqual([whole?.lines[leg]]);
      expect((await own.listJournalEntries({})).journalEntries).toEqual([journalEntry]);
      const accountId = walletAccountId(address, usd).toString();
      const { lines } = await own.getStatement({ accountId });
      expect(lines.map(({ transfer: line }) => line)).toEqual([whole?.lines[leg]]);
      const { transfers } = await own.listTransfers({ accountId });
      expect(transfers).toEqual([whole?.lines[leg]]);
      for (const other of whole?.lines ?? []) {
        const read = own.getTransfer({ transferId: other.transferId });
        if (other.leg === leg) expect((await read).transfer).toEqual(other);
        else await expectError(read, { code: Code.NotFound, reason: "TRANSFER_NOT_FOUND" });
      }
      for (const { address: wallet } of [alice, ...people]) {
        const { journalEntries } = await own.listJournalEntries({ wallet });
        expect(journalEntries).toEqual(wallet === address ? [journalEntry] : []);
      }
    }
  });

  describe("a credential that is bound to a wallet", () => {
    test("sees its own accounts", async () => {
      const { accounts } = await asAlice.listAccounts({});
      expect(accounts.map(({ ledger: asset }) => asset)).toEqual([1, 2]);
      for (const { wallet } of accounts) expect(wallet).toBe(alice.address);
      const accountId = aliceUsd.toString();
      expect((await asAlice.getBalance({ accountId })).balance?.accountId).toBe(accountId);
      expect((await asAlice.getStatement({ accountId })).lines.length).toBeGreaterThan(0);
      expect((await asAlice.listTransfers({ accountId })).transfers.length).toBeGreaterThan(0);
      const transferIds = [
        transferId(funded.intent.intentId, 0),
        transferId(sent.intent.intentId, 0),
      ];
      for (const id of transferIds.map(String)) {
        expect((await asAlice.getTransfer({ transferId: id })).transfer?.transferId).toBe(id);
      }
    });

    test("is told that nothing else exists", async () => {
      const notFound = { code: Code.NotFound, reason: "ACCOUNT_NOT_FOUND" };
      for (const id of [bobUsd, chart.milk]) {
        const accountId = id.toString();
        const refusal = { ...notFound, metadata: { accountId } };
        await expectError(asAlice.getAccount({ accountId }), refusal);
        await expectError(asAlice.getBalance({ accountId }), refusal);
        await expectError(asAlice.batchGetBalances({ accountIds: [accountId] }), refusal);
        await expectError(asAlice.getStatement({ accountId }), refusal);
        await expectError(asAlice.listTransfers({ accountId }), refusal);
      }
      expect((await asAlice.listAccounts({ filter: { wallet: bob.address } })).accounts).toEqual(
        [],
      );
      const id = transferId(funded.intent.intentId, 0).toString();
      await expectError(asCarol.getTransfer({ transferId: id }), {
        code: Code.NotFound,
        reason: "TRANSFER_NOT_FOUND",
        metadata: { transferId: id },
      });
    });

    test("names the account whose transfers it lists", async () => {
      await expectError(asAlice.listTransfers({}), {
        code: Code.InvalidArgument,
        reason: "INVALID_FIELD",
        metadata: { field: "account_id" },
      });
    });

    test("gets no trial balance", async () => {
      await expectError(asAlice.getTrialBalance({ ledger: 1 }), {
        code: Code.PermissionDenied,
        reason: "SCOPE_MISSING",
        metadata: { wallet: alice.address },
      });
    });
  });

  test("the trial balance has a line for each account of the chart and one for all wallets", async () => {
    const trial = await ledger.getTrialBalance({ ledger: 1 });
    expect(trial.asset?.code).toBe("USD");
    expect(trial.debitsPosted).toBe(trial.creditsPosted);
    expect(trial.debitsPending).toBe(trial.creditsPending);
    const wallets = trial.lines.find(({ name }) => name === "WALLETS");
    expect(wallets).toMatchObject({ accountId: "2000000", code: 20 });
    expect(trial.lines).toHaveLength(14);
    const empty = await ledger.getTrialBalance({ ledger: 3 });
    expect(empty).toMatchObject({ debitsPosted: "0", creditsPosted: "0" });
    await expectError(ledger.getTrialBalance({ ledger: 9 }), {
      code: Code.InvalidArgument,
      reason: "INVALID_FIELD",
      metadata: { field: "ledger" },
    });
  });

  describe("when something is away", () => {
    test.skipIf(engine.name === "embedded")("gives up on a silent ledger", async () => {
      const { batchMax } = running.config;
      const options = { batchMax, readTimeoutMs: 200, waitingMax: 2, retryAfterMs: 1_000 };
      const reader = createLedgerReaders(readOnlyClient(client), options);
      const left = new AbortController();
      const away = { kind: "LEDGER_UNAVAILABLE" };
      running.server?.pause();
      try {
        const silent = reader(new AbortController().signal).clusterTime();
        const given = reader(left.signal).clusterTime();
        left.abort(new Error("the caller gave up"));
        await expect(given).rejects.toThrow("the caller gave up");
        // Both still wait in the client, so a third is refused without waiting.
        const refused = reader(new AbortController().signal).clusterTime();
        await expect(refused).rejects.toMatchObject(away);
        await expect(silent).rejects.toMatchObject(away);
        // What the client says itself when its time is up carries no reason; what matters is that it is not left.
        const accountId = aliceUsd.toString();
        await expectError(ledger.getBalance({ accountId }, { timeoutMs: 300 }), {
          code: Code.DeadlineExceeded,
        });
      } finally {
        running.server?.resume();
      }
      const { balance } = await ledger.getBalance({ accountId: aliceUsd.toString() });
      expect(balance?.ledger).toBe(1);
      // The client answers what still waits in it first.
      await expect
        .poll(() => reader(new AbortController().signal).clusterTime())
        .toBeGreaterThan(0n);
    });

    test("reads what needs no records", async () => {
      await postgres.kill();
      try {
        const accountId = aliceUsd.toString();
        expect((await ledger.getBalance({ accountId })).balance?.accountId).toBe(accountId);
        await expectError(ledger.getJournalEntry({ intentId: bundle.intent.intentId }), {
          code: Code.Unavailable,
          reason: "RECORDS_UNAVAILABLE",
        });
      } finally {
        await postgres.restart();
      }
      const { intentId } = bundle.intent;
      expect((await ledger.getJournalEntry({ intentId })).journalEntry?.intentId).toBe(intentId);
    });
  });
});

interface Refusal {
  readonly code: Code;
  readonly reason?: string;
  readonly metadata?: Record<string, string>;
}

async function expectError(call: Promise<unknown>, refusal: Refusal): Promise<void> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw new Error(`not refused: ${String(error)}`);
  const [info] = error.findDetails(ErrorInfoSchema);
  expect({ code: error.code, reason: reasonOf(error), metadata: info?.metadata }).toMatchObject(
    refusal,
  );
}

/** All pages of a list. */
async function pages<Page extends { nextPageToken: string }>(
  read: (pageToken: string) => Promise<Page>,
): Promise<Page[]> {
  const all: Page[] = [];
  for (let pageToken = ""; all.length < 1_000; ) {
    const page = await read(pageToken);
    all.push(page);
    pageToken = page.nextPageToken;
    if (pageToken === "") return all;
  }
  throw new Error("the list does not end");
}

type Time = ReturnType<typeof formatNanoseconds>;

function nanoseconds(time: Time | undefined): bigint {
  return (time?.seconds ?? 0n) * 1_000_000_000n + BigInt(time?.nanos ?? 0);
}

function times(fromTime: Time | undefined, toTime: Time | undefined) {
  if (fromTime === undefined || toTime === undefined) throw new Error("an instant is missing");
  return { fromTime, toTime };
}
