// Goal: a session begins for nobody but whom it belongs to, and ends when it should. Method: the core with a store in memory
// and a clock of the test's; PostgreSQL's is tested with a whole mesh (test/integration/sign-in.test.ts).
import { computeAddress, hashMessage, SigningKey } from "ethers";
import { beforeEach, describe, expect, it } from "vitest";
import type { Attempt, Challenge, Identity, Session, SessionStore } from "./ports.ts";
import { createSignIn, type SignIn } from "./sign-in.ts";

const key = new SigningKey(`0x${"11".repeat(32)}`);
const wallet = computeAddress(key);
const sign = (text: string, signer = key) => signer.sign(hashMessage(text)).serialized;
const startMs = Date.UTC(2026, 11, 1, 12);
const sessionMs = 3_600_000;
const person: Identity = {
  subject: "oidc:tess",
  name: "Tess",
  wallet: undefined,
  roles: ["treasurer"],
};

function memoryStore(idleMs: number): SessionStore & { readonly ids: () => readonly string[] } {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const challenges = new Map<string, Challenge>();
  const attempts = new Map<string, Attempt>();
  const sessions = new Map<string, { session: Session; usedMs: number }>();
  const take = <T>(map: Map<string, T>, id: string) => {
    const found = map.get(id);
    map.delete(id);
    return found;
  };
  return {
    ids: () => [...sessions.keys()],
    addChallenge: async (challenge) => void challenges.set(challenge.nonce, challenge),
    takeChallenge: async (nonce) => take(challenges, nonce),
    addAttempt: async (id, attempt) => void attempts.set(hex(id), attempt),
    takeAttempt: async (id) => take(attempts, hex(id)),
    async addSession({ idHash, session, replaced, nowMs }) {
      if (replaced !== undefined) sessions.delete(hex(replaced));
      sessions.set(hex(idHash), { session, usedMs: nowMs });
    },
    async touchSession(id, nowMs) {
      const found = sessions.get(hex(id));
      if (found === undefined || nowMs >= found.session.expiresAtMs) return undefined;
      if (nowMs - found.usedMs >= idleMs) return undefined;
      found.usedMs = nowMs;
      return found.session;
    },
    endSession: async (id) => void sessions.delete(hex(id)),
  };
}

let timeMs: number;
let signIn: SignIn;
let store: ReturnType<typeof memoryStore>;
let refusals: string[];

beforeEach(() => {
  timeMs = startMs;
  refusals = [];
  store = memoryStore(600_000);
  const limit = { take: () => undefined };
  signIn = createSignIn({
    store,
    provider: {
      begin: async ({ state }) => new URL(`https://id.example.com/?state=${state}`),
      finish: async () => person,
      endUrl: async () => new URL("https://id.example.com/end"),
    },
    signToken: async ({ subject }, expiresAtMs) => `${subject} ${expiresAtMs}`,
    origin: "https://pay.example.com",
    chainId: 1n,
    sessionMs,
    challenges: limit,
    attempts: limit,
    nowMs: () => timeMs,
  });
});

const reason = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: { kind: string; metadata?: { rule?: string } }) =>
      [error.kind, error.metadata?.rule].filter(Boolean).join(" "),
  );

async function begin(replaced?: string) {
  const { nonce, message } = await signIn.challenge(wallet, "192.0.2.1");
  return signIn.byWallet(nonce, sign(message), replaced);
}

describe("a wallet", () => {
  it("is signed in by its signature, and gets tokens of five minutes", async () => {
    const { id, session } = await begin();
    expect(session).toMatchObject({ subject: wallet, wallet, roles: [] });
    expect(await signIn.token(id, wallet)).toEqual({
      token: `${wallet} ${startMs + 300_000}`,
      expiresAtMs: startMs + 300_000,
    });
  });

  it("answers a challenge once, right or wrong, within five minutes, itself", async () => {
    const first = await signIn.challenge(wallet, "192.0.2.1");
    await signIn.byWallet(first.nonce, sign(first.message), undefined);
    refusals.push(await reason(signIn.byWallet(first.nonce, sign(first.message), undefined)));
    const second = await signIn.challenge(wallet, "192.0.2.1");
    const other = new SigningKey(`0x${"22".repeat(32)}`);
    refusals.push(
      await reason(signIn.byWallet(second.nonce, sign(second.message, other), undefined)),
    );
    refusals.push(await reason(signIn.byWallet(second.nonce, sign(second.message), undefined)));
    const third = await signIn.challenge(wallet, "192.0.2.1");
    const foreign = third.message.replace("pay.example.com", "evil.example.com");
    refusals.push(await reason(signIn.byWallet(third.nonce, sign(foreign), undefined)));
    const fourth = await signIn.challenge(wallet, "192.0.2.1");
    timeMs += 300_000;
    refusals.push(await reason(signIn.byWallet(fourth.nonce, sign(fourth.message), undefined)));
    expect(refusals).toEqual([
      "SIGN_IN_REFUSED nonce",
      "SIGN_IN_REFUSED signature",
      "SIGN_IN_REFUSED nonce",
      "SIGN_IN_REFUSED signature",
      "SIGN_IN_REFUSED nonce",
    ]);
  });
});

