import { FILES } from "../extension/engine/host/userFiles.ts";
import { setTensorFiles, type TensorFiles } from "../extension/nn/files.ts";
import { around } from "./folders.ts";

/** Has `torch.save`, `torch.load` and their like find files as in an engine, or as given, while the tests of a file run. */
export function useTensorFiles(access: TensorFiles = FILES): void {
  let before: TensorFiles | undefined;
  around(
    "all",
    () => {
      before = setTensorFiles(access);
    },
    () => setTensorFiles(before),
  );
}
