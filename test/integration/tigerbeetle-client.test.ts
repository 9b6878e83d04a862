// Goal: a service whose session the cluster evicted goes on by itself, whatever it had under way. Method: a crowd of
// clients takes all sessions that a cluster has, so that the one that was silent longest loses its own.
import { createClient } from "tigerbeetle-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { hasTigerBeetle, startTigerBeetle, type TestTigerBeetle } from "../support/tigerbeetle.ts";

/** As many as a cluster has; a session outlives its client. */
const sessions = 64;
/** Clients of the crowd that live at the same time: each has a thread and buffers of its own. */
const crowdAtOnce = 16;
const reason = hasTigerBeetle ? "" : " (skipped: the program `tigerbeetle` is not on PATH)";

describe.skipIf(!hasTigerBeetle)(`a client that a cluster evicts${reason}`, () => {
  let server: TestTigerBeetle;

  beforeAll(async () => {
    server = await startTigerBeetle();
  });
  afterAll(() => server?.stop());

  const takeAllSessions = async () => {
    for (let taken = 0; taken < sessions; taken += crowdAtOnce) {
      await Promise.all(Array.from({ length: crowdAtOnce }, takeSession));
    }
  };
  const takeSession = async () => {
    const client = createClient({ cluster_id: 0n, replica_addresses: [server.address] });
    await client.lookupAccounts([1n]);
    client.destroy();
  };

  it("answers all that was asked at once, time and again", async () => {
    const client = await openClient({
      clusterId: 0n,
      batchMax: 253,
      engine: { kind: "tigerbeetle", addresses: [server.address] },
    });
    expect(await client.lookupAccounts([1n])).toEqual([]);
    for (let times = 0; times < 2; times += 1) {
      await takeAllSessions();
      const asked = [1n, 2n, 3n].map((id) => client.lookupAccounts([id]));
      expect(await Promise.all(asked)).toEqual([[], [], []]);
    }
    client.destroy();
    await expect(client.lookupAccounts([1n])).rejects.toMatchObject({ code: "ERR_CLIENT_CLOSED" });
  });
});
