import type { DescService } from "@bufbuild/protobuf";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import type { ServiceName } from "./service-names.ts";

/** One contract for each name: a service that is added to the one list and not here does not compile. */
export const contractsByName = {
  attestor: AttestorService,
  checkout: CheckoutService,
  clearing: ClearingService,
  eventstream: EventStreamService,
  ledger: LedgerService,
} as const satisfies Record<ServiceName, DescService>;

/** The contracts of the whole mesh. Each server describes them all by reflection, for the edge asks any one of them. */
export const contracts: readonly DescService[] = Object.values(contractsByName);
