import { Tooltip } from "@mantine/core";
import type { Connection } from "../mesh/follow-stream.ts";
import type { Problem } from "../mesh/problem.ts";
import classes from "./connection-badge.module.css";

const words: Readonly<Record<Connection, readonly [label: string, says: string]>> = {
  live: ["Live", "Everything that clears for this wallet shows here at once."],
  connecting: ["Connecting", "Opening the stream of events."],
  reconnecting: ["Reconnecting", "The stream broke. It goes on where it stood; nothing is lost."],
};

interface ConnectionBadgeProps {
  readonly connection: Connection;
  readonly problem?: Problem | undefined;
}

/** How a stream stands. */
export function ConnectionBadge({ connection, problem }: ConnectionBadgeProps) {
  const [label, says] = words[connection];
  return (
    <Tooltip label={problem === undefined ? says : `${problem.title}. ${says}`} multiline maw={280}>
      <span className={classes.badge} data-connection={connection} role="status">
        <span className={classes.dot} aria-hidden />
        {label}
      </span>
    </Tooltip>
  );
}
