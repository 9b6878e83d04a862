import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Attestation, AttestationSchema } from "#gen/sovr/attestor/v1/attestation_pb.ts";
import type { GetDomainResponse } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { type ClearingIntent, ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { type Clearing, ClearingSchema } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import { explain, type Problem, StudioError } from "../mesh/problem.ts";
import { digestIntent } from "../wallet/intent-digest.ts";

/** The steps of a purchase, in order. */
export const steps = ["sign", "attest", "clear"] as const;
export type Step = (typeof steps)[number];

/** A purchase, from the moment at which its intent was made. Everything in it outlives a reload. */
export interface Purchase {
  readonly sku: string;
  readonly intent: ClearingIntent;
  /** Computed here, from the intent and the mesh's domain. */
  readonly digest: string;
  readonly walletSignature: string | undefined;
  readonly attestation: Attestation | undefined;
  readonly clearing: Clearing | undefined;
  /** Why it stands still; undefined while it runs and when it is done. */
  readonly problem: Problem | undefined;
  /** Epoch milliseconds. */
  readonly updatedMs: number;
}

/** What a purchase is carried out with. */
export interface PurchasePorts {
  readonly signDigest: (digest: string) => string;
  /** The Attestor. */
  readonly attest: (intent: ClearingIntent, walletSignature: string) => Promise<Attestation>;
  /** Clearing. Safe to repeat: the same intent gives the first result. */
  readonly clear: (intent: ClearingIntent, attestation: Attestation) => Promise<Clearing>;
  /** Keeps the purchase, and shows it. Called before anything that it says is sent. */
  readonly keep: (purchase: Purchase) => void;
  readonly wait: (ms: number) => Promise<void>;
}

/** A purchase that nobody has agreed to yet. Throws Error if the mesh tells a form of intent that is unknown here. */
export function proposePurchase(
  sku: string,
  intent: ClearingIntent,
  domain: GetDomainResponse,
): Purchase {
  return {
    sku,
    intent,
    digest: digestIntent(domain, intent),
    walletSignature: undefined,
    attestation: undefined,
    clearing: undefined,
    problem: undefined,
    updatedMs: Date.now(),
  };
}

/** The step that comes next; undefined when it is done. */
export function nextStep(purchase: Purchase): Step | undefined {
  if (purchase.clearing !== undefined) return undefined;
  if (purchase.attestation !== undefined) return "clear";
  return purchase.walletSignature === undefined ? "sign" : "attest";
}

/** True if there is nothing left to do about it: it cleared, or never will. */
export function isOver(purchase: Purchase): boolean {
  return purchase.clearing !== undefined || purchase.problem?.remedy === "over";
}

const attemptsMax = 4;
const pauseMs = 500;

/**
 * Carries a purchase out, from wherever it stands, and gives how it ended. When an answer is lost the same intent is
 * asked about again, a few times by itself and then at the user's word. Never throws.
 */
export async function carryOut(start: Purchase, ports: PurchasePorts): Promise<Purchase> {
  let purchase = keepAs({ ...start, problem: undefined }, ports);
  let attempts = 0;
  for (let step = nextStep(purchase); step !== undefined; step = nextStep(purchase)) {
    try {
      purchase = keepAs({ ...purchase, ...(await takeStep(step, purchase, ports)) }, ports);
      attempts = 0;
    } catch (error) {
      const problem = explain(error);
      attempts += 1;
      if (problem.remedy !== "again" || attempts >= attemptsMax) {
        return keepAs({ ...purchase, problem }, ports);
      }
      await ports.wait(pauseMs * 2 ** (attempts - 1));
    }
  }
  return purchase;
}

async function takeStep(
  step: Step,
  { intent, digest, walletSignature = "", attestation }: Purchase,
  ports: PurchasePorts,
): Promise<Partial<Purchase>> {
  if (step === "sign") return { walletSignature: ports.signDigest(digest) };
  if (step === "attest") {
    const answer = await ports.attest(intent, walletSignature);
    if (answer.digest !== digest) {
      throw new StudioError("DIGEST_DIFFERS", `the Attestor answered ${answer.digest}`);
    }
    return { attestation: answer };
  }
  if (attestation === undefined) throw new Error("nothing clears without an attestation");
  return { clearing: await ports.clear(intent, attestation) };
}

function keepAs(purchase: Purchase, ports: PurchasePorts): Purchase {
  const updated = { ...purchase, updatedMs: Date.now() };
  ports.keep(updated);
  return updated;
}

/** A purchase as JSON. */
export function formatPurchase(purchase: Purchase): JsonValue {
  const { sku, digest, walletSignature = null, updatedMs, problem } = purchase;
  return {
    sku,
    intent: toJson(ClearingIntentSchema, purchase.intent),
    digest,
    walletSignature,
    attestation: purchase.attestation ? toJson(AttestationSchema, purchase.attestation) : null,
    clearing: purchase.clearing ? toJson(ClearingSchema, purchase.clearing) : null,
    problem: problem ? { ...problem } : null,
    updatedMs,
  };
}

/** Reads what `formatPurchase` wrote. Throws for anything else. */
export function parsePurchase(json: JsonValue): Purchase {
  const stored = json as Record<string, JsonValue>;
  const message = (name: string) => stored[name] ?? undefined;
  const attestation = message("attestation");
  const clearing = message("clearing");
  return {
    sku: String(stored["sku"]),
    intent: fromJson(ClearingIntentSchema, message("intent") ?? null),
    digest: String(stored["digest"]),
    walletSignature: (stored["walletSignature"] as string | null) ?? undefined,
    attestation: attestation === undefined ? undefined : fromJson(AttestationSchema, attestation),
    clearing: clearing === undefined ? undefined : fromJson(ClearingSchema, clearing),
    problem: (stored["problem"] as unknown as Problem | null) ?? undefined,
    updatedMs: Number(stored["updatedMs"]),
  };
}