describe("a session", () => {
  it("has an id that nobody can have put there, and ends the one before it", async () => {
    const first = await begin();
    const second = await begin(first.id);
    expect(second.id).not.toBe(first.id);
    expect(await reason(signIn.token(first.id, wallet))).toBe("SESSION_EXPIRED");
    const planted = "ab".repeat(32);
    await begin(planted);
    expect(await reason(signIn.token(planted, wallet))).toBe("SESSION_EXPIRED");
  });

  it("is kept by a hash, so that nobody is anybody by reading it", async () => {
    const { id } = await begin();
    expect(store.ids()).toHaveLength(1);
    expect(store.ids()).not.toContain(id);
    expect(await reason(signIn.token(store.ids()[0], wallet))).toBe("SESSION_EXPIRED");
  });

  it("is over after a while of nothing, and at its end whatever is asked", async () => {
    const { id } = await begin();
    timeMs += 599_000;
    expect(await reason(signIn.token(id, wallet))).toBe("none");
    timeMs += 600_000;
    expect(await reason(signIn.token(id, wallet))).toBe("SESSION_EXPIRED");

    const busy = await begin();
    const endMs = timeMs + sessionMs;
    while (timeMs < endMs - 500_000) {
      timeMs += 500_000;
      await signIn.token(busy.id, wallet);
    }
    timeMs = endMs - 100_000;
    // A token does not outlive its session.
    expect((await signIn.token(busy.id, wallet)).expiresAtMs).toBe(endMs);
    timeMs = endMs;
    expect(await reason(signIn.token(busy.id, wallet))).toBe("SESSION_EXPIRED");
  });

  it("gives tokens to the wallet that asks, and not another's", async () => {
    const { id } = await begin();
    const other = computeAddress(`0x${"22".repeat(32)}`);
    for (const asked of [other, "", wallet.toLowerCase()])
      expect(await reason(signIn.token(id, asked))).toBe("SESSION_EXPIRED");
    expect(await reason(signIn.token(undefined, wallet))).toBe("SESSION_EXPIRED");
  });

  it("is worth nothing once somebody has signed out, whoever has its id", async () => {
    const { id } = await begin();
    expect(await signIn.end(id)).toBeUndefined();
    expect(await reason(signIn.token(id, wallet))).toBe("SESSION_EXPIRED");
    expect(await signIn.end(id)).toBeUndefined();
  });
});

describe("a person", () => {
  const back = new URL("https://pay.example.com/sign-in/oidc/callback?code=1");

  it("comes back from the provider once, in the browser that went there", async () => {
    const { attemptId } = await signIn.toProvider(undefined, "192.0.2.1");
    const { id, session } = await signIn.fromProvider(back, attemptId);
    expect(session).toMatchObject(person);
    expect(await signIn.token(id, "")).toMatchObject({ token: `oidc:tess ${startMs + 300_000}` });
    for (const attempt of [attemptId, "another's"])
      expect(await reason(signIn.fromProvider(back, attempt))).toBe("SIGN_IN_REFUSED state");
  });

  it("ends the session that the browser had when it went, which what comes back does not carry", async () => {
    const before = await begin();
    const { attemptId } = await signIn.toProvider(before.id, "192.0.2.1");
    await signIn.fromProvider(back, attemptId);
    expect(await reason(signIn.token(before.id, wallet))).toBe("SESSION_EXPIRED");
  });

  it("may take five minutes at the provider, and signs out there too", async () => {
    const { attemptId } = await signIn.toProvider(undefined, "192.0.2.1");
    timeMs += 300_000;
    expect(await reason(signIn.fromProvider(back, attemptId))).toBe("SIGN_IN_REFUSED state");
    const again = await signIn.toProvider(undefined, "192.0.2.1");
    const { id } = await signIn.fromProvider(back, again.attemptId);
    expect((await signIn.end(id))?.href).toBe("https://id.example.com/end");
  });
});
