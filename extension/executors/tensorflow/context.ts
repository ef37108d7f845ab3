import type { NativeBinding } from "../../native/binding.ts";
import type { Storage } from "../../tensor/recording/graph.ts";
import type { Counters } from "./counters.ts";
import type { ProcessGroup } from "./group/processGroup.ts";
import type { LazyValues } from "../kernels/lazyValues.ts";

/** Moves storages between programs; the executor's side of it. */
export interface Residences {
  /** Returns a tensor with the storage's current value, owned by the executor. */
  handle(storage: Storage): number;
  /** Notes that a storage has moved into a program: its tensor is gone. */
  left(storage: Storage): void;
}

/** Resources that all compiled plans of an executor share. */
export interface Context {
  readonly binding: NativeBinding;
  readonly residences: Residences;
  readonly lazy: LazyValues;
  readonly counters: Counters;
  readonly gpu: boolean;
  /** The processes that share each step, if there are several. */
  group?: ProcessGroup | undefined;
}
