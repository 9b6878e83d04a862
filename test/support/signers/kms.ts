import { createECDH, createPrivateKey, createPublicKey } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { secp256k1 } from "@noble/curves/secp256k1.js";

/** What a test may change while it runs. */
export interface KmsBehaviour {
  /** In place of an answer: a status and the name of an exception. */
  refusal?: { readonly status: number; readonly name: string } | undefined;
  keySpec: string;
}

export interface TestKms extends AsyncDisposable {
  readonly url: URL;
  readonly behaviour: KmsBehaviour;
  /** How many signatures had s in the upper half: KMS does not lower it. */
  readonly highS: () => number;
}

/** A server that speaks the part of AWS KMS's JSON API that signs: one key, by the id that is given. */
export async function startKms(keyId: string, privateKey: Uint8Array): Promise<TestKms> {
  const behaviour: KmsBehaviour = { keySpec: "ECC_SECG_P256K1" };
  const spki = publicKeyOf(privateKey);
  let highS = 0;
  const actions: Readonly<Record<string, (body: Record<string, string>) => object>> = {
    "TrentService.GetPublicKey": () => ({
      KeyId: keyId,
      KeySpec: behaviour.keySpec,
      KeyUsage: "SIGN_VERIFY",
      PublicKey: spki.toString("base64"),
    }),
    "TrentService.Sign": ({ Message = "", MessageType, SigningAlgorithm }) => {
      if (MessageType !== "DIGEST" || SigningAlgorithm !== "ECDSA_SHA_256") throw new Error("no");
      const digest = Buffer.from(Message, "base64");
      const options = { prehash: false, lowS: false, extraEntropy: true, format: "der" } as const;
      const der = secp256k1.sign(digest, privateKey, options);
      if (secp256k1.Signature.fromBytes(der, "der").hasHighS()) highS += 1;
      return { KeyId: keyId, Signature: Buffer.from(der).toString("base64"), SigningAlgorithm };
    },
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, string>;
    const action = actions[String(request.headers["x-amz-target"])];
    const refusal =
      behaviour.refusal ??
      (body["KeyId"] === keyId ? undefined : { status: 400, name: "NotFoundException" });
    response.setHeader("content-type", "application/x-amz-json-1.1");
    if (refusal !== undefined || action === undefined) {
      const { status, name } = refusal ?? { status: 400, name: "UnknownOperationException" };
      response.writeHead(status).end(JSON.stringify({ __type: name, message: name }));
    } else {
      response.end(JSON.stringify(action(body)));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    behaviour,
    highS: () => highS,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The public key as KMS gives it: DER, SubjectPublicKeyInfo. */
function publicKeyOf(privateKey: Uint8Array): Buffer {
  const curve = createECDH("secp256k1");
  curve.setPrivateKey(privateKey);
  const point = curve.getPublicKey();
  const jwk = {
    kty: "EC",
    crv: "secp256k1",
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33).toString("base64url"),
    d: Buffer.from(privateKey).toString("base64url"),
  };
  const key = createPublicKey(createPrivateKey({ key: jwk, format: "jwk" }));
  return key.export({ format: "der", type: "spki" });
}
