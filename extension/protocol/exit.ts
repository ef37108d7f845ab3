/** The line of stderr in which an engine says that it ends because of its memory. */
export const MEMORY_EXCEEDED = "layerwise: memory limit exceeded";

/** The error code of a worker that could not continue because another one has ended. */
export const LOST_WORKER = "worker-lost";
