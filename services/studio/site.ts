import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { StudioStripe } from "./config.ts";
import { configMark, nonceMark, type StaticFile, type StaticFiles } from "./static-files.ts";

/** What Stripe's card form loads, by directive of the policy. Stripe says which; nothing else of it is let in. */
const stripeSources: Readonly<Record<string, string>> = {
  "script-src": "https://js.stripe.com https://*.js.stripe.com",
  "img-src": "https://*.stripe.com",
  "connect-src": "https://api.stripe.com",
  "frame-src": "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com",
};

/**
 * What the page may do: run and style itself, and call the mesh that it came from. Mantine writes its variables into
 * style elements, which the nonce admits; React sets single styles through the CSSOM, which no policy restricts, so
 * 'unsafe-inline' is not needed. `withStripe`: cards are paid in Stripe's own form, which is a frame of its own.
 */
export function contentSecurityPolicy(nonce: string, withStripe = false): string {
  const directives: readonly (readonly [name: string, sources: string])[] = [
    ["default-src", "'none'"],
    ["script-src", "'self'"],
    ["style-src", `'self' 'nonce-${nonce}'`],
    ["img-src", "'self'"],
    ["connect-src", "'self'"],
    ...(withStripe ? [["frame-src", ""] as const] : []),
    ["base-uri", "'none'"],
    ["form-action", "'none'"],
    ["frame-ancestors", "'none'"],
  ];
  return directives
    .map(([name, sources]) => {
      const more = withStripe ? stripeSources[name] : undefined;
      return [name, sources, more].filter(Boolean).join(" ");
    })
    .join("; ");
}

/** Goes with every answer, whatever it is. */
export const commonHeaders: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), usb=()",
};

/** A policy for what is no page. */
const nothing = "default-src 'none'; frame-ancestors 'none'";

/** Their names hold a hash of what is in them, so one that is known never changes. */
const forEver = "public, max-age=31536000, immutable";

/** What a page is told of how one signs in. */
export interface PageSignIn {
  /** Whether people can, at a provider of identities; wallets always can. */
  readonly people: boolean;
}

/**
 * Answers GET and HEAD for the app's files. There is one page: the app keeps its routes behind the #. With the page
 * comes what its server knows, as JSON, so that nothing has to be asked before it is drawn.
 */
export function createSite(
  files: StaticFiles,
  stripe: StudioStripe | undefined,
  signIn?: PageSignIn,
) {
  // A function, because "$" has a meaning in texts that replace.
  const page = files.page.replaceAll(configMark, () => formatPageConfig(stripe, signIn));
  const withStripe = stripe !== undefined && !stripe.simulated;
  return (request: IncomingMessage, response: ServerResponse, path: string): void => {
    const file = files.assets.get(path);
    if (path !== "/" && file === undefined) {
      sendText(request, response, 404, "not found");
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      sendText(request, response, 405, "only GET and HEAD");
    } else if (file === undefined) {
      sendPage(request, response, page, withStripe);
    } else {
      sendFile(request, response, file);
    }
  };
}

/** For the inside of an HTML attribute. Nothing in it is secret: everybody gets the page. */
function formatPageConfig(
  stripe: StudioStripe | undefined,
  signIn: PageSignIn | undefined,
): string {
  return escapeHtml(JSON.stringify({ stripe: stripe ?? null, signIn: signIn ?? null }));
}

/** For the inside of an element, or of an attribute in double quotes. */
function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}

function sendPage(
  request: IncomingMessage,
  response: ServerResponse,
  page: string,
  withStripe: boolean,
): void {
  const nonce = randomBytes(16).toString("base64");
  send(request, response, 200, Buffer.from(page.replaceAll(nonceMark, nonce)), {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": contentSecurityPolicy(nonce, withStripe),
    "cache-control": "no-cache",
  });
}

function sendFile(request: IncomingMessage, response: ServerResponse, file: StaticFile): void {
  const accepts = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(
    String(request.headers["accept-encoding"] ?? ""),
  );
  const gzip = accepts ? file.gzip : undefined;
  send(request, response, 200, gzip ?? file.body, {
    "content-type": file.contentType,
    "content-security-policy": nothing,
    "cache-control": forEver,
    vary: "accept-encoding",
    ...(gzip === undefined ? {} : { "content-encoding": "gzip" }),
  });
}

/** Answers a line of text. */
export function sendText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
): void {
  send(request, response, status, Buffer.from(`${text}\n`), {
    "content-type": "text/plain; charset=utf-8",
    "content-security-policy": nothing,
    "cache-control": "no-store",
  });
}

/** A page of few words. */
export interface MessagePage {
  readonly title: string;
  readonly message: string;
  /** Where it leads on by itself at once. Undefined: a link back to the app. */
  readonly next?: string;
}

/** Answers a page of few words, which nobody may keep: what it says is about this browser. */
export function sendMessagePage(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  { title, message, next }: MessagePage,
): void {
  const nonce = randomBytes(16).toString("base64");
  const lead =
    next === undefined ? "" : `<meta http-equiv="refresh" content="0;url=${escapeHtml(next)}">`;
  const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${lead}
<title>${escapeHtml(title)} · SOVR Studio</title>
<style nonce="${nonce}">
  body { font-family: ui-sans-serif, system-ui, sans-serif; margin: 20vh auto 0; max-width: 30rem; padding: 0 1.5rem; line-height: 1.5 }
  a { color: inherit }
</style>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(message)}</p>
<p><a href="${escapeHtml(next ?? "/")}">${next === undefined ? "Back to Studio" : "Go on"}</a></p>
</html>
`;
  send(request, response, status, Buffer.from(page), {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    "cache-control": "no-store",
  });
}

/** Answers a value as JSON, which nobody may keep: it may be a token. */
export function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  value: unknown,
): void {
  send(request, response, status, Buffer.from(`${JSON.stringify(value)}\n`), {
    "content-type": "application/json",
    "content-security-policy": nothing,
    "cache-control": "no-store",
  });
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
): void {
  // A body that nobody read would be taken for the next request of this connection.
  request.resume();
  response.writeHead(status, { ...commonHeaders, ...headers, "content-length": body.length });
  response.end(request.method === "HEAD" ? undefined : body);
}
