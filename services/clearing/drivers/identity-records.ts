import {
  type EvidenceRow,
  evidenceColumns,
  hex,
  parseEvidence,
  unhex,
} from "#common/postgres/evidence.ts";
import { readLedgerIdentity } from "#common/postgres/ledger-identity.ts";
import { isForbidden, isMissingTable, type Pool, withRecords } from "#common/postgres/pool.ts";
import type { IdentityRecords } from "../core/ledger-identity.ts";

const columns = evidenceColumns.replaceAll(/\w+/g, "evidence.$&");

/** The reservations that somebody came too late for: the ledger had them. */
const selectResolved = `
  select distinct ${columns} from clearing_failure failure
  join evidence resolving on resolving.intent_id = failure.intent_id
  join evidence on evidence.intent_id = resolving.pending_intent_id
  where failure.reason in ('PENDING_ALREADY_POSTED', 'PENDING_ALREADY_VOIDED', 'PENDING_EXPIRED')
  order by evidence.intent_id desc limit $1`;

/** What Checkout was told, in its own table. */
const selectTold = `
  select ${columns} from checkout_attempt told join evidence on evidence.intent_id = told.intent_id
  where told.state = 'CLEARED' order by told.intent_id desc limit $1`;

/** There may be no Checkout, or one that keeps its tables to itself. */
async function orNothing<Rows>(
  read: () => Promise<{ readonly rows: Rows[] }>,
): Promise<{ readonly rows: Rows[] }> {
  try {
    return await read();
  } catch (error) {
    if (isMissingTable(error) || isForbidden(error)) return { rows: [] };
    throw error;
  }
}

/** The ledger's identity and what it is checked by, in PostgreSQL. */
export function createIdentityRecords(pool: Pool): IdentityRecords {
  const ask = <Row extends object>(text: string, values: readonly unknown[] = []) =>
    withRecords(() => pool.query<Row>(text, [...values]));
  return {
    read: () => readLedgerIdentity(pool),
    async hasEvidence() {
      const { rows } = await ask<{ found: boolean }>(
        "select exists (select from evidence) as found",
      );
      return rows[0]?.found === true;
    },
    async newestEvidence(limit) {
      // An intent's id begins with the time when it was made: the primary key finds the newest.
      const { rows } = await ask<EvidenceRow>(
        `select ${evidenceColumns} from evidence
         where not exists (select from clearing_failure as failure where failure.intent_id = evidence.intent_id)
         order by intent_id desc limit $1`,
        [limit],
      );
      return rows.map(parseEvidence);
    },
    async newestAcknowledged(limit) {
      const resolved = await ask<EvidenceRow>(selectResolved, [limit]);
      const told = await orNothing(() => ask<EvidenceRow>(selectTold, [limit]));
      const found = new Map([...told.rows, ...resolved.rows].map((row) => [row.intent_id, row]));
      const newestFirst = [...found.keys()].sort().reverse().slice(0, limit);
      return newestFirst.flatMap((intentId) => {
        const row = found.get(intentId);
        return row === undefined ? [] : [parseEvidence(row)];
      });
    },
    async knownPrefixes(prefixes) {
      if (prefixes.length === 0) return new Set();
      const { rows } = await ask<{ prefix: Buffer }>(
        `select substring(digest from 1 for 24) as prefix from evidence
         where substring(digest from 1 for 24) = any($1::bytea[])`,
        [prefixes.map(unhex)],
      );
      return new Set(rows.map(({ prefix }) => hex(prefix)));
    },
    async write({ clusterId, birthAccountId, birthTimestamp, highWaterMark }) {
      await ask(
        `insert into ledger_identity (cluster_id, birth_account_id, birth_timestamp, high_water_mark)
         values ($1, $2, $3, $4) on conflict do nothing`,
        [clusterId, birthAccountId, birthTimestamp ?? null, highWaterMark],
      );
    },
    async writeBirth(timestamp) {
      await ask("update ledger_identity set birth_timestamp = $1 where birth_timestamp is null", [
        timestamp,
      ]);
    },
    async raiseMark(timestamp) {
      await ask("update ledger_identity set high_water_mark = $1 where high_water_mark < $1", [
        timestamp,
      ]);
    },
  };
}
