// Goal: keys, bounds and lists where an SDK and a real clock cannot go. Method: calls of the core on a store in memory.
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createLogger } from "#common/process/logger.ts";
import { stripeSimConfig } from "../config.ts";
import { createStripeSimDeps } from "../deps.ts";
import { StripeSimError } from "../objects/errors.ts";
import { answerCall, keepAnswersMs } from "./answer-call.ts";

const logger = createLogger("stripe-sim", "silent");

const keys = { STRIPE_SECRET_KEY: "sk_test_a", STRIPE_PUBLISHABLE_KEY: "pk_test_a" };

function createWorld(environment: Record<string, string> = {}) {
  const clock = { ms: 1_800_000_000_000 };
  const nowMs = () => clock.ms;
  const deps = createStripeSimDeps(stripeSimConfig({ ...keys, ...environment }), { logger, nowMs });
  const call = (method: string, path: string, form = "", idempotencyKey?: string) => {
    const caller = { account: "a", browser: false };
    const requestId = `req_${randomBytes(4).toString("hex")}`;
    const answer = answerCall(
      { requestId, method, path, form, caller, idempotencyKey },
      deps.newCall(),
    );
    return { ...answer, object: JSON.parse(answer.body) as Record<string, unknown> };
  };
  return { clock, deps, call };
}

const usd = "amount=350&currency=usd&payment_method_types[]=card";

test("a key is forgotten after a day, and not before", () => {
  const { clock, deps, call } = createWorld();
  const create = () => call("POST", "/v1/payment_intents", usd, "key");
  const first = create();
  clock.ms += keepAnswersMs;
  deps.store.forgetAnswers(clock.ms - keepAnswersMs);
  expect(create().object["id"]).toBe(first.object["id"]);
  clock.ms += 1;
  deps.store.forgetAnswers(clock.ms - keepAnswersMs);
  expect(create().object["id"]).not.toBe(first.object["id"]);
});

test("the order of parameters is no difference", () => {
  const { call } = createWorld();
  const first = call("POST", "/v1/payment_intents", usd, "key");
  const turned = "payment_method_types[]=card&currency=usd&amount=350";
  expect(call("POST", "/v1/payment_intents", turned, "key").replayOf).toMatch(/^req_/);
  expect(first.replayOf).toBeUndefined();
});

test("a fault of ours leaves neither an effect nor an answer for the key", () => {
  const { deps, call } = createWorld();
  const { insert } = deps.store;
  deps.store.insert = (kind, body, hidden) => {
    if (kind === "event") throw new Error("no disk");
    insert(kind, body, hidden);
  };
  const create = () => call("POST", "/v1/payment_intents", usd, "key");
  expect(create).toThrow("no disk");
  deps.store.insert = insert;
  expect(deps.store.counts()).toEqual({});
  expect(create().status).toBe(200);
});

test("a full simulator says so", () => {
  const { deps, call } = createWorld({ STRIPE_SIM_OBJECTS_MAX: "3" });
  expect(deps.isFull()).toBe(false);
  call("POST", "/v1/payment_intents", usd);
  call("POST", "/v1/payment_intents", usd);
  expect(deps.isFull()).toBe(true);
});

test("lists can be filtered by the time of creation", () => {
  const { clock, call } = createWorld();
  const times = [0, 10, 20].map((seconds) => {
    clock.ms = 1_800_000_000_000 + seconds * 1_000;
    call("POST", "/v1/payment_intents", usd);
    return clock.ms / 1_000;
  });
  const count = (form: string) => {
    const { object } = call("GET", "/v1/payment_intents", form);
    return (object["data"] as object[]).length;
  };
  expect(count(`created=${times[1]}`)).toBe(1);
  expect(count(`created[gte]=${times[1]}`)).toBe(2);
  expect(count(`created[gt]=${times[1]}&created[lt]=${times[2]}`)).toBe(0);
  expect(count(`created[lte]=${times[2]}`)).toBe(3);
});

test("a secret of an endpoint is shown once, and a card number never kept", () => {
  const { deps, call } = createWorld();
  const made = call("POST", "/v1/webhook_endpoints", "url=http://x/&enabled_events[]=*");
  expect(made.object["secret"]).toMatch(/^whsec_/);
  const shown = call("GET", `/v1/webhook_endpoints/${made.object["id"]}`);
  expect(shown.object).not.toHaveProperty("secret");
  const card = "type=card&card[number]=4242424242424242&card[exp_month]=1&card[exp_year]=40";
  const caller = { account: "b", browser: true };
  const request = { requestId: "req_1", method: "POST", path: "/v1/payment_methods", form: card };
  const call2 = deps.newCall({ browser: true });
  const answer = answerCall({ ...request, caller, idempotencyKey: "key" }, call2);
  const { id } = JSON.parse(answer.body) as { id: string };
  const kept = JSON.stringify([
    deps.store.find("payment_method", id),
    deps.store.findAnswer("b", "key"),
  ]);
  expect(kept).toContain("4242");
  expect(kept).not.toContain("4242424242424242");
});

test("a path that is not simulated is refused by name", () => {
  const { call } = createWorld();
  expect(() => call("POST", "/v1/customers")).toThrow(StripeSimError);
  expect(() => call("DELETE", "/v1/payment_intents/pi_1")).toThrow(/Unrecognized request URL/);
});
