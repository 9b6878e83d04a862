import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { cutCallError } from "./cut-call.ts";
import { ruleOf } from "./reasons.ts";

/** What libraries say of a connection that was cut, as they were heard. */
const cuts: readonly (readonly [string, unknown])[] = [
  [
    "grpc-js",
    new ConnectError("Received RST_STREAM with code 2 (Internal server error)", Code.Internal),
  ],
  ["grpc-js, no status", new ConnectError("Received RST_STREAM with code 0", Code.Internal)],
  ["grpc-js, nobody there", new ConnectError("No connection established", Code.Unavailable)],
  [
    "HTTP/2 in Connect",
    new ConnectError("http/2 stream closed with error code INTERNAL_ERROR (0x2)", Code.Internal),
  ],
  ["HTTP/1.1 in Connect", new ConnectError("aborted", Code.Aborted)],
  [
    "a Connect stream",
    new ConnectError("protocol error: missing EndStreamResponse", Code.InvalidArgument),
  ],
  [
    "a Connect stream in a frame",
    new ConnectError("protocol error: promised 9 bytes, received 3", Code.InvalidArgument),
  ],
  ["gRPC-Web", new ConnectError("protocol error: missing trailer", Code.Internal)],
  ["Chromium", new TypeError("Failed to fetch")],
  ["Firefox", new TypeError("NetworkError when attempting to fetch resource.")],
  ["Safari", new TypeError("Load failed")],
  ["Node's fetch", new TypeError("terminated")],
];

describe("cutCallError", () => {
  it.each(cuts)("makes UNAVAILABLE of a cut: %s", (_, thrown) => {
    const error = cutCallError(thrown);
    expect(error.code).toBe(ruleOf("EDGE_UNAVAILABLE").code);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "EDGE_UNAVAILABLE" }]);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    expect(error.cause).toBeInstanceOf(ConnectError);
  });

  it.each([
    ["a reason of a service", reasoned("INTERNAL", Code.Internal, "RST_STREAM")],
    ["a reason that is UNAVAILABLE", reasoned("DRAINING", Code.Unavailable, "closing")],
    ["a fault of this process", new ConnectError("undefined is not a function", Code.Internal)],
    [
      "a malformed request",
      new ConnectError("protocol error: invalid timeout", Code.InvalidArgument),
    ],
    ["a deadline", new ConnectError("Deadline exceeded", Code.DeadlineExceeded)],
    ["a caller who left", new ConnectError("RST_STREAM", Code.Canceled)],
  ])("leaves alone %s", (_, error) => {
    expect(cutCallError(error)).toBe(error);
  });
});

function reasoned(reason: string, code: Code, message: string): ConnectError {
  const details = [{ desc: ErrorInfoSchema, value: { reason, domain: "sovr" } }];
  return new ConnectError(message, code, undefined, details);
}
