import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

// In a browser too: nothing here may import what only Node has.

/** What a client reads of the contract: the reason of a call whose connection was cut, and when to send it again. */
const reason = "EDGE_UNAVAILABLE";
const domain = "sovr";
const retryAfterSeconds = 1n;

/** What libraries say of a connection that ended in the middle, where their code alone does not. */
const cutText =
  /RST_STREAM|stream closed|ECONNRESET|ECONNREFUSED|EPIPE|socket hang up|premature|promised \d+ bytes|incomplete envelope|missing (EndStreamResponse|trailer|status)|failed to fetch|fetch failed|network|load failed|terminated/i;

/**
 * What a failed call means to its caller. A call that was cut off, or that found nobody, has no reason of a service; its
 * library calls it INTERNAL, ABORTED, INVALID_ARGUMENT or UNKNOWN, whatever protocol it spoke. It is UNAVAILABLE
 * with EDGE_UNAVAILABLE and RetryInfo: it may have been carried out, and the same request again tells. Everything else
 * is handed back as it is, and what is no ConnectError as one.
 */
export function cutCallError(thrown: unknown): ConnectError {
  const error = ConnectError.from(thrown);
  return isCut(error) ? unavailable(error) : error;
}

/** Lets unary calls and streams that were cut fail as `cutCallError` says; not those that their caller left. */
export const explainCutCalls: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    if (!response.stream) return response;
    return { ...response, message: explained(response.message, request.signal) };
  } catch (error) {
    throw request.signal.aborted ? error : cutCallError(error);
  }
};

async function* explained<Message>(
  messages: AsyncIterable<Message>,
  signal: AbortSignal,
): AsyncGenerator<Message> {
  try {
    yield* messages;
  } catch (error) {
    throw signal.aborted ? error : cutCallError(error);
  }
}

function isCut(error: ConnectError): boolean {
  if (error.findDetails(ErrorInfoSchema).length > 0) return false;
  switch (error.code) {
    case Code.Unavailable:
    case Code.Aborted: // connect-node's word for a connection that was reset
      return true;
    case Code.Internal:
    case Code.Unknown:
    case Code.InvalidArgument:
    case Code.DataLoss:
      return [error.rawMessage, messageOf(error.cause)].some((text) => cutText.test(text));
    default:
      return false;
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? `${Reflect.get(cause, "code") ?? ""} ${cause.message}` : "";
}

function unavailable(cause: ConnectError): ConnectError {
  return new ConnectError(
    "The connection was cut before the answer; send the same request again to learn its outcome.",
    Code.Unavailable,
    undefined,
    [
      { desc: ErrorInfoSchema, value: { reason, domain } },
      { desc: RetryInfoSchema, value: { retryDelay: { seconds: retryAfterSeconds } } },
    ],
    cause,
  );
}
