import { readFileSync } from "node:fs";
import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo } from "node:net";
import { secp256k1 } from "#common/intent/secp256k1.ts";
import { signDigest } from "#common/intent/signature.ts";
import { keccak256 } from "#common/keccak256.ts";
import type { CertificateFiles } from "./certificates.ts";

/** What a test may change while it runs. */
export interface Web3SignerBehaviour {
  /** In place of a signature: a status with a text, or silence. */
  answer?: { readonly status: number; readonly text: string } | "SILENCE" | undefined;
}

export interface TestWeb3Signer extends AsyncDisposable {
  readonly url: URL;
  readonly behaviour: Web3SignerBehaviour;
}

/** A server that speaks Web3Signer's eth1 API as its OpenAPI document and its code (23.8) have it. */
export async function startWeb3Signer(
  privateKeys: readonly Uint8Array[],
  tls?: { readonly server: CertificateFiles; readonly clientCa: string },
): Promise<TestWeb3Signer> {
  const behaviour: Web3SignerBehaviour = {};
  const keys = new Map(
    privateKeys.map((key) => [
      `0x${Buffer.from(secp256k1.publicKey(key).subarray(1)).toString("hex")}`,
      key,
    ]),
  );
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { answer } = behaviour;
    if (answer === "SILENCE") return;
    if (answer !== undefined) {
      response.writeHead(answer.status).end(answer.text);
    } else if (request.url === "/api/v1/eth1/publicKeys") {
      response.end(JSON.stringify([...keys.keys()]));
    } else {
      const key = keys.get(request.url?.replace("/api/v1/eth1/sign/", "") ?? "");
      const { data } = JSON.parse(Buffer.concat(chunks).toString()) as { data: string };
      if (key === undefined) return void response.writeHead(404).end();
      const digest = keccak256(Buffer.from(data.slice(2), "hex"));
      response.end(signDigest(`0x${Buffer.from(digest).toString("hex")}`, key));
    }
  };
  const server =
    tls === undefined
      ? createHttp(listener)
      : createHttps(
          {
            cert: readFileSync(tls.server.certificate),
            key: readFileSync(tls.server.key),
            ca: readFileSync(tls.clientCa),
            requestCert: true,
            rejectUnauthorized: true,
          },
          listener,
        );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`),
    behaviour,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
