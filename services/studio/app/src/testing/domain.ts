import { create } from "@bufbuild/protobuf";
import { intentDomain } from "#common/intent/digest.ts";
import { intentTypes } from "#common/intent/typed-data.ts";
import { attestationBatchTypes } from "#common/tree/attestation-batch.ts";
import { GetDomainResponseSchema } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { keepWallet } from "../wallet/demo-wallet.ts";

// For tests: a mesh's signing domain as GetDomain tells it, and a wallet.

export const domainSource = {
  environment: "development",
  clusterId: 7n,
  chainId: 31_337n,
  verifyingContract: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
};

const { chainId, ...rest } = intentDomain(domainSource);

export const domain = create(GetDomainResponseSchema, {
  ...rest,
  chainId: String(chainId),
  typesJson: JSON.stringify(intentTypes),
  batchTypesJson: JSON.stringify(attestationBatchTypes),
});

export const wallet = keepWallet(
  { setItem: () => undefined } as unknown as Storage,
  `0x${"11".repeat(32)}`,
);
