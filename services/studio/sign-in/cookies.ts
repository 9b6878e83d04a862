import type { IncomingMessage } from "node:http";

/** How the cookies of a mesh are named and sent. */
export interface Cookies {
  /** The id of the session that a request carries. */
  session(request: IncomingMessage): string | undefined;
  /** The id of the attempt that a request carries. */
  attempt(request: IncomingMessage): string | undefined;
  /** What keeps a session; "": what ends it. */
  keepSession(id: string, secondsMax: number): string;
  keepAttempt(id: string, secondsMax: number): string;
}

/** Where the provider sends browsers back to. */
export const callbackPath = "/sign-in/oidc/callback";

/**
 * The session's cookie is Strict: no other site can send it along. That of an attempt must be Lax, for the provider's page
 * leads back here, and goes to that one path alone. With TLS their names make browsers refuse them from a plain
 * connection, and the session's from another host of the domain as well.
 */
export function createCookies(isSecure: boolean): Cookies {
  const sessionName = isSecure ? "__Host-sovr-session" : "sovr-session";
  const attemptName = isSecure ? "__Secure-sovr-attempt" : "sovr-attempt";
  const secure = isSecure ? "; Secure" : "";
  const age = (id: string, secondsMax: number) => `Max-Age=${id === "" ? 0 : secondsMax}`;
  return {
    session: (request) => cookieOf(request, sessionName, /^[0-9a-f]{64}$/),
    attempt: (request) => cookieOf(request, attemptName, /^[\w-]{43}$/),
    keepSession: (id, secondsMax) =>
      `${sessionName}=${id}; Path=/; ${age(id, secondsMax)}; HttpOnly; SameSite=Strict${secure}`,
    keepAttempt: (id, secondsMax) =>
      `${attemptName}=${id}; Path=${callbackPath}; ${age(id, secondsMax)}; HttpOnly; SameSite=Lax${secure}`,
  };
}

/** The value of a cookie, if it has the form of ours. Of two of one name none counts: one of them is somebody else's. */
function cookieOf(request: IncomingMessage, name: string, form: RegExp): string | undefined {
  const values = (request.headers.cookie ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  const [value, ...others] = values;
  return value !== undefined && others.length === 0 && form.test(value) ? value : undefined;
}
