import { setTimeout as sleep } from "node:timers/promises";
import { toJsonString } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { EventSchema } from "#gen/sovr/eventstream/v1/event_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { readArguments, runCommand } from "./lib/command.ts";
import { eventText } from "./lib/event-text.ts";
import { errorReason, type MeshClient, openMesh } from "./lib/mesh-client.ts";
import { Problem } from "./lib/problem.ts";
import { readSettings } from "./lib/settings.ts";
import { resolveAddress } from "./lib/wallets.ts";

const usage = "./mesh tail [--since TIME|CURSOR|earliest] [--wallet WALLET]… [--json]";

/** How often in a row it may fail to connect, a second apart, before it gives up. */
const attemptsMax = 60;

type Start =
  | { readonly case: "cursor"; readonly value: string }
  | { readonly case: "earliest"; readonly value: true }
  | { readonly case: "sinceTime"; readonly value: ReturnType<typeof timestampFromDate> }
  | { readonly case: undefined };

runCommand(async () => {
  const { values } = readArguments(
    {
      since: { type: "string" },
      wallet: { type: "string", multiple: true, default: [] },
      json: { type: "boolean", default: false },
    },
    usage,
  );
  const settings = readSettings(process.env);
  const wallets = values.wallet.map((wallet) => resolveAddress(settings, wallet));
  const mesh = openMesh(settings);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());

  let start = parseStart(values.since);
  let failures = 0;
  while (!stop.signal.aborted && failures < attemptsMax) {
    try {
      for await (const message of subscribe(mesh, start, wallets, stop.signal)) {
        failures = 0;
        start = { case: "cursor", value: message.cursor };
        if (message.message.case !== "event") continue;
        const event = message.message.value;
        console.log(values.json ? toJsonString(EventSchema, event) : eventText(event));
      }
    } catch (error) {
      if (stop.signal.aborted) return 0;
      const connectError = ConnectError.from(error);
      if (!mayReturn(connectError)) {
        throw new Problem(
          `${errorReason(connectError) ?? Code[connectError.code]}: ${connectError.rawMessage}`,
        );
      }
      failures += 1;
    }
    await sleep(1_000, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  if (stop.signal.aborted) return 0;
  throw new Problem(`the stream could not be opened ${attemptsMax} times in a row: ./mesh status`);
});

function subscribe(mesh: MeshClient, start: Start, wallets: string[], signal: AbortSignal) {
  const client = createClient(EventStreamService, mesh.transport);
  const filter = wallets.length === 0 ? {} : { filter: { wallets } };
  return client.subscribe({ start, ...filter }, { signal });
}

/** A mesh that restarts, or a planned end: the stream goes on from its cursor. */
function mayReturn(error: ConnectError): boolean {
  const codes = [
    Code.Unavailable,
    Code.Aborted,
    Code.Canceled,
    Code.DeadlineExceeded,
    Code.Unknown,
  ];
  return codes.includes(error.code) || errorReason(error) === "SLOW_CONSUMER";
}

function parseStart(since: string | undefined): Start {
  if (since === undefined) return { case: undefined };
  if (since === "earliest") return { case: "earliest", value: true };
  const ms = /^[0-9]{4}-/.test(since) ? Date.parse(since) : Number.NaN;
  if (Number.isFinite(ms)) return { case: "sinceTime", value: timestampFromDate(new Date(ms)) };
  return { case: "cursor", value: since };
}
