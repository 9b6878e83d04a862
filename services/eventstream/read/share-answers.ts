/**
 * Lets those who ask at once share one answer, which is never older than their question: a call that finds nothing
 * running asks, those that come meanwhile are answered together by one more.
 */
export function shareAnswers<Answer>(ask: () => Promise<Answer>): () => Promise<Answer> {
  let running: Promise<Answer> | undefined;
  let next: Promise<Answer> | undefined;

  const start = (): Promise<Answer> => {
    const answer = ask().finally(() => {
      if (running === answer) running = undefined;
    });
    running = answer;
    next = undefined;
    return answer;
  };

  return () => {
    if (running === undefined) return start();
    next ??= running.then(start, start);
    return next;
  };
}
