import { callables, completable } from "../../tensor/signatures/callable.ts";
import * as functions from "./index.ts";
import { BINDING, WITH_OPTIONS } from "./signatures.ts";

/** PyTorch's `torch.nn.functional` as programs call it: arguments by position or by name. */
export const functional = callables(completable(functions, BINDING), WITH_OPTIONS);
