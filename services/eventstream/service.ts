import { clone, create, toBinary } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { parseWallet } from "#common/address.ts";
import { DomainError, invalidField } from "#common/domain-error.ts";
import { balanceOf } from "#common/ledger/balance.ts";
import { type Viewer, viewerOf } from "#common/ledger/visibility.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { requirePrincipal } from "#common/rpc/access/principal.ts";
import { streamEnds } from "#common/rpc/stream-ends.ts";
import { parseU128 } from "#common/u128.ts";
import { formatBalance } from "#common/wire/balance.ts";
import { parseCursor } from "#common/wire/cursor.ts";
import type { List, PageTokens } from "#common/wire/page-token.ts";
import { parseNanoseconds, parseOptionalNanoseconds } from "#common/wire/timestamps.ts";
import type { EventFilter as EventFilterProto } from "#gen/sovr/eventstream/v1/event_pb.ts";
import {
  type EventStreamService,
  type ListEventsRequest,
  ListEventsRequestSchema,
  type ListEventsResponse,
  ListEventsResponseSchema,
  type SubscribeRequest,
  type SubscribeResponse,
  type WatchBalancesRequest,
  type WatchBalancesResponse,
  WatchBalancesResponseSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { compileFilter, type EventFilter } from "./live/filter.ts";
import { EventEncoder, parseEventType } from "./serve/encode.ts";
import type { EventStream } from "./serve/event-stream.ts";
import { packPlace, unpackPlace } from "./serve/list-place.ts";
import type { StreamStart } from "./serve/start.ts";

export interface EventStreamServiceDeps {
  readonly stream: EventStream;
  readonly clusterId: bigint;
  /** Of this service on this cluster. */
  readonly pageTokens: PageTokens;
  /** When a stream must have ended itself, counted from its start. */
  readonly streamAgeMsMax: number;
}

const heartbeatMsDefault = 15_000;
const pageSizeDefault = 100;

/** EventStreamService on an event stream. */
export function createEventStreamService(
  deps: EventStreamServiceDeps,
): ServiceImpl<typeof EventStreamService> {
  const encoder = new EventEncoder(deps.clusterId);
  return {
    subscribe: (request, ctx) => subscribe(deps, encoder, request, ctx),
    listEvents: (request, ctx) => listEvents(deps, encoder, request, ctx),
    watchBalances: (request, ctx) => watchBalances(deps, encoder, request, ctx),
  };
}

async function* subscribe(
  deps: EventStreamServiceDeps,
  encoder: EventEncoder,
  request: SubscribeRequest,
  ctx: HandlerContext,
): AsyncGenerator<SubscribeResponse> {
  const { heartbeatInterval } = request;
  const viewer = viewerOf(requirePrincipal(ctx));
  const subscription = await deps.stream.subscribe({
    start: parseStart(request.start, deps.clusterId) ?? { kind: "now" },
    filter: parseFilter(request.filter, viewer),
    heartbeatMs:
      heartbeatInterval === undefined ? heartbeatMsDefault : durationMs(heartbeatInterval),
    ends: streamEnds(ctx, deps.streamAgeMsMax),
  });
  let cursor = encoder.cursor(subscription.position);
  try {
    for (;;) {
      const response = encoder.response(await subscription.next(), cursor, viewer);
      cursor = response.cursor;
      yield response;
    }
  } catch (error) {
    throw withCursor(error, cursor);
  } finally {
    subscription.close();
  }
}

/** The mount throws SLOW_CONSUMER into the `yield` of one who takes nothing; only here his cursor is known. */
function withCursor(error: unknown, cursor: string): unknown {
  if (!(error instanceof DomainError) || error.kind !== "SLOW_CONSUMER") return error;
  return new DomainError("SLOW_CONSUMER", error.message, { metadata: { cursor }, cause: error });
}

async function listEvents(
  deps: EventStreamServiceDeps,
  encoder: EventEncoder,
  request: ListEventsRequest,
  ctx: HandlerContext,
): Promise<ListEventsResponse> {
  const viewer = viewerOf(requirePrincipal(ctx));
  const filter = parseFilter(request.filter, viewer);
  const start = parseStart(request.start, deps.clusterId) ?? { kind: "earliest" };
  const to = parseOptionalNanoseconds(request.toTime, "to_time");
  const bound = boundRequest(request, viewer);
  const place =
    request.pageToken === ""
      ? await deps.stream.placeList(start, to)
      : unpackPlace(deps.pageTokens.open(bound, request.pageToken));
  const eventsMax = request.pageSize === 0 ? pageSizeDefault : request.pageSize;
  const page = await deps.stream.list(place, filter, eventsMax, ctx.signal);
  return create(ListEventsResponseSchema, {
    events: page.events.map((event) => encoder.event(event, viewer)),
    nextPageToken: page.next === undefined ? "" : deps.pageTokens.seal(bound, packPlace(page.next)),
    cursor: encoder.cursor(page.position),
  });
}

/** What must be the same on every page of a list: the request without its page, and whose it is. */
function boundRequest(request: ListEventsRequest, viewer: Viewer): List {
  const bound = clone(ListEventsRequestSchema, request);
  bound.pageSize = 0;
  bound.pageToken = "";
  return ["events", viewer.key, toBinary(ListEventsRequestSchema, bound)];
}

async function* watchBalances(
  deps: EventStreamServiceDeps,
  encoder: EventEncoder,
  request: WatchBalancesRequest,
  ctx: HandlerContext,
): AsyncGenerator<WatchBalancesResponse> {
  const viewer = viewerOf(requirePrincipal(ctx));
  const watch = await deps.stream.watchBalances({
    accountIds: watchedAccounts(request),
    viewer,
    keepAliveMs: heartbeatMsDefault,
    ends: streamEnds(ctx, deps.streamAgeMsMax),
  });
  try {
    for (;;) {
      const { balances, position } = await watch.next();
      yield create(WatchBalancesResponseSchema, {
        balances: balances.map((balance) =>
          formatBalance(balanceOf(balance.account, balance, position.timestamp)),
        ),
        cursor: encoder.cursor(position),
      });
    }
  } finally {
    watch.close();
  }
}

function watchedAccounts(request: WatchBalancesRequest): bigint[] {
  const byId = request.accountIds.map((id, index) => parseU128(id, `account_ids[${index}]`));
  const byWallet = request.wallets.map((text, index) =>
    walletAccountId(parseWallet(text, `wallets[${index}]`), request.ledger),
  );
  return [...new Set([...byId, ...byWallet])];
}

function parseStart(
  start: SubscribeRequest["start"] | ListEventsRequest["start"],
  clusterId: bigint,
): StreamStart | undefined {
  switch (start.case) {
    case "cursor":
      return { kind: "cursor", position: parseCursor(start.value, clusterId, "cursor") };
    case "earliest":
      return { kind: "earliest" };
    case "sinceTime":
      return { kind: "since", timestamp: parseNanoseconds(start.value, "since_time") };
    case undefined:
      return undefined;
  }
}

function parseFilter(filter: EventFilterProto | undefined, viewer: Viewer): EventFilter {
  const types = (filter?.types ?? []).map((type, index) => {
    const parsed = parseEventType(type);
    if (parsed === undefined) {
      throw invalidField(`filter.types[${index}]`, "enum.defined_only", "is unknown");
    }
    return parsed;
  });
  return compileFilter(
    {
      types,
      accountIds: (filter?.accountIds ?? []).map((id, index) =>
        parseU128(id, `filter.account_ids[${index}]`),
      ),
      wallets: (filter?.wallets ?? []).map((wallet, index) =>
        parseWallet(wallet, `filter.wallets[${index}]`),
      ),
      merchantIds: filter?.merchantIds ?? [],
      codes: filter?.codes ?? [],
    },
    viewer,
  );
}
