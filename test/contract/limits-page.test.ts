// Goal: docs/limits.md says what the code does. Method: every row of its tables against the constant that is enforced, and no
// constant without a row.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { approvalsMax } from "#common/approval/approval.ts";
import { unaryMsMax } from "#common/rpc/caller-timeout.ts";
import { runtimeLimits } from "#common/rpc/limits/runtime-limits.ts";
import { planMethods } from "#common/rpc/method-plan.ts";
import { runtimeConfig } from "#common/rpc/runtime-config.ts";
import { valuesMax } from "#common/rpc/strict/batch-json.ts";
import { leavesMax } from "#common/tree/merkle.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { edgeLimits, edgeSeconds } from "../../cli/parts/edge-limits.ts";
import { attestorConfig } from "../../services/attestor/config.ts";
import { openProposalsMax } from "../../services/attestor/drivers/proposals.ts";
import { checkoutConfig } from "../../services/checkout/config.ts";
import { watchersMax } from "../../services/checkout/deps.ts";
import { batchPostingsMax } from "../../services/clearing/batch/clear-batch.ts";
import { postingsUnderWayMax } from "../../services/clearing/core/postings-under-way.ts";
import { defaultLimits } from "../../services/eventstream/serve/event-stream.ts";
import { bodyBytesMax } from "../../services/studio/json-routes.ts";
import { signInLimits } from "../../services/studio/sign-in/limits.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/limits.md"), "utf8");
/** What each row of the page says, and how much. */
const rows = [...page.matchAll(/^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$/gm)]
  .map(([, what = "", limit = ""]) => [what, limit])
  .filter(([what]) => what !== "what" && !what?.startsWith("---"));

const number = (value: number) => value.toLocaleString("en-US");
const mebibytes = (bytes: number) => `${bytes / 2 ** 20} MiB`;
const kibibytes = (bytes: number) => `${bytes / 2 ** 10} KiB`;
const seconds = (ms: number) => `${ms / 1_000} s`;

const runtime = runtimeConfig("ledger", { JWT_JWKS_FILE: "x" });
const attestor = attestorConfig({
  JWT_JWKS_FILE: "x",
  DATABASE_URL: "x",
  SIGNERS_FILE: "x",
  EIP712_VERIFYING_CONTRACT: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
  ATTESTOR_PRIVATE_KEY: "1".repeat(64),
});
const checkout = checkoutConfig({
  JWT_JWKS_FILE: "x",
  DATABASE_URL: "x",
  CHECKOUT_CREDENTIAL_KEY: "x",
});
const bytesOf = (method: string) =>
  [...planMethods(ClearingService), ...planMethods(LedgerService)].find(({ path }) =>
    path.endsWith(`/${method}`),
  )?.requestBytesMax ?? 0;

