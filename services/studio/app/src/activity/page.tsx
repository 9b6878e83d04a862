import { Title } from "@mantine/core";
import { useViewing } from "../mesh-context.tsx";
import { Copyable } from "../shell/copyable.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import { clockTime } from "../shell/time.ts";
import { useStore } from "../store.ts";
import { FeedPanel } from "./feed-panel.tsx";
import classes from "./page.module.css";

/** Everything that the stream told, and how sure one can be of it. */
export function ActivityPage() {
  const { feed } = useViewing();
  const { problem, connection, completeToMs, resumes, gaps, cursor } = useStore(feed.state);
  return (
    <div className={classes.page}>
      <div>
        <Title order={1} className={classes.title ?? ""}>
          Activity
        </Title>
        {problem !== undefined && connection === "reconnecting" && (
          <ProblemBox problem={problem} mb="md" />
        )}
        <FeedPanel limit={200} />
      </div>
      <aside className="card" aria-labelledby="stream-title">
        <h2 id="stream-title" className={classes["aside-title"]}>
          The stream
        </h2>
        <p className={classes.says}>
          Events come from the ledger in one order. Each message names the one before it, so that
          this page notices if one is missing, and a cursor marks where to go on.
        </p>
        <dl className={classes.facts}>
          <dt>Complete to</dt>
          <dd className="numeric">{completeToMs === undefined ? "—" : clockTime(completeToMs)}</dd>
          <dt>Taken up again</dt>
          <dd className="numeric" data-testid="resumes">
            {resumes}
          </dd>
          <dt>Gaps noticed</dt>
          <dd className="numeric" data-testid="gaps">
            {gaps}
          </dd>
          <dt>Cursor</dt>
          <dd>{cursor === undefined ? "—" : <Copyable text={cursor} what="cursor" short />}</dd>
        </dl>
      </aside>
    </div>
  );
}
