/**
 * The services of the mesh that speak gRPC, as environment, manifests and folders name them. Their order is that of
 * their ports in development, which operators know: it only grows at its end.
 */
export const serviceNames = ["ledger", "clearing", "attestor", "eventstream", "checkout"] as const;

export type ServiceName = (typeof serviceNames)[number];

/** Who logs in to PostgreSQL: the services, and Studio's server, which keeps who is signed in. */
export const databaseUsers = [...serviceNames, "studio"] as const;

export type DatabaseUser = (typeof databaseUsers)[number];

/** Where a service listens in development if its environment says nothing else. */
export interface DefaultPorts {
  readonly grpc: number;
  readonly connect: number;
  readonly metrics: number;
}

/** 5101, 5201 and 5301 for the first service, one more of each for the next. */
export function defaultPorts(name: ServiceName): DefaultPorts {
  const number = serviceNames.indexOf(name) + 1;
  return { grpc: 5_100 + number, connect: 5_200 + number, metrics: 5_300 + number };
}
