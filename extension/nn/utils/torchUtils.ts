// PyTorch's torch.utils.
import { checkpoint, checkpointSequential } from "../../tensor/differentiation/checkpoint.ts";

export * as data from "../data/index.ts";
export * as tensorboard from "./tensorboard/index.ts";

/** Parts of a model whose values backward computes again. */
const recomputing = { checkpoint, checkpointSequential } as const;

export { recomputing as checkpoint };
