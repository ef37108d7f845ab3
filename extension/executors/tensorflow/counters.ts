/** Counts of runs, by how they ran: they show a fast path that is silently not taken. */
export const newCounters = () => ({
  interpreted: 0,
  interpretedNodes: 0,
  /** Plans run by kernels of the binding. */
  small: 0,
  compiled: 0,
  /** Compiled plans whose batch is sharded. */
  sharded: 0,
  compiledRuns: 0,
  /** Compiled runs on another thread, while the next steps were recorded. */
  deferred: 0,
  /** Graphs of a training that were computed op by op because it has too many different ones. */
  fellBack: 0,
  recompiled: 0,
  evicted: 0,
});

export type Counters = ReturnType<typeof newCounters>;
