// Initial values and drawn masks are host arrays that are garbage once TensorFlow has them. V8 sees small objects
// and waits long before it collects any: a large model's step makes a hundred megabytes of such arrays, and little else.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes that may wait to be collected. */
const MOST = 2 ** 27;

let waiting = 0;
let collect: (() => void) | undefined;

/** Notes an array that was passed on. */
export function passedOn({ byteLength }: { readonly byteLength: number }): void {
  waiting += byteLength;
}

/** Collects what was passed on, when it is much. Takes some milliseconds; a step of that size takes many. */
export function collectPassedOn(): void {
  if (waiting < MOST) return;
  waiting = 0;
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}
