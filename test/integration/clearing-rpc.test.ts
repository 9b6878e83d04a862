import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, it } from "vitest";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import { parseCursor } from "#common/wire/cursor.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { ClearingState } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import { ClearBatchRequestSchema } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import {
  type ClearingProcess,
  reasonOfResult,
  startClearingProcess,
  toProto,
} from "../support/clearing/process.ts";
import {
  type ClearingWorld,
  chart,
  newKey,
  posting,
  startClearingWorld,
  type TestKey,
} from "../support/clearing/world.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

// Goal: what the core decides arrives at a caller as the contract says. Method: Clearing's own process, over gRPC.
describeOnEngines("ClearingService", (engine) => {
  let records: TestDatabase;
  let world: ClearingWorld;
  let issuer: TokenIssuer;
  let service: ClearingProcess;
  let key: TestKey;

  beforeAll(async () => {
    issuer = await createTokenIssuer();
    records = await openDatabase();
    world = await startClearingWorld(engine, records.databaseUrl);
    service = await startClearingProcess(world, issuer);
    key = newKey();
    await service.client.openWallet({ wallet: key.address, ledger: 1 });
    await service.client.clear(toProto(world.funding(key.address, 100_000n)));
  });
  afterAll(async () => {
    await service?.kill();
    await world?.close();
    await records?.stop();
    issuer?.[Symbol.dispose]();
  });

  const errorOf = async (call: Promise<unknown>): Promise<ConnectError> => {
    const error: unknown = await call.then(
      () => undefined,
      (caught: unknown) => caught,
    );
    if (error instanceof ConnectError) return error;
    throw new Error("expected a ConnectError", { cause: error });
  };

  it("answers a clearing with its cursor and the ledger's time, and reads it back", async () => {
    const request = world.purchase(key, 350n);
    const { clearing } = await service.client.clear(toProto(request));
    expect(clearing).toMatchObject({
      intentId: request.intent.intentId,
      digest: request.attestation.digest,
      state: ClearingState.CLEARED,
      replayed: false,
      failureReason: ErrorReason.UNSPECIFIED,
    });
    const position = parseCursor(clearing?.cursor ?? "", 0n, "cursor");
    const { seconds = 0n, nanos = 0 } = clearing?.commitTime ?? {};
    expect(position).toEqual({
      timestamp: seconds * 1_000_000_000n + BigInt(nanos),
      kind: "COMMIT",
      pendingTimestamp: 0n,
    });
    const read = await service.client.getClearing({ intentId: request.intent.intentId });
    expect(read.clearing).toEqual({ ...clearing, replayed: true });
    expect(read.intent).toEqual(toProto(request).intent);
    expect(read.attestation).toEqual(toProto(request).attestation);
  });

  it("opens a wallet once", async () => {
    const { address } = newKey();
    const wallet = address.toLowerCase();
    const accountId = walletAccountId(address, 2).toString();
    expect(await service.client.openWallet({ wallet, ledger: 2 })).toMatchObject({
      accountId,
      opened: true,
    });
    expect(await service.client.openWallet({ wallet: address, ledger: 2 })).toMatchObject({
      accountId,
      opened: false,
    });
    const unknown = await errorOf(service.client.openWallet({ wallet, ledger: 9 }));
    expect([unknown.code, reasonOf(unknown)]).toEqual([Code.InvalidArgument, "INVALID_FIELD"]);
  });

  it("tells a failure by code, reason and metadata, and GetClearing why", async () => {
    const request = world.purchase(key, 10_000_000n);
    const error = await errorOf(service.client.clear(toProto(request)));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      {
        reason: "INSUFFICIENT_FUNDS",
        domain: "sovr",
        metadata: { intentId: request.intent.intentId, leg: "0" },
      },
    ]);
    expect(error.rawMessage).toContain("100000.00 USD");
    const { clearing } = await service.client.getClearing({ intentId: request.intent.intentId });
    expect(clearing).toMatchObject({
      state: ClearingState.FAILED,
      failureReason: ErrorReason.INSUFFICIENT_FUNDS,
      cursor: "",
    });
    expect(clearing?.failureTime).toBeDefined();
    const unknown = await errorOf(
      service.client.getClearing({ intentId: world.intent({ postings: [] }).intentId }),
    );
    expect([unknown.code, reasonOf(unknown)]).toEqual([Code.NotFound, "INTENT_NOT_FOUND"]);
  });

  it("answers a batch in order, each intent as Clear would", async () => {
    const good = world.purchase(key, 100n);
    const requests = [
      good,
      world.purchase(key, 10_000_000n),
      world.attest(world.purchase(key, 1n).intent, newKey()),
      good,
    ].map(toProto);
    // Well-formed for the wire and yet no u128: this one fails alone.
    const tooLarge = toProto(world.purchase(key, 5n));
    const [leg] = tooLarge.intent?.postings ?? [];
    if (leg !== undefined) leg.amount = "9".repeat(39);
    // This one breaks a rule of the proto, and fails alone just as well.
    const malformed = toProto(world.purchase(key, 6n));
    if (malformed.intent !== undefined) malformed.intent.intentId = "not-a-uuid";
    const { results } = await service.client.clearBatch(
      create(ClearBatchRequestSchema, { requests: [...requests, tooLarge, malformed] }),
    );
    expect(results.map(reasonOfResult)).toEqual([
      "CLEARED",
      "INSUFFICIENT_FUNDS",
      "WALLET_SIGNATURE_INVALID",
      "CLEARED",
      "INVALID_FIELD",
      "INVALID_FIELD",
    ]);
    for (const [index, request] of [tooLarge, malformed].entries()) {
      const alone = await errorOf(service.client.clear(request));
      const status = results[4 + index]?.outcome;
      expect(status?.case === "error" && status.value).toMatchObject({
        code: alone.code,
        message: alone.rawMessage,
      });
    }
  });

  it("clears an intent once that stands in a batch twice, however far apart", async () => {
    const account = walletAccountId(key.address, 1);
    const before = await world.available(account);
    const twice = toProto(world.purchase(key, 7n));
    const between = Array.from({ length: 300 }, () => toProto(world.funding(key.address, 1n)));
    const { results } = await service.client.clearBatch({ requests: [twice, ...between, twice] });
    expect(new Set(results.map(reasonOfResult))).toEqual(new Set(["CLEARED"]));
    const [first, last] = [results[0]?.outcome, results.at(-1)?.outcome].map(
      (outcome) => outcome?.case === "clearing" && outcome.value.cursor,
    );
    expect(last).toBe(first);
    expect(await world.available(account)).toBe(before + 300n - 7n);
  });

  it("clears each intent of a tree alone, by Clear and in batches, and reads back what proves it", async () => {
    const account = walletAccountId(key.address, 1);
    const before = await world.available(account);
    const requests = world.inTree([
      ...Array.from({ length: 299 }, () => world.funding(key.address, 2n)),
      world.purchase(key, 9n),
      world.purchase(key, 10_000_000n),
    ]);
    const purchase = requests[299] ?? world.purchase(key, 9n);
    const { clearing } = await service.client.clear(toProto(purchase));
    expect(clearing?.state).toBe(ClearingState.CLEARED);
    const { results } = await service.client.clearBatch({ requests: requests.map(toProto) });
    expect(results.map(reasonOfResult)).toEqual([
      ...Array(300).fill("CLEARED"),
      "INSUFFICIENT_FUNDS",
    ]);
    expect(await world.available(account)).toBe(before + 598n - 9n);
    for (const request of [requests[0], requests[150], purchase, requests[300]]) {
      if (request === undefined) throw new Error("there is no such request");
      const read = await service.client.getClearing({ intentId: request.intent.intentId });
      expect(read.attestation).toEqual(toProto(request).attestation);
      expect(read.attestation?.tree?.proof.length).toBeGreaterThan(40);
    }
    // The same intent under a signature of its own is the same intent.
    const { intent } = requests[1] ?? purchase;
    const again = await service.client.clear(toProto(world.attest(intent)));
    expect(again.clearing?.replayed).toBe(true);
  });

  it("clears many intents of a tree at once, each by a Clear of its own", async () => {
    const requests = world.inTree(Array.from({ length: 24 }, () => world.purchase(key, 1n)));
    const answers = await Promise.all(
      requests.map((request) => service.client.clear(toProto(request))),
    );
    expect(answers.map(({ clearing }) => clearing?.state)).toEqual(
      Array(24).fill(ClearingState.CLEARED),
    );
  });

  it("refuses a proof that is none, whatever the tree, and the intent lives on", async () => {
    const [request = world.funding(key.address, 1n), other = request] = world.inTree([
      world.funding(key.address, 1n),
      world.funding(key.address, 1n),
      world.funding(key.address, 1n),
    ]);
    const faulty = (change: (proof: Buffer) => Uint8Array) => {
      const proto = toProto(request);
      const tree = proto.attestation?.tree;
      const proof = Buffer.from(tree?.proof.slice(2) ?? "", "hex");
      if (tree !== undefined) tree.proof = `0x${Buffer.from(change(proof)).toString("hex")}`;
      return proto;
    };
    const flip = (at: number) => faulty((proof) => proof.with(at, (proof[at] ?? 0) ^ 1));
    const foreign = Buffer.from(other.attestation.tree?.proof.slice(2) ?? "", "hex");
    const refused = [
      ...[3, 7, 8, 71].map(flip),
      faulty((proof) => proof.subarray(0, -32)),
      faulty(() => foreign),
    ];
    const { results } = await service.client.clearBatch({ requests: refused });
    expect(results.map(reasonOfResult)).toEqual(refused.map(() => "ATTESTATION_INVALID"));
    for (const proto of refused) {
      expect(reasonOf(await errorOf(service.client.clear(proto)))).toBe("ATTESTATION_INVALID");
    }
    const { clearing } = await service.client.clear(toProto(request));
    expect(clearing).toMatchObject({ state: ClearingState.CLEARED, replayed: false });
  });

  it("refuses a batch of more than 8189 postings whole", async () => {
    const postings = Array.from({ length: 64 }, () => posting(chart.cash, chart.instacart, 1n, 9));
    const request = toProto(world.attest(world.intent({ postings, reference: "r" })));
    const requests = Array.from({ length: 128 }, () => request);
    const error = await errorOf(service.client.clearBatch({ requests }));
    expect([error.code, reasonOf(error)]).toEqual([Code.InvalidArgument, "INVALID_FIELD"]);
    expect(error.findDetails(ErrorInfoSchema)[0]?.metadata).toEqual({
      field: "requests",
      rule: "batch.postings",
    });
  });

  it("clears a large batch while single calls go on", async () => {
    const batchSize = 2_000;
    const account = walletAccountId(key.address, 1);
    const requests = Array.from({ length: batchSize }, () =>
      toProto(
        world.attest(
          world.intent({ wallet: key.address, postings: [posting(chart.cash, account, 1n, 1)] }),
        ),
      ),
    );
    const before = await world.available(account);
    const batch = service.client.clearBatch({ requests }, { timeoutMs: 100_000 });
    let singles = 0;
    let done = false;
    const ended = batch.finally(() => {
      done = true;
    });
    while (!done) {
      await service.client.clear(toProto(world.funding(key.address, 1n)));
      singles += 1;
    }
    const { results } = await ended;
    expect(new Set(results.map(reasonOfResult))).toEqual(new Set(["CLEARED"]));
    expect(singles).toBeGreaterThan(0);
    expect(await world.available(account)).toBe(before + BigInt(batchSize) + BigInt(singles));
  });

  it("holds a wallet's token to its own wallet", async () => {
    const stranger = service.connect("clearing.write wallet.open", newKey().address);
    try {
      const error = await errorOf(stranger.clear(toProto(world.purchase(key, 1n))));
      expect([error.code, reasonOf(error)]).toEqual([Code.PermissionDenied, "SCOPE_MISSING"]);
      // Not even with the scope in its token: batches are no shopper's.
      const requests = [toProto(world.purchase(key, 1n))];
      const named = service.connect("clearing.write clearing.batch", key.address);
      for (const client of [stranger, named]) {
        const refused = await errorOf(client.clearBatch({ requests }));
        expect([refused.code, reasonOf(refused)]).toEqual([Code.PermissionDenied, "SCOPE_MISSING"]);
      }
      named[Symbol.dispose]();
    } finally {
      stranger[Symbol.dispose]();
    }
    const batcher = service.connect("clearing.batch");
    try {
      const { results } = await batcher.clearBatch({
        requests: [toProto(world.purchase(key, 1n))],
      });
      expect(results.map(reasonOfResult)).toEqual(["CLEARED"]);
      const error = await errorOf(batcher.clear(toProto(world.purchase(key, 1n))));
      expect(reasonOf(error)).toBe("SCOPE_MISSING");
    } finally {
      batcher[Symbol.dispose]();
    }
    const reader = service.connect("ledger.read");
    try {
      const error = await errorOf(reader.clear(toProto(world.purchase(key, 1n))));
      expect(reasonOf(error)).toBe("SCOPE_MISSING");
    } finally {
      reader[Symbol.dispose]();
    }
  });

  it("reads back to each wallet its own legs, whatever became of them", async () => {
    const others = [newKey(), newKey()];
    const accounts = others.map(({ address }) => walletAccountId(address, 1));
    for (const { address } of others) {
      await service.client.openWallet({ wallet: address, ledger: 1 });
    }
    const payer = walletAccountId(key.address, 1);
    const pay = (amount: bigint) => accounts.map((to) => posting(payer, to, amount, 6));
    const cleared = world.purchase(key, 1n, { postings: pay(1n), reference: "secret" });
    await service.client.clear(toProto(cleared));
    const failed = world.purchase(key, 1n, { postings: pay(50_000_000n), reference: "secret" });
    await errorOf(service.client.clear(toProto(failed)));
    for (const request of [cleared, failed]) {
      const { intentId } = request.intent;
      const all = await service.client.getClearing({ intentId });
      expect(all).toMatchObject({ masked: false, legs: [0, 1], legCount: 2 });
      using mine = service.connect("clearing.write", key.address);
      expect(await mine.getClearing({ intentId })).toEqual(all);
      for (const [leg, { address }] of others.entries()) {
        using theirs = service.connect("ledger.read", address);
        const own = await theirs.getClearing({ intentId });
        expect(own).toMatchObject({
          masked: true,
          legs: [leg],
          legCount: 2,
          clearing: {
            state: all.clearing?.state,
            transferIds: [all.clearing?.transferIds[leg]],
            failureReason: ErrorReason.UNSPECIFIED,
          },
          intent: { wallet: key.address, reference: "", postings: [all.intent?.postings[leg]] },
          attestation: { ...all.attestation, walletSignature: "" },
        });
      }
      using stranger = service.connect("ledger.read", newKey().address);
      expect(reasonOf(await errorOf(stranger.getClearing({ intentId })))).toBe("INTENT_NOT_FOUND");
    }
  });

  it("lets a wallet's token clear what the wallet authorises, and nothing of the house's", async () => {
    const bound = service.connect("clearing.write attest.house checkout.admin", key.address);
    try {
      const pending = world.purchase(key, 5n, { phase: "PENDING" });
      const { clearing } = await bound.clear(toProto(pending));
      expect(clearing?.state).toBe(ClearingState.CLEARED);
      const account = walletAccountId(key.address, 1);
      const refused = [
        world.resolve(pending.intent, "POST_PENDING", pending.intent.postings),
        world.resolve(pending.intent, "VOID_PENDING", pending.intent.postings),
        world.attest(
          world.intent({ wallet: key.address, postings: [posting(chart.cash, account, 1n, 1)] }),
        ),
      ];
      const before = await world.available(account);
      for (const request of refused) {
        for (const validateOnly of [true, false]) {
          const error = await errorOf(bound.clear({ ...toProto(request), validateOnly }));
          expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
            { reason: "SCOPE_MISSING", metadata: { wallet: key.address } },
          ]);
        }
      }
      expect(await world.available(account)).toBe(before);
    } finally {
      bound[Symbol.dispose]();
    }
  });

  it("stops on SIGTERM with the exit code 0", async () => {
    expect(await service.stop()).toBe(0);
  });
});

/** CLEARED, or the reason of the error. */
