// PyTorch's torch.signal, called by position or by name.
import * as namespace from "./functions/creation/signalWindows.ts";
import { callables } from "./signatures/callable.ts";
import { WINDOWS } from "./signatures/namespaces.ts";

export type { WindowOptions } from "./functions/creation/signalWindows.ts";

/** Windows for filters and spectra. */
export const windows = callables(namespace, WINDOWS);
