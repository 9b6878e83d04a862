/**
 * Follows events in a process of its own. Writes a line of JSON for the start of every call, and for every message:
 * {"start": cursor or null}, {"message": SubscribeResponse}.
 */
import { writeSync } from "node:fs";
import { toJson } from "@bufbuild/protobuf";
import { type EventStreamClient, followEvents } from "#common/events-client/follow-events.ts";
import { createRpcClient } from "#common/rpc/client.ts";
import {
  EventStreamService,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";

const { ADDRESS = "", TOKEN = "" } = process.env;

function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

async function* tell(stream: AsyncIterable<SubscribeResponse>): AsyncGenerator<SubscribeResponse> {
  for await (const message of stream) {
    say({ message: toJson(SubscribeResponseSchema, message) });
    yield message;
  }
}

const client = createRpcClient(EventStreamService, {
  address: ADDRESS,
  defaultTimeoutMs: 5_000,
  token: async () => TOKEN,
});
const telling: EventStreamClient = {
  subscribe(request, options) {
    say({ start: request.start?.case === "cursor" ? request.start.value : null });
    return tell(client.subscribe(request, options));
  },
};
const following = followEvents(telling, {
  start: { case: "earliest", value: true },
  heartbeatMs: 1_000,
  backoffMs: { first: 50, last: 1_000 },
});
for await (const _ of following);
