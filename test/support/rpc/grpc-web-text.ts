/** A `fetch` that speaks application/grpc-web-text for a client that speaks gRPC-Web in bytes. */
export const fetchText: typeof fetch = async (input, init) => {
  const headers = new Headers(init?.headers);
  headers.set("content-type", "application/grpc-web-text");
  const { body } = init ?? {};
  if (!(body instanceof Uint8Array)) throw new Error("the client sends something else than bytes");
  const answer = await fetch(input, {
    ...init,
    headers,
    body: Buffer.from(body).toString("base64"),
  });
  const answered = new Headers(answer.headers);
  if (answered.get("content-type") !== "application/grpc-web-text+proto")
    throw new Error(`answered as ${answered.get("content-type")}`);
  answered.set("content-type", "application/grpc-web+proto");
  const bytes = answer.body?.pipeThrough(new TextDecoderStream()).pipeThrough(decoder()) ?? null;
  return new Response(bytes, { status: answer.status, headers: answered });
};

/** Decodes base64 of several parts, each padded at its end, whatever pieces it comes in. */
function decoder(): TransformStream<string, Uint8Array> {
  let rest = "";
  return new TransformStream({
    transform(text, out) {
      const all = rest + text;
      const whole = all.length - (all.length % 4);
      rest = all.slice(whole);
      for (const part of all.slice(0, whole).match(/[^=]+=*/g) ?? [])
        out.enqueue(new Uint8Array(Buffer.from(part, "base64")));
    },
    flush() {
      if (rest !== "") throw new Error(`the answer ends within a group: ${rest}`);
    },
  });
}
