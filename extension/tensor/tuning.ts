// Every limit that recording, planning and transforms were tuned with; those of the executors are in executors/tuning.ts.
// "Safe bound": chosen to be harmless, never measured. A MAC is a multiply-add, as `cost` of the op table counts them.

// ---- Values and writes that wait for a barrier (planning/barrier.ts) ----

/** Reads in a row that leave writes pending: a program that only reads must not pile them up. Safe bound. */
export const MAX_DETACHED_READS = 64;
/** Nodes of a value that is computed without a barrier: each read makes its own plan. Safe bound. */
export const MAX_ASIDE_NODES = 16;
/** Losses that wait to be computed with the next step, which may never come: each holds its graph. Safe bound. */
export const MAX_PENDING_LOSSES = 8;
/** Optimizer steps computed together at most: a loop of many steps must not grow its graph without end. */
export const MAX_GROUPED_STEPS = 16;

/** Bytes of values along one way through a graph that waits to be computed. Safe bound: a step of most programs has fewer. */
export const MAX_PENDING_BYTES = 2 ** 30;
/** Nodes that `backward()` records for gradients of several calls before they are computed. */
export const MAX_GRADIENT_NODES = 4096;
/**
 * Gradients that steps leave uncomputed, such as those of a new parameter in each step: each holds its graph, and
 * each step goes through it. A learned optimizer, in seconds: 27.8 with 64, 18.6 with 32, 10.8 with 8, 10.5 with 2.
 */
export const MAX_OUTLIVED_GRADIENTS = 8;
/** Steps that have left them: a GAN's program replaces those of its discriminator sooner. Safe bound. */
export const MIN_OUTLIVED_STEPS = 8;

// ---- Values kept for backward() (planning/savedValues.ts) ----

/** Profiles that are remembered. Safe bound. */
export const MAX_SAVED_PROFILES = 256;
/** Bytes kept of several forwards; the last forward is kept at any size. Safe bound. */
export const MAX_SAVED_BYTES = 1 << 26;
/** Bytes that a small value counts as: thousands of small values slow down others. */
export const MIN_SAVED_BYTES = 4096;
/** Bytes from which a value that may be read is left out. Safe bound: to copy fewer takes microseconds. */
export const MIN_LEFT_OUT_BYTES = 1 << 16;
/** How many times the bytes of copied leaves the values left out must have. Between 2 and 8, word-transformer and nerf take the same time. */
export const LEAF_SHARE = 3;
/**
 * Plans that the graph of a value left out goes through: a program's state often comes from that of its last step. Reading it may
 * compute them all. Measured on per-sample-gradients: 16.8 ms a step with 1, 9.3 with 8.
 */
export const MAX_LEFT_OUT_PLANS = 8;
/** Bytes of the data of such a plan, which its graph holds, that count as one plan more. Safe bound: 64 MB in all. */
export const LEFT_OUT_PLAN_BYTES = 1 << 23;
/** Writes that a value outlives: a GAN's generator is trained after its discriminator. */
export const MAX_OUTLIVED_WRITES = 2;
/** Plans that a value outlives once one has taken it: backward() may be called twice. */
export const MAX_OUTLIVED_PLANS = 16;
/** The same of a value that the program could read: most are the state of the next step. */
export const MAX_OUTLIVED_LATER = 2;

// ---- Plans prepared ahead (planning/preparation.ts) ----

/** Multiply-adds of a step from which on naming a second graph is negligible. Safe bound: some milliseconds. */
export const MIN_PREPARED_MACS = 2e7;
/** Plans remembered. Safe bound. */
export const MAX_PREPARED_BODIES = 256;

// ---- Copies computed at once (recording/onHost.ts) ----

/** Elements copied at once at most: up to here, the copy takes no longer than recording and running one op (10-20 µs). */
export const MAX_COPIED_ELEMENTS = 65_536;
/** The same for elements that are copied one by one. */
export const MAX_SCATTERED_ELEMENTS = 4096;
/** Ops in a row at most that are computed when the last one's output is read. Safe bound. */
export const MAX_MOVES_ON_READ = 8;

// ---- Graphs compared with those before (recording/trace.ts) ----

/** Nodes recorded without a barrier at most: a longer graph is not compared. A step of a neural Turing machine has up to 60,000. */
export const MAX_TRACED_NODES = 100_000;
/** Nodes of all graphs remembered, some 200 bytes each. Safe bound: 100 MB. */
export const MAX_REMEMBERED_NODES = 500_000;
/** Graphs remembered of one number of nodes, in any case. */
export const MAX_ALIKE = 4;
/** Nodes of all of them, where there are more: batches of other sizes, and sequences that grow by a token, have as many nodes. Safe bound. */
export const MAX_ALIKE_NODES = 100_000;
/** Numbers of nodes remembered: programs that never repeat themselves are forgotten. */
export const MAX_TRACED_SIZES = 64;
/** Keys remembered of graphs that were seen once: an actor-critic's episodes of 8 to 37 steps have 695. */
export const MAX_NAMED_GRAPHS = 1024;
/** Most values carried over from a graph that is longer than {@link MAX_TRACED_NODES}. */
export const MAX_HELD_VALUES = 1024;
/** Most values carried over a barrier: values that are never read must not hold their graphs for long. */
export const MAX_CARRIED_VALUES = 32;
/** Vain takeovers after which a graph's backward() is always recorded. */
export const MAX_VAIN_ATTEMPTS = 3;

// ---- Long graphs (recording/repetition.ts) ----

/** Nodes from which on a graph is long. Safe bound: the steps of most programs have fewer. */
export const REPEATING_NODES = 1024;
/** Nodes after which a long graph must repeat itself. Safe bound: a step of a large U-Net has fewer. */
export const MAX_PERIOD = 2048;
/**
 * Nodes of a piece at least. Sampling from a small diffusion model, CPU time a step: 65 µs with 128, 60 with 256 to 1024, 90 with 2048,
 * 212 where the graph is not cut.
 */
export const MIN_PIECE_NODES = 256;

// ---- Fourier transforms (fft/dft.ts, fft/tables.ts) ----

/** Lengths up to here are one product with a matrix, and so are the factors of longer ones. Safe bound. */
export const MAX_PRODUCT_LENGTH = 64;
/**
 * Without such a factor, lengths up to here are one product too: Bluestein's algorithm transforms twice the length, and
 * back. Safe bound.
 */
export const MAX_UNSPLIT_LENGTH = 160;
/** Elements of all cached matrices and tables: beyond these, the cache is cleared. Safe bound: 16 MB. */
export const MAX_TABLE_ELEMENTS = 2 ** 22;

// ---- Sorting, or not (functions/indexing, functions/pointwise/special.ts, random/discrete.ts) ----

/**
 * Integers between the least and the largest, for each given one, up to which `unique` counts in place of sorting. A million: 14 ms with 1,
 * 55 with 4, 160 with 16; sorted 61.
 */
export const MAX_COUNTED_WIDTH = 4;
/**
 * Share of the categories up to which samples without replacement are inserted in place of sorting all. A row of 10,000: 1.4 ms with 1/16,
 * 4.4 with 1/8; sorted 2.4.
 */
export const MAX_INSERTED_SHARE = 1 / 16;
/**
 * Sorted rows of so many elements are compared whole with the values that are searched for. 62 took as long either way (a step of the
 * nerf program).
 */
export const FEW_BOUNDARIES = 16;
