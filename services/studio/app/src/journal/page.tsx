import { useQuery } from "@connectrpc/connect-query";
import { Button, Skeleton, Stack, Title } from "@mantine/core";
import { ArrowLeft, ArrowRight } from "lucide-react";
import type { ReactNode } from "react";
import {
  AttestorService,
  type GetDomainResponse,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { Phase } from "#gen/sovr/attestor/v1/intent_pb.ts";
import {
  ClearingService,
  type GetClearingResponse,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import type { JournalEntry } from "#gen/sovr/ledger/v1/journal_entry_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { codeName } from "../activity/event-words.ts";
import { explain } from "../mesh/problem.ts";
import { useViewing } from "../mesh-context.tsx";
import { accountName } from "../shell/account-name.ts";
import { Copyable } from "../shell/copyable.tsx";
import { Money } from "../shell/money.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import { hrefs } from "../shell/route.ts";
import { exactTime } from "../shell/time.ts";
import { ChecksPanel } from "./checks-panel.tsx";
import classes from "./page.module.css";

const zeroWallet = `0x${"0".repeat(40)}`;
const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** One entry of the journal: what moved, who signed for it, and what this browser finds when it checks that. */
export function JournalPage({ intentId }: { readonly intentId: string }) {
  const { viewer } = useViewing();
  const enabled = uuidV7.test(intentId);
  const entry = useQuery(LedgerService.method.getJournalEntry, { intentId }, { enabled });
  const cleared = useQuery(ClearingService.method.getClearing, { intentId }, { enabled });
  const domain = useQuery(AttestorService.method.getDomain, {}, { enabled });
  const error = entry.error ?? cleared.error ?? domain.error;

  return (
    <div className={classes.page}>
      <a className={classes.back} href={viewer === undefined ? hrefs.activity : hrefs.shop}>
        <ArrowLeft size={16} aria-hidden /> {viewer === undefined ? "Activity" : "Shop"}
      </a>
      <Title order={1} className={classes.title ?? ""}>
        Journal entry
      </Title>
      <p className={classes.id}>
        <Copyable text={intentId} what="intent id" />
      </p>
      {!enabled && (
        <ProblemBox
          problem={{
            reason: "INVALID_FIELD",
            title: "This is no intent's id",
            advice: "An id has 36 characters, such as 019abcde-f012-7abc-9def-0123456789ab.",
            remedy: "over",
          }}
        />
      )}
      {error !== null && (
        <ProblemBox problem={explain(error)}>
          <Button
            mt="sm"
            variant="default"
            onClick={() => {
              for (const query of [entry, cleared, domain]) {
                if (query.error !== null) void query.refetch();
              }
            }}
          >
            Try again
          </Button>
        </ProblemBox>
      )}
      {error === null && enabled && (
        <EntryOrBones
          entry={entry.data?.journalEntry}
          cleared={cleared.data}
          domain={domain.data}
        />
      )}
    </div>
  );
}

interface EntryOrBonesProps {
  readonly entry: JournalEntry | undefined;
  readonly cleared: GetClearingResponse | undefined;
  readonly domain: GetDomainResponse | undefined;
}

function EntryOrBones({ entry, cleared, domain }: EntryOrBonesProps) {
  if (entry === undefined || cleared === undefined || domain === undefined) {
    return (
      <div className={classes.columns} aria-busy="true">
        <Skeleton height={320} radius="lg" />
        <Skeleton height={320} radius="lg" />
      </div>
    );
  }
  return (
    <div className={classes.columns}>
      <Stack gap="lg">
        <Lines entry={entry} />
        <Facts entry={entry} />
      </Stack>
      <ChecksPanel entry={entry} cleared={cleared} domain={domain} />
    </div>
  );
}

function Lines({ entry }: { readonly entry: JournalEntry }) {
  const { viewer } = useViewing();
  const ledger = entry.lines[0]?.ledger ?? 1;
  const total = entry.lines.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  return (
    <section className={classes.panel} aria-labelledby="postings">
      <header className={classes.head}>
        <h2 id="postings">{entry.lines.length < entry.legCount ? "Your postings" : "Postings"}</h2>
        <strong>
          <Money amount={total} ledger={ledger} />
        </strong>
      </header>
      <ol className={classes.lines}>
        {entry.lines.map((line) => (
          <li key={line.transferId}>
            <div className={classes.line}>
              <span className={classes.way}>
                <span>{accountName(line.debitAccountId, viewer)}</span>
                <ArrowRight size={15} aria-label="to" />
                <span>{accountName(line.creditAccountId, viewer)}</span>
              </span>
              <Money amount={BigInt(line.amount)} ledger={line.ledger} />
            </div>
            <div className={classes.small}>
              <span>
                leg {line.leg + 1} of {line.legs} · {codeName(line.code)}
              </span>
              <span>
                transfer <Copyable text={line.transferId} what="transfer id" short />
              </span>
            </div>
          </li>
        ))}
      </ol>
      {entry.lines.length < entry.legCount && (
        <p className={classes.hidden}>
          {entry.lines.length} of {entry.legCount} legs are yours. The others are not shown to you.
        </p>
      )}
    </section>
  );
}

const phases: Readonly<Record<number, string>> = {
  [Phase.IMMEDIATE]: "Moved at once, final",
  [Phase.PENDING]: "Reserved",
  [Phase.POST_PENDING]: "Reservation posted",
  [Phase.VOID_PENDING]: "Reservation voided",
};

function Facts({ entry }: { readonly entry: JournalEntry }) {
  const { attestation, commitTime } = entry;
  const none = entry.masked ? "not shown" : "—";
  return (
    <section className={classes.panel} aria-labelledby="evidence">
      <header className={classes.head}>
        <h2 id="evidence">Attestation</h2>
      </header>
      <dl className={classes.facts}>
        <Fact name="What">{phases[entry.phase] ?? "—"}</Fact>
        <Fact name="Committed">
          <span className="numeric">{commitTime === undefined ? "—" : exactTime(commitTime)}</span>
        </Fact>
        <Fact name="Merchant">{entry.merchantId === "" ? none : entry.merchantId}</Fact>
        <Fact name="Reference">{entry.reference === "" ? none : entry.reference}</Fact>
        <Fact name="Authorised by">
          {entry.wallet === zeroWallet && "the house"}
          {entry.wallet === "" && none}
          {entry.wallet !== zeroWallet && entry.wallet !== "" && (
            <Copyable text={entry.wallet} what="wallet" short />
          )}
        </Fact>
        <Fact name="Digest">
          <Copyable text={entry.digest} what="digest" short />
        </Fact>
        <Fact name="Attested by">
          <Copyable text={attestation?.signer ?? "—"} what="signer" short />
        </Fact>
        <Fact name="Signature">
          <Copyable text={attestation?.signature ?? "—"} what="signature" short />
        </Fact>
        {entry.corrects !== "" && (
          <Fact name="Corrects">
            <Copyable text={entry.corrects} what="corrected digest" short />
          </Fact>
        )}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
