import { type Pool, type PoolClient, withRecords } from "./pool.ts";

/**
 * Does work in one transaction: what it has stored is durable when this resolves, and none of it is there when it rejects,
 * but for a commit whose answer was lost. RECORDS_UNAVAILABLE.
 */
export function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  return withRecords(async () => {
    const client = await pool.connect();
    let fault: Error | undefined;
    try {
      await client.query("begin");
      const result = await work(client);
      await client.query("commit");
      return result;
    } catch (error) {
      // A connection on which the rollback fails is broken, and goes.
      await client.query("rollback").catch((broken: Error) => {
        fault = broken;
      });
      throw error;
    } finally {
      client.release(fault);
    }
  });
}
