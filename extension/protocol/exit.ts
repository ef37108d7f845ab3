/** The line of stderr in which an engine says that it ends because of its memory. */
export const MEMORY_EXCEEDED = "layerwise: memory limit exceeded";
