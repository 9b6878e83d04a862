// Goal: subscribers that resume from the cursors they kept have, together, everything exactly as it happened, whatever
// dies meanwhile. Method: two replicas in processes of their own behind Envoy, under a random history, while replicas
// are killed, PostgreSQL is killed, and PostgreSQL, the ledger and a subscriber are stopped in their tracks; every
// stream, direct or through Envoy, is recorded and validated. FAULT_SEED repeats a run, FAULT_SECONDS makes it longer.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clearedChannel } from "#common/postgres/evidence.ts";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { type EventStreamEnvoy, startEventStreamEnvoy } from "../support/eventstream/envoy.ts";
import {
  type FollowerProcess,
  startFollowerProcess,
} from "../support/eventstream/follower-process.ts";
import {
  type EventStreamProcess,
  startEventStreamProcess,
} from "../support/eventstream/process.ts";
import { validateStreams } from "../support/eventstream/validators.ts";
import {
  type EventStreamWorld,
  type Recorder,
  record,
  startEventStreamWorld,
} from "../support/eventstream/world.ts";
import { alice, bob, funding, houseIntentOf, testKey } from "../support/intents/intents.ts";
import { createRandom, writeRandomHistory } from "../support/intents/random-history.ts";
import { LedgerModel } from "../support/ledger/ledger-model.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

const { FAULT_SEED, FAULT_SECONDS } = process.env;
const randomSeed = Number(FAULT_SEED ?? 20_261_124);
const seconds = Number(FAULT_SECONDS ?? 15);
const clusterId = 0n;
const wallets = [alice.address, bob.address, testKey(3).address];
const subscribersCount = 4;
/** Six processes, one after the other. */
const startMs = 180_000;

