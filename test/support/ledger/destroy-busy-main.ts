// A process that destroys a client while it waits for answers: `destroy-busy-main.ts ADDRESS`. Prints how many it got.
import { openClient } from "#common/tigerbeetle/open-client.ts";

const [address = ""] = process.argv.slice(2);
const client = await openClient({
  clusterId: 0n,
  batchMax: 253,
  engine: { kind: "tigerbeetle", addresses: [address] },
});
await client.lookupAccounts([1n]);
const asked = Array.from({ length: 40 }, (_, index) =>
  index % 2 === 0
    ? client.lookupAccounts([BigInt(index + 1)])
    : client.lookupTransfers([BigInt(index + 1)]),
);
client.destroy();
const answered = (await Promise.allSettled(asked)).filter(({ status }) => status === "fulfilled");
console.log(answered.length);
