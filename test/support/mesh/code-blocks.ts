/** One fenced block of a Markdown page. */
export interface CodeBlock {
  /** The word after the fence, such as `sh`. */
  readonly language: string;
  readonly code: string;
  /** The line of the opening fence, from 1. */
  readonly line: number;
}

/** The fenced blocks of a Markdown page that name a language, in order. */
export function codeBlocks(markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [index, text] of markdown.split("\n").entries()) {
    const fence = /^```([a-z]*)$/.exec(text);
    if (fence === null) open?.lines.push(text);
    else if (open === undefined) open = { language: fence[1] ?? "", line: index + 1, lines: [] };
    else {
      const { language, line, lines } = open;
      if (language !== "") blocks.push({ language, line, code: `${lines.join("\n")}\n` });
      open = undefined;
    }
  }
  return blocks;
}
