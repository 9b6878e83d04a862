// Goal: the stream keeps its promises on both engines. Method: a real ledger, real records and the real service over
// gRPC; what subscribers recorded is held against a full scan of the ledger, one validator per promise.
import { afterAll, beforeAll, expect, test } from "vitest";
import { EventType } from "#gen/sovr/eventstream/v1/event_pb.ts";
import {
  type EventStreamWorld,
  type Replica,
  record,
  startEventStreamWorld,
} from "../support/event-stream-world.ts";
import {
  alice,
  bob,
  chart,
  funding,
  houseIntentOf,
  intentOf,
  purchase,
} from "../support/intents.ts";
import { eventsOf, validateStreams } from "../support/stream-validators.ts";
import { describeOnEngines } from "../support/tigerbeetle.ts";

describeOnEngines("EventStream", (engine) => {
  let world: EventStreamWorld;
  let replica: Replica;

  beforeAll(async () => {
    world = await startEventStreamWorld(engine);
    await world.seed.openWallets([alice.address, bob.address]);
    await world.seed.clear(houseIntentOf({ postings: [funding(alice.address, 1_000_000n)] }));
    replica = await world.open();
  });

  afterAll(() => world?.stop());

  test("tells what was cleared, live and from the beginning, the same to everyone", async () => {
    const live = record(replica.connect());
    const all = record(replica.connect(), { start: { case: "earliest", value: true } });
    await live.until((messages) => messages.length >= 1);
    const bundle = await world.seed.clear(
      intentOf({
        postings: [
          purchase(alice.address, 350n, chart.milk),
          purchase(alice.address, 250n, chart.eggs),
          purchase(alice.address, 150n, chart.bread),
        ],
      }),
    );
    await live.until((messages) => eventsOf(messages).length >= 1);
    const truth = await world.truth();
    await all.until((messages) => eventsOf(messages).length >= truth.length);
    await Promise.all([live.stop(), all.stop()]);

    validateStreams([all], { clusterId: world.clusterId, truth, matching: truth });
    const [event] = eventsOf(live.messages);
    expect(event).toMatchObject({
      type: EventType.CLEARED,
      intentId: bundle.intent.intentId,
      digest: bundle.attestation.digest,
      wallet: alice.address,
      merchantId: "market-1",
      reference: "A-17",
      attested: true,
    });
    expect(event?.transfers.map(({ leg, legs }) => [leg, legs])).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
    ]);
  });
});
