import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  ArrowDownLeft,
  CircleDot,
  Hourglass,
  type LucideIcon,
  ShieldAlert,
  ShieldCheck,
  ShoppingBag,
  Undo2,
  UserPlus,
} from "lucide-react";
import { type ReactNode, useState } from "react";
import { type Event, EventType } from "#gen/sovr/eventstream/v1/event_pb.ts";
import { usd } from "../currency.ts";
import { Money } from "../shell/money.tsx";
import { hrefs } from "../shell/route.ts";
import { dayAndTime } from "../shell/time.ts";
import classes from "./event-row.module.css";
import { describeEvent, type EventWords } from "./event-words.ts";

const icons: Readonly<Record<EventWords["kind"], LucideIcon>> = {
  purchase: ShoppingBag,
  income: ArrowDownLeft,
  account: UserPlus,
  reserved: Hourglass,
  released: Undo2,
  other: CircleDot,
};

interface EventRowProps {
  readonly event: Event;
  /** EIP-55; undefined for a person. */
  readonly viewer: string | undefined;
}

/** What is younger than this when it is first shown is news. */
const newsMs = 3_000;

/** One event. Those of an intent lead to its journal entry. */
export function EventRow({ event, viewer }: EventRowProps) {
  const { kind, title, change } = describeEvent(event, viewer);
  const Icon = icons[kind];
  const time = event.commitTime === undefined ? 0 : timestampMs(event.commitTime);
  const [fresh] = useState(() => Date.now() - time < newsMs);
  return (
    <li
      className={classes.item}
      data-fresh={fresh}
      data-event={event.eventId}
      data-intent={event.intentId}
    >
      <MaybeLink intentId={event.intentId}>
        <span className={classes.icon} data-kind={kind} aria-hidden>
          <Icon size={17} />
        </span>
        <span className={classes.text}>
          <span className={classes.title}>{title}</span>
          <span className={classes.meta}>
            <span className="numeric">{dayAndTime(time)}</span>
            {event.type !== EventType.ACCOUNT_OPENED && <Attested attested={event.attested} />}
          </span>
        </span>
        {change !== undefined && (
          <span className={classes.change} data-positive={change > 0n}>
            <Money amount={change} ledger={usd} signed />
          </span>
        )}
      </MaybeLink>
    </li>
  );
}

function MaybeLink({
  intentId,
  children,
}: {
  readonly intentId: string;
  readonly children: ReactNode;
}) {
  if (intentId === "") return <div className={classes.row}>{children}</div>;
  return (
    <a className={classes.row} href={hrefs.journal(intentId)}>
      {children}
    </a>
  );
}

function Attested({ attested }: { readonly attested: boolean }) {
  const Icon = attested ? ShieldCheck : ShieldAlert;
  return (
    <span className={classes.attested} data-attested={attested}>
      <Icon size={13} aria-hidden />
      {attested ? "attested" : "not attested"}
    </span>
  );
}
