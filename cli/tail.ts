import { once } from "node:events";
import { styleText } from "node:util";
import { toJsonString } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient } from "@connectrpc/connect";
import {
  type Followed,
  type FollowOptions,
  followEvents,
  StreamGapError,
} from "#common/events-client/follow-events.ts";
import { type Event, EventSchema, EventType } from "#gen/sovr/eventstream/v1/event_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { describeRpcError } from "./client/errors.ts";
import { eventLines, type Paint, walletNames } from "./client/event-text.ts";
import { type MeshClient, openMesh } from "./client/open-mesh.ts";
import { TailVoice } from "./client/tail-voice.ts";
import { listWallets, resolveAddress } from "./client/wallets.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";

const usage = "./mesh tail [--since TIME|CURSOR|earliest] [--wallet WALLET]… [--json]";

/** How often in a row the stream may turn out to have a gap at one place before that is all there is to say. */
const gapsMax = 3;

// Heeds whether it is a terminal, and NO_COLOR.
const paintOut: Paint = (style, text) => styleText(style, text, { stream: process.stdout });

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
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  // Whoever read us has gone, as `head` does.
  process.stdout.on("error", () => stop.abort());

  let names = walletNames(listWallets(settings));
  const print = async (event: Event) => {
    // Maybe somebody has just made the wallet.
    if (event.type === EventType.ACCOUNT_OPENED) names = walletNames(listWallets(settings));
    const text = values.json
      ? toJsonString(EventSchema, event)
      : eventLines(event, names, paintOut).join("\n");
    if (process.stdout.write(`${text}\n`)) return;
    await once(process.stdout, "drain", { signal: stop.signal }).catch(() => undefined);
  };
  const voice = new TailVoice(values.since !== undefined && process.stderr.isTTY === true);
  await follow(openMesh(settings), parseStart(values.since), {
    ...(wallets.length === 0 ? {} : { filter: { wallets } }),
    signal: stop.signal,
    onInterrupted: (error) => voice.interrupted(error),
    onFollowed: async (followed) => {
      voice.followed(followed);
      if (followed.kind === "event") await print(followed.event);
    },
    onGap: (gap) => voice.gap(gap),
  });
  return 0;
});

interface TailOptions extends Omit<FollowOptions, "start"> {
  readonly onFollowed: (followed: Followed) => Promise<void>;
  readonly onGap: (gap: StreamGapError) => void;
}

/** Follows until the signal fires. After a gap it goes on from where the stream was whole. Throws a Problem. */
async function follow(
  mesh: MeshClient,
  first: FollowOptions["start"],
  options: TailOptions,
): Promise<void> {
  const client = createClient(EventStreamService, mesh.transport);
  let start = first;
  for (let gaps = 0; ; gaps += 1) {
    try {
      for await (const followed of followEvents(client, { ...options, ...(start && { start }) })) {
        gaps = 0;
        await options.onFollowed(followed);
      }
      return;
    } catch (error) {
      if (error instanceof StreamGapError && gaps < gapsMax) {
        options.onGap(error);
        start = { case: "cursor", value: error.cursor };
        continue;
      }
      if (error instanceof StreamGapError) throw new Problem(`${error.message}, time and again`);
      throw new Problem(describeRpcError(ConnectError.from(error)));
    }
  }
}

function parseStart(since: string | undefined): FollowOptions["start"] {
  if (since === undefined) return undefined;
  if (since === "earliest") return { case: "earliest", value: true };
  const ms = /^[0-9]{4}-/.test(since) ? Date.parse(since) : Number.NaN;
  if (Number.isFinite(ms)) return { case: "sinceTime", value: timestampFromDate(new Date(ms)) };
  return { case: "cursor", value: since };
}
