import { Button, Skeleton } from "@mantine/core";
import { HandCoins } from "lucide-react";
import { useEffect, useState } from "react";
import { formatAmount } from "#common/ledger/assets.ts";
import { usd } from "../currency.ts";
import { useMesh } from "../mesh-context.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import { clockTime } from "../shell/time.ts";
import { useStore } from "../store.ts";
import classes from "./balance-card.module.css";
import { useFaucet } from "./use-faucet.ts";
import type { BalanceState } from "./watch.ts";

/** What the wallet has, as it changes, and the faucet. */
export function BalanceCard() {
  const { balance: watch } = useMesh();
  const state = useStore(watch.state);
  const faucet = useFaucet();
  const { balance, unopened } = state;
  const stale = useIsStale(state);
  return (
    <section className={classes.card} aria-label="Balance" data-stale={stale}>
      <div className={classes.row}>
        <div className={classes.money}>
          <span className={classes.label}>Available</span>
          {balance === undefined && !unopened ? (
            <Skeleton height={46} width={190} my={3} className={classes.bone ?? ""} />
          ) : (
            <Available amount={BigInt(balance?.available ?? "0")} />
          )}
          <span className={classes.status} role="status">
            {statusOf(state, stale)}
          </span>
        </div>
        <Button
          variant="white"
          color="dark"
          radius="xl"
          leftSection={<HandCoins size={18} aria-hidden />}
          loading={faucet.busy}
          onClick={() => faucet.fund(2_000n)}
        >
          Get 20.00 test USD
        </Button>
      </div>
      <dl className={classes.parts}>
        <Part name="Posted" amount={balance?.posted} />
        <Part name="Reserved" amount={balance?.pendingOut} />
        <Part name="Coming in" amount={balance?.pendingIn} />
      </dl>
      {faucet.problem !== undefined && <ProblemBox problem={faucet.problem} mt="md" />}
    </section>
  );
}

function Available({ amount }: { readonly amount: bigint }) {
  const [digits = "", code = ""] = formatAmount(amount, usd).split(" ");
  return (
    <span className={classes.amount} data-testid="available">
      {digits} <small>{code}</small>
    </span>
  );
}

function Part({ name, amount }: { readonly name: string; readonly amount: string | undefined }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="numeric">{amount === undefined ? "—" : formatAmount(BigInt(amount), usd)}</dd>
    </div>
  );
}

function statusOf(
  { unopened, heardMs, connection, problem }: BalanceState,
  stale: boolean,
): string {
  if (unopened) return "No account yet: test money opens it";
  if (heardMs === undefined) {
    return problem === undefined ? "Asking the ledger …" : `${problem.title} · trying again`;
  }
  if (stale) return `Last heard at ${clockTime(heardMs)} · reconnecting`;
  return connection === "live" ? "Live from the ledger" : `As of ${clockTime(heardMs)}`;
}

/** A break of a moment is not worth a word. */
const staleMs = 1_000;

function useIsStale({ connection, heardMs }: BalanceState): boolean {
  const broken = connection !== "live" && heardMs !== undefined;
  const [stale, setStale] = useState(false);
  useEffect(() => {
    if (!broken) return setStale(false);
    const timer = setTimeout(() => setStale(true), staleMs);
    return () => clearTimeout(timer);
  }, [broken]);
  return stale;
}
