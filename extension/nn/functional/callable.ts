import { callables, completable } from "../../tensor/signatures/callable.ts";
import type { Callables } from "../../tensor/signatures/types.ts";
import * as functions from "./index.ts";
import { BINDING, WITH_OPTIONS } from "./signatures.ts";

/** The functions of {@link functional}. */
export interface Functional extends Callables<
  Callables<typeof functions, typeof BINDING>,
  typeof WITH_OPTIONS
> {}

/** PyTorch's `torch.nn.functional` as programs call it: arguments by position or by name. */
export const functional: Functional = callables(completable(functions, BINDING), WITH_OPTIONS);
