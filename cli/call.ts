import { text } from "node:stream/consumers";
import { type DescMethodStreaming, type DescMethodUnary, toJsonString } from "@bufbuild/protobuf";
import { ConnectError, createContextValues } from "@connectrpc/connect";
import { detailTypes } from "#common/rpc/errors.ts";
import { readJson } from "#common/rpc/strict/read-request.ts";
import { errorJson } from "./client/errors.ts";
import { findMethod } from "./client/find-method.ts";
import { openMesh } from "./client/open-mesh.ts";
import { parseScopes } from "./client/token.ts";
import { resolveAddress } from "./client/wallets.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";

const usage =
  "./mesh call Service/Method [JSON | - for stdin] [--scope SCOPE]… [--wallet WALLET | --merchant ID] [--timeout SECONDS]";

runCommand(async () => {
  const { values, positionals } = readArguments(
    {
      scope: { type: "string", multiple: true, default: [] },
      wallet: { type: "string" },
      merchant: { type: "string" },
      timeout: { type: "string", default: "30" },
    },
    usage,
  );
  const [name, body = "{}"] = positionals;
  if (name === undefined || positionals.length > 2) throw new Problem(`usage: ${usage}`);
  if (!/^[1-9][0-9]{0,3}$/.test(values.timeout))
    throw new Problem(`--timeout ${values.timeout}: give seconds`);
  const method = findMethod(name);
  const settings = readSettings(process.env);
  const { transport } = openMesh(settings, {
    scopes: parseScopes(values.scope),
    wallet: values.wallet === undefined ? undefined : resolveAddress(settings, values.wallet),
    merchant: values.merchant,
  });
  const input = readMessage(method.input, body === "-" ? await text(process.stdin) : body);
  try {
    if (method.methodKind === "unary") {
      const timeoutMs = Number(values.timeout) * 1000;
      const response = await transport.unary(
        method as DescMethodUnary,
        undefined,
        timeoutMs,
        undefined,
        input,
      );
      print(method.output, response.message);
      return 0;
    }
    const response = await transport.stream(
      method as DescMethodStreaming,
      undefined,
      0, // a stream has no deadline: Ctrl-C ends it
      undefined,
      (async function* () {
        yield input;
      })(),
      createContextValues(),
    );
    for await (const message of response.message) print(method.output, message);
    return 0;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    console.error(JSON.stringify(errorJson(error), null, 2));
    return 1;
  }
});

type Schema = ReturnType<typeof findMethod>["input"];

function readMessage(schema: Schema, json: string) {
  try {
    return readJson(schema, json);
  } catch (error) {
    throw new Problem(error instanceof Error ? error.message : String(error));
  }
}

function print(schema: Schema, message: Parameters<typeof toJsonString>[1]): void {
  console.log(
    toJsonString(schema, message, {
      prettySpaces: 2,
      alwaysEmitImplicit: true,
      registry: detailTypes,
    }),
  );
}
