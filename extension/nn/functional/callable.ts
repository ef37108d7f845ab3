import { callables, completable } from "../../tensor/signatures/callable.ts";
import * as functions from "./index.ts";
import { BINDING, WITH_OPTIONS } from "./signatures.ts";

/** PyTorch's `torch.nn.functional`. */
export const F = callables(completable(functions, BINDING), WITH_OPTIONS);
