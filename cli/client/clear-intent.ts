import { createClient } from "@connectrpc/connect";
import { formatIntent } from "#common/intent/codec.ts";
import type { Intent } from "#common/intent/intent.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import type { Clearing } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import type { MeshClient } from "./open-mesh.ts";

/** Has an intent attested and clears it. Rejects with the ConnectError of the call that failed. */
export async function clearIntent(
  { transport }: MeshClient,
  intent: Intent,
  walletSignature = "",
): Promise<Clearing> {
  const proto = formatIntent(intent);
  const attestor = createClient(AttestorService, transport);
  const { attestation } = await attestor.attest({ intent: proto, walletSignature });
  if (attestation === undefined) throw new Error("Attest answered no attestation");
  const { clearing } = await createClient(ClearingService, transport).clear({
    intent: proto,
    attestation,
  });
  if (clearing === undefined) throw new Error("Clear answered no clearing");
  return clearing;
}
