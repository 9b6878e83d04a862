import type { IncomingMessage, ServerResponse } from "node:http";
import { parseWallet } from "#common/address.ts";
import { parseSignature } from "#common/intent/signature.ts";
import type { Logger } from "#common/process/logger.ts";
import { clientAddressHeader } from "#common/rpc/limits/client-address.ts";
import { readJson, refusalOf, textOf, unknownMethod } from "../json-routes.ts";
import { sendJson, sendMessagePage } from "../site.ts";
import type { SignInConfig } from "./config.ts";
import { type Cookies, callbackPath, createCookies } from "./cookies.ts";
import { signInLimits } from "./limits.ts";
import type { Session } from "./ports.ts";
import { type Begun, refused, type SignIn } from "./sign-in.ts";

/** What a browser is told of its session. */
interface ShownSession {
  readonly subject: string;
  readonly name: string;
  readonly wallet: string | null;
  readonly roles: readonly string[];
  readonly expiresAtMs: number;
}

interface Exchange {
  readonly signIn: SignIn;
  readonly config: SignInConfig;
  readonly cookies: Cookies;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * Answers /sign-in/…: JSON for JSON, errors as {reason, message}; and for people, the way to their provider and back, with
 * pages. A session lies in a cookie that no script reads, and is exchanged for tokens of five minutes.
 */
export function createSignInRoutes(signIn: SignIn, config: SignInConfig, logger: Logger) {
  const cookies = createCookies(config.isSecure);
  return async (
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
  ): Promise<void> => {
    const exchange = { signIn, config, cookies, request, response };
    const isPage = path.startsWith("/sign-in/oidc");
    try {
      if (isPage) await answerPage(exchange, path);
      else sendJson(request, response, 200, await answer(exchange, path));
    } catch (error) {
      const { status, reason, message, retryAfterMs } = refusalOf(error, logger, "a sign-in");
      if (retryAfterMs !== undefined) {
        response.setHeader("retry-after", Math.ceil(retryAfterMs / 1_000));
      }
      if (isPage) {
        const text = { title: "You are not signed in", message: `${message} (${reason})` };
        sendMessagePage(request, response, status, text);
      } else sendJson(request, response, status, { reason, message });
    }
  };
}

async function answer(exchange: Exchange, path: string): Promise<unknown> {
  const { signIn, cookies, request } = exchange;
  if (request.method === "GET" && path === "/sign-in/session") {
    return { session: shown(await signIn.who(cookies.session(request))) };
  }
  if (request.method !== "POST") throw unknownMethod(`${request.method} ${path}`);
  requireOwnPage(exchange);
  const body = await readJson(request);
  switch (path) {
    case "/sign-in/wallet/challenge":
      return signIn.challenge(parseWallet(textOf(body, "wallet"), "wallet"), addressOf(request));
    case "/sign-in/wallet": {
      const signature = parseSignature(textOf(body, "signature"), "signature");
      const replaced = cookies.session(request);
      return {
        session: keep(exchange, await signIn.byWallet(textOf(body, "nonce"), signature, replaced)),
      };
    }
    case "/sign-in/token":
      return signIn.token(cookies.session(request), textOf(body, "wallet"));
    case "/sign-in/out": {
      const next = await signIn.end(cookies.session(request));
      exchange.response.appendHeader("set-cookie", cookies.keepSession("", 0));
      return { next: next?.href ?? null };
    }
    default:
      throw unknownMethod(path);
  }
}

async function answerPage(exchange: Exchange, path: string): Promise<void> {
  const { signIn, cookies, request, response } = exchange;
  if (request.method !== "GET") throw unknownMethod(`${request.method} ${path}`);
  if (path === callbackPath) return comeBack(exchange);
  if (path !== "/sign-in/oidc") throw unknownMethod(path);
  const { url, attemptId } = await signIn.toProvider(cookies.session(request), addressOf(request));
  response.appendHeader(
    "set-cookie",
    cookies.keepAttempt(attemptId, signInLimits.answerMs / 1_000),
  );
  const text = { title: "To your sign-in", message: `It is at ${url.host}.`, next: url.href };
  response.setHeader("location", url.href);
  sendMessagePage(request, response, 303, text);
}

/**
 * The provider has sent the browser back. The session's cookie is not sent along by what another site began, so a page of
 * ours comes first, and leads on.
 */
async function comeBack(exchange: Exchange): Promise<void> {
  const { signIn, cookies, config, request, response } = exchange;
  const attemptId = cookies.attempt(request);
  response.appendHeader("set-cookie", cookies.keepAttempt("", 0));
  if (attemptId === undefined) {
    throw refused("state", "This browser did not begin this, or more than five minutes ago.");
  }
  const url = new URL(request.url ?? "", config.origin);
  const begun = await signIn.fromProvider(url, attemptId);
  const { name } = keep(exchange, begun);
  sendMessagePage(request, response, 200, {
    title: "You are signed in",
    message: `Welcome, ${name}.`,
    next: "/",
  });
}

function keep({ response, cookies, config }: Exchange, { id, session }: Begun): ShownSession {
  response.appendHeader("set-cookie", cookies.keepSession(id, config.sessionSeconds));
  return shownOf(session);
}

/** Of the client, as the edge sees it; nobody else can write that header there. */
function addressOf(request: IncomingMessage): string {
  return String(request.headers[clientAddressHeader] ?? "");
}

/** Browsers name the origin of every POST; a request without one is no page's, and has no session to use. */
function requireOwnPage({ config, request }: Exchange): void {
  const { origin } = request.headers;
  if (origin === config.origin) return;
  throw refused("origin", `Sign-in is at ${config.origin}, and takes requests of its own pages.`);
}

function shown(session: Session | undefined): ShownSession | null {
  return session === undefined ? null : shownOf(session);
}

function shownOf({ subject, name, wallet, roles, expiresAtMs }: Session): ShownSession {
  return { subject, name, wallet: wallet ?? null, roles, expiresAtMs };
}
