// Every limit that the executors were tuned with, on 2 cores (docs/performance.md has the machine and its figures). Those of
// recording and planning are in tensor/tuning.ts.
// "Safe bound": chosen to be harmless, never measured. A MAC is a multiply-add, as `cost` of the op table counts them.

// ---- Which plans are compiled, and how many are kept (sessions of TensorFlow, recorded calls of tfjs) ----

/** Nodes from which on a plan gets a session. Safe bound. */
export const MIN_COMPILED_NODES = 4;
/** Plans kept in compiled form, and as many prepared ones; the least recently used is closed first. Safe bound. */
export const MAX_COMPILED_PLANS = 32;
/** Plans that a training compiles at first sight: a model that makes more of them is dynamic. Safe bound. */
export const MAX_PLANS_AT_FIRST_SIGHT = 24;
/** Keys remembered of plans that ran once. Safe bound. */
export const MAX_SEEN_KEYS = 1024;

// ---- Plans run by kernels of the binding (kernels/smallPlans.ts) ----

/** Nanoseconds of opening a session and of its first run, for each TensorFlow op. Measured on 12 programs: 200 to 300 µs. */
export const COMPILING_NANOSECONDS = 250e3;
/**
 * How many times as fast TensorFlow must be by the binding's estimate, which knows no caches, threads that wait or conversions. Of 783
 * functions of `npm run bench -- --functions`, decompositions of large matrices and four inverse functions are above it: TensorFlow takes
 * 0.04 to 0.5 of the time for these.
 */
export const MIN_LIBRARY_GAIN = 1.5;
/** Plans kept; the least recently used is dropped first. Safe bound. */
export const MAX_SMALL_PLANS = 512;
/**
 * Bytes of all plans kept, 50 for an op that only gives a shape and 400 for one that computes. Safe bound: the eight lengths of a neural
 * Turing machine take 37 MB, a batch of trees is a plan of its own with 4 MB.
 */
export const MAX_SMALL_PLAN_BYTES = 2 ** 27;
/** Bytes of results that share memory, as those of Node's buffers do: one that is kept holds on to no more than these. */
export const SHARED_BYTES = 8192;
/**
 * Bytes of a result from which its memory isn't cleared before a kernel writes it. Measured without the kernel: as fast as a typed
 * array of its own at 4 KB, 5 times as fast at 64 KB and 12 times at 1 MB, but a fifth as fast at 64 bytes.
 */
export const UNCLEARED_BYTES = 8192;

// ---- The first steps of a training, which own kernels compute (tensorflow/firstSteps.ts) ----

/**
 * Estimated milliseconds that TensorFlow would have saved a training, until it takes over: loading it and compiling take 1 to 2 seconds,
 * 20 to 50 from a slow disk, and 300 MB. TensorFlow is loaded after half of these, on another thread, and graphs are compiled there after
 * three quarters. Part of the numbers of a training.
 */
export const KERNELS_FIRST = 2000;

// ---- Host memory ----

/**
 * Elements of a large array. It isn't kept to compare the next input with, isn't uploaded where an op can make it, and is
 * on one side only (tfjs). Safe bound: 256 KB of floats.
 */
export const LARGE_ELEMENTS = 2 ** 16;

// ---- Steps that another thread computes (kernels/queuedRuns.ts, tensorflow/compiledPlan.ts) ----

/** Milliseconds of queued steps: a run can be paused or stopped only after them. Safe bound for a window's answers. */
export const MAX_QUEUED_MS = 25;
/** Queued steps. Measured on `simple` (18 µs a step): what a step costs beside its work is negligible then. */
export const MAX_QUEUED_STEPS = 200;
/** MACs of a step that runs on the calling thread. Measured: waking others doubled a small model's plain loop. */
export const MAX_INLINE_MACS = 2e7;

// ---- Threads inside an op, for a graph without shards (sharding/shardedPlan.ts) ----

/**
 * MACs of a kernel that is worth several threads. Two threads against one, convolutions with batch norms: 16 million 0.8 times
 * as fast, 66 million 1.0, 264 million 0.75 to 1.2; ResNet-18, which has larger ones, 1.2 to 1.5 in all of eight runs.
 */
export const MIN_THREADED_MACS = 100e6;

// ---- Sharding a batch (sharding/batch.ts) ----

/** Samples of a shard. Safe bound. */
export const MIN_SHARD_SAMPLES = 4;
/** MACs of a step from which on shards are worth their nodes. Measured on the MLPs of docs/performance.md. */
export const MIN_SHARDED_MACS = 10e6;
/** MACs of a step for each element that shards add up (gradients) or join. Measured on the same MLPs. */
export const MIN_MACS_PER_EXCHANGED_ELEMENT = 400;
/**
 * Elements up to which a value that processes have in shards goes with the sums of a step, with zeros for the other shards. An
 * exchange of its own takes a millisecond, as adding up some 100,000 elements does (docs/scaling.md). Safe bound.
 */
export const MAX_PADDED_ELEMENTS = 2 ** 15;
/** Share of the MACs that has to be in shards. Safe bound: nothing was gained with less. */
export const MIN_SHARDED_SHARE = 0.9;
/** Dimensions tried as the batch. Each takes as long as recording the step. Safe bound. */
export const MAX_SHARD_CANDIDATES = 8;

// ---- Sharding weights (sharding/weights.ts). Measured on `mlp` (1.32 times as fast) and `autoencoder` (0.93, so whole) ----

/** MACs of a shard's product: fewer take no longer than handing it to another core. */
export const MIN_WEIGHT_SHARD_MACS = 1e6;
/** Rows of a shard. Kernels are at their best with some, and products of fewer run beside others anyway. */
export const MIN_WEIGHT_SHARD_ROWS = 128;
/** Columns of a sharded weight: as many MACs come with each element copied to and from shards. */
export const MIN_SHARDED_WEIGHT_COLUMNS = 384;
