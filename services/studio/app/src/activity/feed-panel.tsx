import { Skeleton, Text } from "@mantine/core";
import { Radio } from "lucide-react";
import { useViewing } from "../mesh-context.tsx";
import { hrefs } from "../shell/route.ts";
import { clockTime } from "../shell/time.ts";
import { useStore } from "../store.ts";
import { EventRow } from "./event-row.tsx";
import type { FeedState } from "./feed.ts";
import classes from "./feed-panel.module.css";

/** The viewer's newest events, as they come. `limit`: how many at most. */
export function FeedPanel({ limit }: { readonly limit: number }) {
  const { feed, viewer } = useViewing();
  const state = useStore(feed.state);
  const shown = state.events.slice(0, limit);
  return (
    <section className={classes.panel} aria-labelledby="feed-title">
      <header className={classes.head}>
        <h2 id="feed-title">Events</h2>
        <span className={classes.complete} data-testid="feed-status">
          {statusOf(state)}
        </span>
      </header>
      {shown.length === 0 ? (
        <Nothing state={state} />
      ) : (
        <ul className={classes.list} aria-live="polite" data-testid="feed">
          {shown.map((event) => (
            <EventRow key={event.eventId} event={event} viewer={viewer} />
          ))}
        </ul>
      )}
      {state.events.length > limit && (
        <a className={classes.more} href={hrefs.activity}>
          All {state.events.length} events
        </a>
      )}
    </section>
  );
}

/** A bookmark proves a quiet stream complete, so it is worth showing. */
function statusOf({ connection, completeToMs }: FeedState): string {
  if (connection === "reconnecting") return "taking up again …";
  if (connection === "connecting") return "connecting …";
  return completeToMs === undefined ? "live" : `complete to ${clockTime(completeToMs)}`;
}

function Nothing({ state }: { readonly state: FeedState }) {
  if (state.connection === "connecting") {
    return (
      <div className={classes.bones} aria-hidden>
        {[0, 1, 2].map((bone) => (
          <Skeleton key={bone} height={34} radius="md" />
        ))}
      </div>
    );
  }
  return (
    <div className={classes.nothing}>
      <Radio size={28} strokeWidth={1.5} aria-hidden />
      <Text fw={550}>Nothing yet</Text>
      <Text size="sm">Get test money or buy something: it shows here the moment it clears.</Text>
    </div>
  );
}
