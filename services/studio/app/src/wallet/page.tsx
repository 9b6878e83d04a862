import { useQuery } from "@connectrpc/connect-query";
import { Button, SegmentedControl, Skeleton, Title } from "@mantine/core";
import { Eye, EyeOff, FlaskConical, Trash2 } from "lucide-react";
import { useEffect, useState } from "react";
import { formatAmount } from "#common/ledger/assets.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { BalanceCard } from "../balances/balance-card.tsx";
import { useFaucet } from "../balances/use-faucet.ts";
import { usd } from "../currency.ts";
import { explain } from "../mesh/problem.ts";
import type { Protocol } from "../mesh/transport.ts";
import { useMesh } from "../mesh-context.tsx";
import { Copyable } from "../shell/copyable.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import { clockTime } from "../shell/time.ts";
import { useStore } from "../store.ts";
import { walletAccountId } from "./ids.ts";
import classes from "./page.module.css";

interface WalletPageProps {
  readonly onForget: () => void;
  readonly onProtocol: (protocol: Protocol) => void;
}

/** The demo wallet, its money, and how this page speaks to the mesh. */
export function WalletPage({ onForget, onProtocol }: WalletPageProps) {
  return (
    <div className={classes.page}>
      <Title order={1} className={classes.title ?? ""}>
        Wallet
      </Title>
      <BalanceCard />
      <div className={classes.columns}>
        <IdentityPanel onForget={onForget} />
        <div className={classes.column}>
          <FaucetPanel />
          <ConnectionPanel onProtocol={onProtocol} />
        </div>
      </div>
    </div>
  );
}

function IdentityPanel({ onForget }: { readonly onForget: () => void }) {
  const { wallet } = useMesh();
  const [shown, setShown] = useState(false);
  const [asking, setAsking] = useState(false);
  return (
    <section className="card" aria-labelledby="identity">
      <header className={classes.head}>
        <h2 id="identity">Demo wallet</h2>
        <span className="demo-mark">
          <FlaskConical size={14} aria-hidden /> Play money only
        </span>
      </header>
      <dl className={classes.long}>
        <dt>Address</dt>
        <dd data-testid="address">
          <Copyable text={wallet.address} what="address" />
        </dd>
        <dt>Account in USD</dt>
        <dd>
          <Copyable text={String(walletAccountId(wallet.address, usd))} what="account id" />
        </dd>
        <dt>Private key</dt>
        <dd>
          {shown ? (
            <Copyable text={wallet.privateKey} what="private key" />
          ) : (
            <span className="faint">hidden</span>
          )}
        </dd>
      </dl>
      <p className={classes.says}>
        The key lies in this browser's storage, where every script of this page can read it. Export
        it to use the wallet in another browser.
      </p>
      <div className="actions">
        <Button
          variant="default"
          leftSection={shown ? <EyeOff size={16} aria-hidden /> : <Eye size={16} aria-hidden />}
          onClick={() => setShown(!shown)}
        >
          {shown ? "Hide the key" : "Export the key"}
        </Button>
        <Button
          variant="subtle"
          color="red"
          leftSection={<Trash2 size={16} aria-hidden />}
          aria-expanded={asking}
          onClick={() => setAsking(!asking)}
        >
          Reset
        </Button>
      </div>
      {asking && (
        <div className={classes.sure} role="alert">
          <p>Without its key nobody can spend what this wallet holds. Throw it away?</p>
          <div className="actions">
            <Button color="red" onClick={onForget}>
              Throw the key away
            </Button>
            <Button variant="default" onClick={() => setAsking(false)}>
              Keep it
            </Button>
          </div>
        </div>
      )}
    </section>
  );
}

const fundings = [500n, 2_000n, 10_000n] as const;

function FaucetPanel() {
  const { busy, problem, fund } = useFaucet();
  return (
    <section className="card" aria-labelledby="faucet">
      <header className={classes.head}>
        <h2 id="faucet">Faucet</h2>
      </header>
      <p className={classes.says}>
        Development only. The house signs a funding intent for you, and it clears like everything
        else.
      </p>
      <div className="actions">
        {fundings.map((amount) => (
          <Button key={String(amount)} variant="light" disabled={busy} onClick={() => fund(amount)}>
            {formatAmount(amount, usd)}
          </Button>
        ))}
      </div>
      {problem !== undefined && <ProblemBox problem={problem} mt="md" />}
    </section>
  );
}

const protocolNames: readonly { readonly value: Protocol; readonly label: string }[] = [
  { value: "connect-binary", label: "Connect" },
  { value: "connect-json", label: "JSON" },
  { value: "grpc-web", label: "gRPC-Web" },
];

function ConnectionPanel({ onProtocol }: Pick<WalletPageProps, "onProtocol">) {
  const { config, protocol, session } = useMesh();
  const { expiresAtMs } = useStore(session.state);
  const domain = useQuery(AttestorService.method.getDomain, {});
  const signer = domain.data?.signers.at(-1);
  return (
    <section className="card" aria-labelledby="connection">
      <header className={classes.head}>
        <h2 id="connection">Connection</h2>
      </header>
      <SegmentedControl
        fullWidth
        aria-label="Protocol"
        value={protocol}
        data={protocolNames.map((name) => ({ ...name }))}
        onChange={(value) => onProtocol(value as Protocol)}
      />
      <dl className={classes.facts}>
        <dt>Session</dt>
        <dd className="numeric" data-testid="session">
          {expiresAtMs === undefined ? "—" : <Until ms={expiresAtMs} />}
        </dd>
        <dt>Signed in by</dt>
        <dd data-testid="signed-in-by">
          {config.signIn === undefined
            ? "one click: development, where everybody gets a token"
            : "this wallet's signature (EIP-4361)"}
        </dd>
        <dt>Signing domain</dt>
        <dd>
          {domain.data === undefined ? (
            <Skeleton height={14} width={120} />
          ) : (
            `${domain.data.name} ${domain.data.version}, chain ${domain.data.chainId}`
          )}
        </dd>
        <dt>Attestor's signer</dt>
        <dd>
          {signer === undefined ? "—" : <Copyable text={signer.address} what="signer" short />}
        </dd>
      </dl>
      {domain.error !== null && <ProblemBox problem={explain(domain.error)} mt="md" />}
    </section>
  );
}

/** When a session ends, and that nobody has to care. */
function Until({ ms }: { readonly ms: number }) {
  const [nowMs, setNowMs] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 15_000);
    return () => clearInterval(timer);
  }, []);
  const minutes = Math.max(0, Math.ceil((ms - nowMs) / 60_000));
  return `until ${clockTime(ms)} (${minutes} min), renewed by itself`;
}
