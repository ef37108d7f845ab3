// PyTorch's torch.distributed: the `distributed` that users import.
export { allGather, allReduce, barrier, broadcast, ReduceOp } from "./collectives.ts";
export {
  destroyProcessGroup,
  getRank,
  getWorldSize,
  initProcessGroup,
  isAvailable,
  isInitialized,
  type ProcessGroupOptions,
} from "./processGroup.ts";
