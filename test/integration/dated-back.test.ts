// Goal: whoever has stolen a signer's key cannot use it for a time when it still counted. Method: a house whose signer retires;
// intents that the Attestor attested before that, and intents that only the key signed.
import { afterAll, beforeAll, expect, it } from "vitest";
import { createPool } from "#common/postgres/pool.ts";
import { createLogger } from "#common/process/logger.ts";
import { attestorConfig } from "../../services/attestor/config.ts";
import { type AttestorDeps, createAttestorDeps } from "../../services/attestor/deps.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import {
  type ClearingWorld,
  clearOne,
  refusalOf,
  soon,
  startClearingWorld,
  type TestKey,
} from "../support/clearing/world.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";

const refusal = { kind: "SIGNER_NOT_TRUSTED", metadata: { state: "DATED_BACK" } };
const scopes = new Set(["attest", "attest.house"]);

describeOnEngines("An intent that is dated back", (engine) => {
  let records: TestDatabase;
  let world: ClearingWorld;
  let attestor: AttestorDeps;
  let onTime: ClearingDeps;
  let later: ClearingDeps;
  let key: TestKey;

  const openAttestor = () =>
    createAttestorDeps(
      attestorConfig({
        ...world.environment(),
        ATTESTOR_PRIVATE_KEY: Buffer.from(world.signer.privateKey).toString("hex"),
      }),
      { nowMs: () => world.nowMs(), logger: createLogger("attestor", "silent") },
    );

  beforeAll(async () => {
    records = await openDatabase();
    world = await startClearingWorld(engine, records.databaseUrl);
    // Clearing first: the Attestor's table comes later, and must be found then.
    onTime = await world.openReplica({ asksAttestor: true });
    key = await world.openFunded(onTime, 1_000n);
    attestor = await openAttestor();
    await attestor.close();
    attestor = await openAttestor();
    later = await world.openReplica({
      asksAttestor: true,
      nowMs: () => world.nowMs() + 700_000,
    });
  });
  afterAll(async () => {
    await attestor?.close();
    await world?.close();
    await records?.stop();
  });

  /** Attests as the Attestor does, and so binds the id. */
  const attested = async (request = world.purchase(key, 1n)) => {
    const { intent, attestation } = request;
    const { walletSignature } = attestation;
    const caller = { scopes, wallet: undefined };
    const asked = { intent, walletSignature, validateOnly: false, caller, limit: soon() };
    return { ...request, attestation: await attestor.attestor.attest(asked) };
  };

  it("clears later if the Attestor has bound it in time, and not if nobody has", async () => {
    const bound = await attested();
    expect((await clearOne(later, bound)).replayed).toBe(false);
    const stolen = world.purchase(key, 1n);
    expect(await refusalOf(later, stolen)).toMatchObject(refusal);
    // It is refused, and not dead: its own time is not over.
    expect((await clearOne(onTime, stolen)).replayed).toBe(false);
    expect((await clearOne(later, stolen)).replayed).toBe(true);
  });

  it("does not borrow the row of another intent under the same id", async () => {
    const bound = await attested();
    const { intentId } = bound.intent;
    const stolen = world.purchase(key, 2n, { intentId });
    expect(await refusalOf(later, stolen)).toMatchObject(refusal);
  });

  it("does not go by a row that came too late", async () => {
    const bound = await attested(world.purchase(key, 1n));
    const pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
    try {
      await pool.query("alter table attestation_intent disable trigger all");
      await pool.query(
        "update attestation_intent set insert_time = insert_time + interval '605 seconds' where intent_id = $1",
        [bound.intent.intentId],
      );
    } finally {
      await pool.query("alter table attestation_intent enable trigger all");
      await pool.end();
    }
    expect(await refusalOf(later, bound)).toMatchObject(refusal);
  });

  it("of a signer that has retired since clears only if the Attestor has bound it", async () => {
    const [bound, cleared] = [await attested(), await attested()];
    const stolen = world.purchase(key, 1n);
    const old = world.purchase(key, 1n);
    await clearOne(onTime, old);
    await clearOne(onTime, cleared);
    // From this second on: what is attested above was bound before that, or as long after as clocks may differ.
    world.writeSigners({
      retireTime: new Date(Math.floor(Date.now() / 1_000) * 1_000).toISOString(),
    });
    const afterwards = await world.openReplica({ asksAttestor: true });
    expect(await refusalOf(afterwards, stolen)).toMatchObject(refusal);
    expect((await clearOne(afterwards, bound)).replayed).toBe(false);
    // What has evidence is answered as ever.
    expect((await clearOne(afterwards, cleared)).replayed).toBe(true);
    expect((await clearOne(afterwards, old)).replayed).toBe(true);
    world.writeSigners({});
  });
});
