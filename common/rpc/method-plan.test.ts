import { create, setExtension } from "@bufbuild/protobuf";
import { MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { AccessSchema, access, Scope } from "#gen/sovr/common/v1/access_pb.ts";
import { request_bytes_max as requestBytesMaxOption } from "#gen/sovr/common/v1/request_limit_pb.ts";
import { createSampleService } from "../../test/support/rpc/sample-service.ts";
import { planMethods, requestBytesMaxLargest } from "./method-plan.ts";

function serviceWith(requestBytesMax: number) {
  const options = create(MethodOptionsSchema);
  setExtension(options, access, create(AccessSchema, { anyOf: [Scope.LEDGER_READ] }));
  setExtension(options, requestBytesMaxOption, requestBytesMax);
  return createSampleService(options);
}

describe("the largest request of a method", () => {
  it("is 1 MiB, and 16 MiB for a batch of clearings", () => {
    const limits = planMethods(ClearingService).map(({ method, requestBytesMax }) => [
      method.name,
      requestBytesMax,
    ]);
    expect(limits).toEqual([
      ["Clear", 1_048_576],
      ["ClearBatch", 16_777_216],
      ["GetClearing", 1_048_576],
      ["OpenWallet", 1_048_576],
    ]);
  });

  it("is what the method's option says", () => {
    for (const bytesMax of [1, 2_000_000, requestBytesMaxLargest]) {
      expect(planMethods(serviceWith(bytesMax))[0]?.requestBytesMax).toBe(bytesMax);
    }
  });

  it("cannot be nothing, or more than a server takes", () => {
    for (const bytesMax of [0, requestBytesMaxLargest + 1]) {
      expect(() => planMethods(serviceWith(bytesMax))).toThrow(`${bytesMax} bytes`);
    }
  });
});
