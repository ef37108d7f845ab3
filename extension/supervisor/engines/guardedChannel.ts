import type { ChildProcess } from "node:child_process";

/** Bytes before each message that say how many it has. */
const HEADER_BYTES = 4;

/** Node's own reader of the channel. */
interface Reader {
  onread?: (this: Reader, bytes?: ArrayBuffer) => unknown;
}

/**
 * Guards this process against invalid data in a child's channel. User code there has the descriptor, and Node trusts
 * it: an invalid message throws where nothing can catch it, and a message may have any length.
 * @param limit Bytes of one message
 * @param onBroken Called once, with the reason; after that nothing is read
 */
export function guardChannel(child: ChildProcess, limit: number, onBroken: (reason: string) => void): void {
  // Such messages hand on sockets: engines have none, and Node asserts that the messages are valid.
  child.removeAllListeners("internalMessage");
  const key = Object.getOwnPropertySymbols(child).find(({ description }) => description === "kChannelHandle");
  const reader = key === undefined ? undefined : (child as unknown as Record<symbol, Reader | null>)[key];
  const read = reader?.onread;
  if (reader === undefined || reader === null || typeof read !== "function") return;
  const longest = messageLengths();
  let broken = false;
  reader.onread = function (bytes) {
    // The end of the channel is always passed on.
    if (broken && bytes !== undefined) return undefined;
    try {
      if (bytes !== undefined && longest(new Uint8Array(bytes)) > limit)
        throw new RangeError(`a message of more than ${limit.toLocaleString("en-US")} bytes`);
      return read.call(this, bytes);
    } catch (error) {
      broken = true;
      onBroken(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
}

/** Follows a stream of messages: the length of the longest one that a part of the stream announces. */
function messageLengths(): (bytes: Uint8Array) => number {
  let [left, header, size] = [0, 0, 0];
  return (bytes) => {
    let longest = 0;
    for (let at = 0; at < bytes.length;) {
      if (left > 0) {
        const step = Math.min(left, bytes.length - at);
        left -= step;
        at += step;
        continue;
      }
      size = size * 256 + bytes[at++]!;
      if (++header < HEADER_BYTES) continue;
      longest = Math.max(longest, size);
      [left, header, size] = [size, 0, 0];
    }
    return longest;
  };
}
