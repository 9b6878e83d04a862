import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { Problem } from "../command/problem.ts";

const services: readonly DescService[] = [
  AttestorService,
  CheckoutService,
  ClearingService,
  EventStreamService,
  LedgerService,
];

/** The method that "LedgerService/GetBalance" or "sovr.ledger.v1.LedgerService/GetBalance" names. */
export function findMethod(name: string): DescMethod {
  const [serviceName, methodName] = name.split(/[/.](?=[^/.]*$)/);
  const service = services.find(
    (candidate) => candidate.name === serviceName || candidate.typeName === serviceName,
  );
  if (service === undefined) {
    const names = services.map((candidate) => candidate.name).join(", ");
    throw new Problem(`"${name}" names no method: write Service/Method with one of ${names}`);
  }
  const method = service.methods.find((candidate) => candidate.name === methodName);
  if (method === undefined) {
    const names = service.methods.map((candidate) => candidate.name).join(", ");
    throw new Problem(`${service.name} has no method "${methodName ?? ""}": it has ${names}`);
  }
  return method;
}