it("has the numbers of the services", () => {
  const limits = runtimeLimits;
  expect(rows.slice(0, 29)).toEqual([
    ["unary calls that run, each process", number(limits.calls)],
    ["unary calls of one subject, from their headers on", number(limits.callsOfSubject)],
    ["streams of one subject (`STREAMS_PER_SUBJECT_MAX`)", number(runtime.streamsPerSubjectMax)],
    ["watches of health, without a token", number(limits.healthWatches)],
    ["watches of health from one address", number(limits.healthWatchesOfAddress)],
    ["streams of reflection", number(limits.reflections)],
    ["streams of reflection of one subject", number(limits.reflectionsOfSubject)],
    ["a message, unless its method says more", mebibytes(bytesOf("GetBalance"))],
    ["a message of ClearBatch, or of AttestBatch", mebibytes(bytesOf("ClearBatch"))],
    [
      "bytes of requests on their way in or being answered, each process",
      mebibytes(limits.requestBytes),
    ],
    [
      "of these to one method, or four of its largest messages if that is more",
      mebibytes(limits.requestBytesOfMethod),
    ],
    ["time for a request of a mebibyte to arrive", seconds(limits.bodyMs)],
    ["time that each further mebibyte of a method's limit adds", seconds(limits.bodyMsPerMebibyte)],
    ["a unary call, whatever its caller allows", seconds(unaryMsMax)],
    ["a stream whose client takes nothing", seconds(runtime.streamStallMs)],
    ["the age of a stream", `${runtime.streamAgeMsMax / 60_000} min`],
    ["streams on one HTTP/2 connection", number(limits.streamsOfConnection)],
    ["memory of one HTTP/2 connection", `${limits.megabytesOfConnection} MB`],
    ["subscribers of one EventStream (`SUBSCRIBERS_MAX`)", number(defaultLimits.subscribersMax)],
    ["watchers of one Checkout", number(watchersMax)],
    ["postings under way in one Clearing", number(postingsUnderWayMax)],
    ["postings of one ClearBatch", number(batchPostingsMax)],
    ["intents of one AttestBatch, and so of one tree", number(leavesMax)],
    ["values, keys and items in the JSON of one ClearBatch, or AttestBatch", number(valuesMax)],
    [
      "intents of a wallet that one Attestor attests in a minute (`INTENTS_PER_WALLET_AND_MINUTE`)",
      number(attestor.intentsPerWalletAndMinute),
    ],
    [
      "checkouts of a wallet that it makes at one Checkout in a minute (`CHECKOUTS_PER_WALLET_AND_MINUTE`)",
      number(checkout.checkoutsPerWalletAndMinute),
    ],
    [
      "checkouts of a wallet that are open, of its own and of each merchant's for it (`OPEN_CHECKOUTS_PER_WALLET`)",
      number(checkout.openPerWallet),
    ],
    ["proposals that wait for their approvers", number(openProposalsMax)],
    ["approvals of an attestation, and approvers of a policy", number(approvalsMax)],
  ]);
});

it("has the numbers of the edge", () => {
  const { anonymousOfAddress, callsOfWallet, webhooksOfAddress } = edgeLimits;
  expect(rows.slice(29, -6)).toEqual([
    ["connections", number(edgeLimits.connections)],
    ["streams on one connection", number(edgeLimits.streamsOfConnection)],
    ["calls at once of one cluster", number(edgeLimits.callsAtOnce)],
    ["retries, of what is under way", `${edgeLimits.retriesPercent} %`],
    ["headers of a request", `${edgeLimits.headersKib} KiB`],
    ["headers of a request, in number", number(edgeLimits.headersCount)],
    ["time for a request's headers", `${edgeSeconds.headers} s`],
    ["time for a whole request", `${edgeSeconds.request} s`],
    ["time for a unary answer", `${edgeSeconds.unary} s`],
    ["silence on a stream", `${edgeSeconds.streamIdle} s`],
    ["a connection without a request", `${edgeSeconds.connectionIdle} s`],
    ["bytes held of one connection, each side", kibibytes(edgeLimits.bufferBytes)],
    ["memory", mebibytes(edgeLimits.heapBytes)],
    [
      "calls without a good token from one address to one path, each second",
      number(anonymousOfAddress.perSecond),
    ],
    ["such calls that may come at once", number(anonymousOfAddress.burst)],
    ["calls of one wallet's tokens to one service, each second", number(callsOfWallet.perSecond)],
    ["such calls that may come at once", number(callsOfWallet.burst)],
    ["webhooks, each second", number(edgeLimits.webhooksPerTenth * 10)],
    ["webhooks from one address, each second", number(webhooksOfAddress.perSecond)],
    ["a webhook's body", kibibytes(edgeLimits.webhookBytes)],
  ]);
});

it("has the numbers of the sign-in", () => {
  const { challengesOfAddress, attemptsOfAddress, answerMs, sessionsOfSubject, tokenMs } =
    signInLimits;
  expect(rows.slice(-6)).toEqual([
    ["texts to sign that one address is given, each minute", number(challengesOfAddress)],
    ["ways to the provider that one address begins, each minute", number(attemptsOfAddress)],
    ["time to sign, or to be at the provider", seconds(answerMs)],
    ["sessions of one subject", number(sessionsOfSubject)],
    ["the age of a session's token", seconds(tokenMs)],
    ["a request's body", kibibytes(bodyBytesMax)],
  ]);
});
