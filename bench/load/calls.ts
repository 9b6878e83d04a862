import { fromBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import {
  AttestBatchResponseSchema,
  VerifyAttestationResponseSchema,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ClearBatchResponseSchema } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { checkCreated, encodeCreateCheckout } from "./checkout-calls.ts";
import {
  encodeAttest,
  encodeAttestBatch,
  encodeClear,
  encodeClearBatch,
  encodeVerify,
  signedIntents,
  treeSigner,
} from "./signed-intents.ts";
import type { RpcTask } from "./task.ts";

/** One call, ready to go. */
export interface LoadCall {
  /** Intents in it. */
  readonly weight: number;
  /** Rejects if it fails. Resolves with the answer's check, which is put off until nothing is measured any more. */
  run(): Promise<(() => void) | undefined>;
}

/** Long enough for a batch behind batches. */
const deadlineMs = 30_000;

const paths = {
  clear: "/sovr.clearing.v1.ClearingService/Clear",
  "clear-batch": "/sovr.clearing.v1.ClearingService/ClearBatch",
  attest: "/sovr.attestor.v1.AttestorService/Attest",
  "attest-batch": "/sovr.attestor.v1.AttestorService/AttestBatch",
  verify: "/sovr.attestor.v1.AttestorService/VerifyAttestation",
  "create-checkout": "/sovr.checkout.v1.CheckoutService/CreateCheckout",
} as const;

/** Makes and encodes all calls of a task; connections are opened, and used in turn. */
export async function prepareCalls(
  task: RpcTask,
): Promise<{ readonly calls: readonly LoadCall[]; close(): void }> {
  const first = openConnections(task.address, task);
  const second = task.clearingAddress && openConnections(task.clearingAddress, task);
  const sign = signedIntents(task, task.walletSigns);
  const signTree = treeSigner(task);
  const calls: LoadCall[] = [];
  for (let index = 0; index < task.callsMax; index += 1) {
    calls.push(
      prepareCall(task, { sign, signTree }, first.next(), second ? second.next() : undefined),
    );
  }
  await Promise.all([first.ready(), second ? second.ready() : undefined]);
  return {
    calls,
    close: () => {
      first.close();
      if (second) second.close();
    },
  };
}

type Call = (path: string, request: Buffer) => Promise<Buffer>;

interface Signing {
  readonly sign: ReturnType<typeof signedIntents>;
  readonly signTree: ReturnType<typeof treeSigner>;
}

function prepareCall(
  { kind, perCall, walletKeys }: RpcTask,
  { sign, signTree }: Signing,
  call: Call,
  clear: Call | undefined,
): LoadCall {
  switch (kind) {
    case "clear-batch":
    case "clear-tree": {
      const signed = Array.from({ length: perCall }, sign);
      const request = encodeClearBatch(kind === "clear-tree" ? signTree(signed) : signed);
      return {
        weight: perCall,
        run: async () => {
          const answer = await call(paths["clear-batch"], request);
          return () => checkBatch(answer, perCall);
        },
      };
    }
    case "attest-batch": {
      const request = encodeAttestBatch(Array.from({ length: perCall }, sign));
      return {
        weight: perCall,
        run: async () => {
          const answer = await call(paths[kind], request);
          return () => checkAttested(answer, perCall);
        },
      };
    }
    case "verify": {
      const request = encodeVerify(sign());
      return {
        weight: 1,
        run: async () => {
          const answer = await call(paths[kind], request);
          return () => checkVerified(answer);
        },
      };
    }
    case "create-checkout": {
      const request = encodeCreateCheckout(walletKeys);
      return {
        weight: 1,
        run: async () => {
          const answer = await call(paths[kind], request);
          return () => checkCreated(answer);
        },
      };
    }
    case "attest-and-clear": {
      const signed = sign();
      const [attest, clearing] = [encodeAttest(signed), encodeClear(signed)];
      return {
        weight: 1,
        run: async () => {
          // Signatures are deterministic, so the attestation is known beforehand and the answer need not be decoded.
          await call(paths.attest, attest);
          await clear?.(paths.clear, clearing);
          return undefined;
        },
      };
    }
    default: {
      const request = kind === "clear" ? encodeClear(sign()) : encodeAttest(sign());
      return { weight: 1, run: () => call(paths[kind], request).then(() => undefined) };
    }
  }
}

function checkBatch(answer: Buffer, count: number): void {
  const { results } = fromBinary(ClearBatchResponseSchema, answer);
  const failed = results.find(({ outcome }) => outcome.case !== "clearing");
  if (failed?.outcome.case === "error") throw new Error(failed.outcome.value.message);
  if (results.length !== count) throw new Error(`${results.length} results for ${count} requests`);
}

function checkAttested(answer: Buffer, count: number): void {
  const { results } = fromBinary(AttestBatchResponseSchema, answer);
  const failed = results.find(({ outcome }) => outcome.case !== "attestation");
  if (failed?.outcome.case === "error") throw new Error(failed.outcome.value.message);
  if (results.length !== count) throw new Error(`${results.length} results for ${count} requests`);
}

function checkVerified(answer: Buffer): void {
  if (!fromBinary(VerifyAttestationResponseSchema, answer).valid) throw new Error("not valid");
}

/** Connections of this task's own, of which each call takes the next. */
function openConnections(address: string, { connections, token }: RpcTask) {
  const clients = Array.from(
    { length: connections },
    () =>
      new Client(address, credentials.createInsecure(), {
        "grpc.use_local_subchannel_pool": 1,
        "grpc.max_receive_message_length": 64 * 1_048_576,
        "grpc.max_send_message_length": 64 * 1_048_576,
      }),
  );
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  const unchanged = (bytes: Buffer) => bytes;
  let used = 0;
  return {
    next: (): Call => {
      const client = clients[used++ % clients.length];
      return (path, request) =>
        new Promise((resolve, reject) => {
          const options = { deadline: Date.now() + deadlineMs };
          client?.makeUnaryRequest(
            path,
            unchanged,
            unchanged,
            request,
            metadata,
            options,
            (error, answer) => {
              if (error !== null) reject(error);
              else if (answer === undefined) reject(new Error("no answer"));
              else resolve(answer);
            },
          );
        });
    },
    ready: () =>
      Promise.all(
        clients.map(
          (client) =>
            new Promise<void>((resolve, reject) => {
              client.waitForReady(Date.now() + deadlineMs, (error) =>
                error === undefined ? resolve() : reject(error),
              );
            }),
        ),
      ),
    close: () => {
      for (const client of clients) client.close();
    },
  };
}
