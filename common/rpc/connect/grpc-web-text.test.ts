import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { answerText, isGrpcWebText } from "./grpc-web-text.ts";

type Request = Parameters<typeof answerText>[0];

async function* inPieces(text: string, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += length)
    yield Buffer.from(text.slice(at, at + length), "latin1");
}

async function joined(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What the handler in bytes gets for a body in base64. */
async function decoded(text: string, pieceLength: number): Promise<Buffer> {
  const header = new Headers({ "content-type": "application/grpc-web-text" });
  const request = { header, body: inPieces(text, pieceLength) } as unknown as Request;
  let got: Buffer | undefined;
  await answerText(request, async ({ header: seen, body }) => {
    expect(seen.get("content-type")).toBe("application/grpc-web+proto");
    got = await joined(body as AsyncIterable<Uint8Array>);
    return { status: 200 };
  });
  if (got === undefined) throw new Error("nobody was asked");
  return got;
}

describe("application/grpc-web-text", () => {
  it("is told from bytes, and from what nobody speaks", () => {
    const types = ["application/grpc-web-text", "application/grpc-web-text+proto"];
    expect(types.map(isGrpcWebText)).toEqual([true, true]);
    const others = [
      "application/grpc-web",
      "application/grpc-web-text+json",
      "text/plain",
      undefined,
    ];
    expect(others.map(isGrpcWebText)).toEqual([false, false, false, false]);
  });

  it("is read in whatever pieces it comes, one part or several", async () => {
    const parts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(parts, fc.integer({ min: 1, max: 9 }), async (bytes, pieceLength) => {
        const text = bytes.map((part) => Buffer.from(part).toString("base64")).join("");
        expect(await decoded(text, pieceLength)).toEqual(Buffer.concat(bytes));
      }),
    );
  });

  it.each(["AAA", "AAAA=", "AA==A", "A===", "====", "AA-_", "AAAA\n", "AAA=AAA"])(
    "is refused where it is no base64: %j",
    async (text) => {
      await expect(decoded(text, 3)).rejects.toThrow("not base64");
    },
  );

  it("is refused in time that grows with its length alone", async () => {
    await expect(decoded(`${"A".repeat(1_000_003)}!`, 65_536)).rejects.toThrow("not base64");
  });

  it("is answered in base64, and what is no gRPC-Web as it is", async () => {
    const request = { header: new Headers(), body: inPieces("", 1) } as unknown as Request;
    const answer = (contentType: string) =>
      answerText(request, async () => ({
        status: 200,
        header: new Headers({ "content-type": contentType }),
        body: inPieces("abcde", 2),
      }));
    const text = await answer("application/grpc-web+proto");
    expect(text.header?.get("content-type")).toBe("application/grpc-web-text+proto");
    expect(String(await joined(text.body ?? inPieces("", 1)))).toBe("YWI=Y2Q=ZQ==");
    const plain = await answer("text/plain");
    expect(plain.header?.get("content-type")).toBe("text/plain");
    expect(String(await joined(plain.body ?? inPieces("", 1)))).toBe("abcde");
  });
});
