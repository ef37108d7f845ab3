/** What ran how: a fast path that silently isn't one shows here. */
export const newCounters = () => ({
  interpreted: 0,
  interpretedNodes: 0,
  /** Plans run by kernels of the binding. */
  small: 0,
  compiled: 0,
  /** Of those compiled, how many have their batch in shards. */
  sharded: 0,
  compiledRuns: 0,
  /** Of those, how many XLA has compiled. */
  byXla: 0,
  calls: 0,
  /** Of those, how many ran while the next steps were recorded. */
  overlapped: 0,
  /** Speculative steps that were committed. */
  speculated: 0,
  /** Graphs of a training that were computed op by op because it has too many different ones. */
  fellBack: 0,
  recompiled: 0,
  evicted: 0,
});

export type Counters = ReturnType<typeof newCounters>;
