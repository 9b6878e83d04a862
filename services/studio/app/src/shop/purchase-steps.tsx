import { Loader } from "@mantine/core";
import { Check, CircleDashed, X } from "lucide-react";
import { useMesh } from "../mesh/mesh.tsx";
import { shorten } from "../shell/copyable.tsx";
import { exactTime } from "../shell/time.ts";
import { useStore } from "../store.ts";
import { nextStep, type Purchase, type Step, steps } from "./purchase.ts";
import classes from "./purchase-steps.module.css";
import { isRunning } from "./run-purchase.ts";

type Standing = "done" | "active" | "waiting" | "failed";

/** How far a purchase has come, and at its end the event that the stream brings of it. */
export function PurchaseSteps({ purchase }: { readonly purchase: Purchase }) {
  const { feed } = useMesh();
  const { intentId } = purchase.intent;
  const event = useStore(feed.state).events.find((candidate) => candidate.intentId === intentId);
  const told =
    event !== undefined ? "done" : purchase.clearing === undefined ? "waiting" : "active";
  return (
    <ol className={classes.steps} aria-label="Progress">
      {steps.map((step) => (
        <StepRow
          key={step}
          standing={standingOf(step, purchase)}
          titles={titles[step]}
          says={saysOf(step, purchase)}
        />
      ))}
      <StepRow
        standing={told}
        titles={["Wait for the event stream", "Told by the event stream"]}
        says={event === undefined ? undefined : `Event ${event.eventId}`}
      />
    </ol>
  );
}

/** Before it is done, and after. */
type Titles = readonly [before: string, after: string];

const titles: Readonly<Record<Step, Titles>> = {
  sign: ["Sign in this browser", "Signed in this browser"],
  attest: ["Have it attested by the mesh", "Attested by the mesh"],
  clear: ["Clear it into the ledger", "Cleared into the ledger"],
};

function standingOf(step: Step, purchase: Purchase): Standing {
  const next = nextStep(purchase);
  if (next === undefined || steps.indexOf(step) < steps.indexOf(next)) return "done";
  if (step !== next) return "waiting";
  if (purchase.problem !== undefined) return "failed";
  return isRunning(purchase.intent.intentId) ? "active" : "waiting";
}

function saysOf(
  step: Step,
  { walletSignature, attestation, clearing }: Purchase,
): string | undefined {
  switch (step) {
    case "sign":
      return walletSignature === undefined ? undefined : `Signature ${shorten(walletSignature)}`;
    case "attest":
      return attestation === undefined
        ? undefined
        : `Signer ${shorten(attestation.signer)}, over the digest that you saw`;
    default: {
      if (clearing?.commitTime === undefined) return undefined;
      const legs = clearing.transferIds.length;
      const what = `${legs} ${legs === 1 ? "transfer" : "transfers, one chain"}`;
      return `${exactTime(clearing.commitTime)} · ${what}${clearing.replayed ? " · found again" : ""}`;
    }
  }
}

interface StepRowProps {
  readonly standing: Standing;
  readonly titles: Titles;
  readonly says: string | undefined;
}

const spoken: Readonly<Record<Standing, string>> = {
  done: "done",
  active: "in progress",
  waiting: "to come",
  failed: "stopped",
};

function StepRow({ standing, titles: [before, after], says }: StepRowProps) {
  return (
    <li className={classes.step} data-standing={standing}>
      <span className={classes.icon} aria-hidden>
        <StepIcon standing={standing} />
      </span>
      <span>
        <span className={classes.title}>{standing === "done" ? after : before}</span>
        <span className="hidden-visually">: {spoken[standing]}</span>
        {says !== undefined && <span className={classes.says}>{says}</span>}
      </span>
    </li>
  );
}

function StepIcon({ standing }: { readonly standing: Standing }) {
  switch (standing) {
    case "done":
      return <Check size={15} strokeWidth={3} />;
    case "failed":
      return <X size={15} strokeWidth={3} />;
    case "active":
      return <Loader size={15} />;
    default:
      return <CircleDashed size={15} />;
  }
}
