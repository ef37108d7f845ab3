/** Information that PyTorch gives the code of a worker process. */
export interface WorkerInfo {
  id: number;
  numWorkers: number;
  seed: number;
}

/**
 * Always null, as in PyTorch's main process: a data set's own code runs in the process of the training, and
 * `numWorkers` sets how many threads read files for it.
 */
export const getWorkerInfo = (): WorkerInfo | null => null;
