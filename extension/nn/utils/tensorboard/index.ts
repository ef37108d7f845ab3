// PyTorch's torch.utils.tensorboard.
export type { At, HparamsOptions, Scalar, SummaryWriterOptions } from "./arguments.ts";
export { SummaryWriter } from "./summaryWriter.ts";
