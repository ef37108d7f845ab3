/**
 * Work that is never done twice at once, as the older of two answers may come last. A call while it is being done has it done again,
 * once for all such calls, and resolves after that.
 */
export function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let outdated = false;
  return () => {
    outdated = true;
    return (running ??= (async () => {
      try {
        while (outdated) {
          outdated = false;
          await work();
        }
      } finally {
        running = undefined;
      }
    })());
  };
}