describeOnEngines(`EventStream among faults (FAULT_SEED=${randomSeed})`, (engine) => {
  let postgres: TestPostgres;
  let world: EventStreamWorld;
  let issuer: TokenIssuer;
  let envoy: EventStreamEnvoy;
  let throughEnvoy: RpcClient<typeof EventStreamService>;
  let follower: FollowerProcess;
  const replicas: EventStreamProcess[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
    world = await startEventStreamWorld(engine, clusterId, postgres);
    await world.seed.openWallets(wallets);
    await world.seed.clear(houseIntentOf({ postings: [funding(alice.address, 1_000_000n)] }));
    issuer = await createTokenIssuer();
    const { databaseUrl } = world.records;
    for (let index = 0; index < 2; index += 1) {
      const options = { engine: world.engine.config, databaseUrl, issuer };
      replicas.push(await startEventStreamProcess(options));
    }
    envoy = await startEventStreamEnvoy(replicas, issuer.jwksPath);
    const token = await issuer.token({ scope: "events.read" });
    const { address } = envoy;
    const call = { address, defaultTimeoutMs: 20_000, token: async () => token };
    throughEnvoy = createRpcClient(EventStreamService, call);
    follower = startFollowerProcess(address, token);
  }, startMs);

  afterAll(async () => {
    await follower?.stop();
    throughEnvoy?.[Symbol.dispose]();
    await envoy?.stop();
    for (const replica of replicas) await replica.stop();
    issuer?.[Symbol.dispose]();
    await world?.stop();
  });

  /** Writes until told to stop. What the records refuse while they are away never reaches the ledger. */
  async function write(random: () => number, isOver: () => boolean): Promise<void> {
    const options = { seed: world.seed, wallets, random, durationMs: 500, pauseMsMax: 4 };
    while (!isOver()) {
      await writeRandomHistory({ ...options, model: new LedgerModel() }).catch(() => sleep(100));
      await world.pool.query(`notify ${clearedChannel}`).catch(() => undefined);
    }
  }

  async function breakThings(random: () => number, isOver: () => boolean): Promise<string[]> {
    const done: string[] = [];
    const { server } = world.engine;
    const faults: [string, () => Promise<void>][] = [
      ["kill replica 0", async () => replicas[0]?.restart()],
      ["kill replica 1", async () => replicas[1]?.restart()],
      [
        "kill PostgreSQL",
        async () => {
          await postgres.kill();
          await sleep(500 * random());
          await postgres.restart();
        },
      ],
      [
        "stop PostgreSQL",
        async () => {
          await postgres.pause();
          await sleep(1_500 * random());
          await postgres.resume();
        },
      ],
      [
        "stop a subscriber",
        async () => {
          follower.pause();
          // Long enough to look like a silent stream to the subscriber himself when he goes on: three heartbeats.
          await sleep(2_500 + 1_000 * random());
          follower.resume();
        },
      ],
    ];
    if (server !== undefined) {
      faults.push([
        "stop the ledger",
        async () => {
          server.pause();
          await sleep(1_500 * random());
          server.resume();
        },
      ]);
    }
    while (!isOver() || done.length < faults.length) {
      // Each at least once, then as it comes.
      const next = faults[done.length] ?? faults[Math.floor(random() * faults.length)];
      if (next === undefined) break;
      await next[1]();
      done.push(next[0]);
      await sleep(1_500 * random());
    }
    return done;
  }

  /** Subscribes here and there, leaves at will, and always resumes from the last cursor that it has seen. */
  async function subscribe(random: () => number, isOver: () => boolean) {
    const clients = [...replicas.map((replica) => replica.connect()), throughEnvoy];
    const streams: Recorder[] = [];
    let cursor: string | undefined;
    while (!isOver()) {
      const client = clients[Math.floor(random() * clients.length)];
      if (client === undefined) throw new Error("no replica");
      const stream = record(client, {
        start:
          cursor === undefined
            ? { case: "earliest", value: true }
            : { case: "cursor", value: cursor },
        heartbeatInterval: { seconds: 1n, nanos: 0 },
      });
      streams.push(stream);
      await Promise.race([stream.ended, sleep(3_000 * random())]);
      await stream.stop();
      // A crash of the subscriber: what came after the cursor that he kept comes again.
      const kept = Math.floor(stream.messages.length * (random() < 0.3 ? random() : 1));
      cursor = stream.messages[kept - 1]?.cursor ?? cursor;
      if (stream.messages.length === 0) await sleep(50);
    }
    return { streams, cursor };
  }

  test(
    "together the streams of a subscriber are what happened",
    async () => {
      const random = createRandom(randomSeed);
      // Who begins after both replicas were killed would perhaps meet no fault.
      await expect.poll(() => follower.streams[0]?.messages.length).toBeGreaterThan(0);
      const endMs = Date.now() + seconds * 1_000;
      let areFaultsOver = false;
      const isOver = () => areFaultsOver;
      const subscribing = Array.from({ length: subscribersCount }, (_, index) =>
        subscribe(createRandom(randomSeed + index + 1), isOver),
      );
      const writing = write(random, isOver);
      await breakThings(random, () => Date.now() > endMs);
      areFaultsOver = true;
      await writing;
      // The longest reservation of such a history takes three seconds to run out.
      await sleep(3_500);
      const truth = await world.truth();
      const last = truth.at(-1)?.eventId;
      const client = replicas[1]?.connect();
      if (client === undefined) throw new Error("no replica");
      for (const { streams, cursor } of await Promise.all(subscribing)) {
        const rest = record(client, {
          start: { case: "cursor", value: cursor ?? "" },
          heartbeatInterval: { seconds: 1n, nanos: 0 },
        });
        const isAtEnd = () =>
          [...streams, rest].some(({ messages }) =>
            messages.some(
              ({ message }) => message.case === "event" && message.value.eventId === last,
            ),
          );
        await rest.until((messages) => isAtEnd() && messages.at(-1)?.message.case === "bookmark");
        await rest.stop();
        validateStreams([...streams, rest], { clusterId, truth, matching: truth });
      }
      await expect.poll(() => lastEventOf(follower)).toBe(last);
      expect(follower.failure).toBeUndefined();
      // Whichever replica Envoy had chosen for it was killed at least once.
      expect(follower.streams.length).toBeGreaterThan(1);
      validateStreams(follower.streams, { clusterId, truth, matching: truth });
    },
    (seconds + 180) * 1_000,
  );
});

/** The id of the last event that it was told. */
function lastEventOf({ streams }: FollowerProcess): string | undefined {
  const told = streams.flatMap(({ messages }) => messages);
  const last = told.findLast(({ message }) => message.case === "event")?.message;
  return last?.case === "event" ? last.value.eventId : undefined;
}
