import { computeAddress, hashMessage, type SigningKey } from "ethers";

/** An answer as a visitor sees it. */
export interface Visit {
  readonly status: number;
  readonly location: string | null;
  readonly cookies: readonly string[];
  readonly headers: Headers;
  readonly text: string;
}

/** What a request is, beside what a browser adds by itself. */
export interface VisitOptions {
  readonly body?: Readonly<Record<string, unknown>> | string;
  /** null: none, as no browser does it. */
  readonly origin?: string | null;
  readonly contentType?: string;
}

/** A browser without pages: it keeps cookies by path, and goes where it is sent. */
export interface Visitor {
  readonly origin: string;
  /** By name and path, the value. A test may steal from it, or plant in it. */
  readonly jar: Map<string, { readonly path: string; readonly value: string }>;
  get(url: string): Promise<Visit>;
  post(path: string, options?: VisitOptions): Promise<Visit>;
  /** Signs a wallet in; gives the last answer. */
  signIn(key: SigningKey): Promise<Visit>;
  /** Goes to the provider, chooses a person, and comes back up to the callback: its URL, not asked for yet. */
  toCallback(person: string): Promise<string>;
  /** All of it. */
  signInAs(person: string): Promise<Visit>;
  /** The reason of what a request for a token answers; "" for a token. */
  tokenReason(wallet?: string): Promise<string>;
  /** A token, whose claims are given as well. */
  token(wallet?: string): Promise<{ token: string; claims: Readonly<Record<string, unknown>> }>;
}

export const walletOf = (key: SigningKey) => computeAddress(key);

export function createVisitor(origin: string): Visitor {
  const jar: Visitor["jar"] = new Map();

  async function visit(url: string, init: RequestInit): Promise<Visit> {
    const { pathname } = new URL(url);
    const sent = [...jar]
      .filter(([, { path }]) => pathname.startsWith(path))
      .map(([name, { value }]) => `${name.split(" ")[0]}=${value}`);
    const headers = new Headers(init.headers);
    if (sent.length > 0) headers.set("cookie", sent.join("; "));
    const response = await fetch(url, { redirect: "manual", ...init, headers });
    const cookies = response.headers.getSetCookie();
    for (const cookie of cookies) keep(jar, cookie);
    const location = response.headers.get("location");
    return {
      status: response.status,
      location,
      cookies,
      headers: response.headers,
      text: await response.text(),
    };
  }

  const get = (url: string) => visit(new URL(url, origin).href, {});

  const visitor: Visitor = {
    origin,
    jar,
    get,
    post(path, { body = {}, origin: from = origin, contentType = "application/json" } = {}) {
      const headers = { "content-type": contentType, ...(from === null ? {} : { origin: from }) };
      const text = typeof body === "string" ? body : JSON.stringify(body);
      return visit(new URL(path, origin).href, { method: "POST", headers, body: text });
    },
    async signIn(key) {
      const asked = await visitor.post("/sign-in/wallet/challenge", {
        body: { wallet: walletOf(key) },
      });
      const { nonce, message } = JSON.parse(asked.text) as { nonce: string; message: string };
      const signature = key.sign(hashMessage(message)).serialized;
      return visitor.post("/sign-in/wallet", { body: { nonce, signature } });
    },
    async toCallback(person) {
      let at = await get("/sign-in/oidc");
      for (let step = 0; step < 10; step += 1) {
        const next = new URL(at.location ?? "", nextOrigin(at, origin)).href;
        if (next.startsWith(`${origin}/sign-in/oidc/callback`)) return next;
        provider = new URL(next).origin;
        at = await get(next);
        if (at.status !== 200) continue;
        at = await visitor.post(next, {
          body: `person=${person}`,
          contentType: "application/x-www-form-urlencoded",
        });
      }
      throw new Error("the provider leads nowhere");
    },
    async signInAs(person) {
      return get(await visitor.toCallback(person));
    },
    async tokenReason(wallet = "") {
      const { status, text } = await visitor.post("/sign-in/token", { body: { wallet } });
      return status === 200 ? "" : String((JSON.parse(text) as { reason: string }).reason);
    },
    async token(wallet = "") {
      const { text } = await visitor.post("/sign-in/token", { body: { wallet } });
      const { token } = JSON.parse(text) as { token: string };
      const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
      return { token, claims: JSON.parse(payload) as Record<string, unknown> };
    },
  };
  // What the provider sends to itself has no host.
  let provider = origin;
  const nextOrigin = (at: Visit, own: string) => (at.location?.startsWith("/") ? provider : own);
  return visitor;
}

function keep(jar: Visitor["jar"], cookie: string): void {
  const [pair = "", ...attributes] = cookie.split(";").map((part) => part.trim());
  const at = pair.indexOf("=");
  const path = attributes.find((one) => /^path=/i.test(one))?.slice(5) ?? "/";
  const key = `${pair.slice(0, at)} ${path}`;
  const isOver = attributes.some((one) => /^max-age=0$/i.test(one) || /1970/.test(one));
  if (isOver) jar.delete(key);
  else jar.set(key, { path, value: pair.slice(at + 1) });
}
