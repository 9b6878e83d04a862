/**
 * How many TigerBeetle clients one replica of a service opens. A cluster has 64 sessions and evicts the one that was
 * silent longest, so the sum over all replicas must stay below. test/integration/image.test.ts counts them. Clearing's
 * are two of its main thread and one of each batch thread; a machine of one core has one such thread, any other two.
 */
export const clientsOfReplica = { clearing: 4, ledger: 1, eventstream: 2 } as const;

/** What the services may take together: four sessions are left to people and tools. */
export const sessionsMax = 60;

export const sessionsOfCluster = 64;

/** Connections of clients that a replica takes with --limit-pipeline-requests=0. */
export const connectionsWithout = 8;
