// Event files that user code writes: PyTorch's SummaryWriter.
import path from "node:path";
import { makeFolderSync } from "../../files/folders.ts";
import { AppendFile } from "../../files/append.ts";
import { eventRecord, fileVersion } from "../../formats/tensorboard.ts";
import type { EventFileOptions, EventSink, SummaryEvent } from "../../nn/utils/tensorboard/events.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { eventFileName } from "../reporting/eventFile.ts";

/** Most bytes that wait: a few images. */
const MAX_PENDING = 2 ** 20;

const open = new Set<UserEvents>();
/** Event files that this process has had. */
let count = 0;

class UserEvents implements EventSink {
  readonly #file: AppendFile;
  readonly #options: EventFileOptions;
  /** Events that wait, and their bytes. */
  #waiting = 0;
  #bytes = 0;
  /** When events were written last, by `performance.now()`. */
  #written = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(file: string, options: EventFileOptions) {
    this.#file = new AppendFile(file);
    this.#options = options;
    this.#push(fileVersion(Date.now() / 1000));
    this.flush();
  }

  write(event: SummaryEvent): void {
    this.#push(eventRecord(event));
    const { queue, seconds } = this.#options;
    const late = performance.now() - this.#written >= seconds * 1000;
    if (late || this.#waiting >= queue || this.#bytes >= MAX_PENDING) this.flush();
    else this.#timer ??= setTimeout(() => this.tryFlush(), seconds * 1000).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#written = performance.now();
    this.#waiting = this.#bytes = 0;
    // The file keeps what a full disk doesn't take, for the next flush.
    attempt(this.#file.path, () => this.#file.flush());
  }

  /** As {@link flush}, where no program can catch the error: the next call that writes throws it. */
  tryFlush(): void {
    try {
      this.flush();
    } catch {
      // The events stay pending.
    }
  }

  close(): void {
    open.delete(this);
    try {
      this.flush();
    } finally {
      this.#file.close();
    }
  }

  #push(bytes: Uint8Array): void {
    this.#file.push(bytes);
    this.#waiting++;
    this.#bytes += bytes.length;
  }
}

/** @throws TensorError that names the file and says why it can't be written */
function attempt<T>(file: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TensorError("file", `SummaryWriter: events can't be written to ${file}: ${reason}`, undefined, {
      cause,
    });
  }
}

/** Writes what is pending in files that user code hasn't closed. */
export function flushOpenEvents(): void {
  for (const file of open) file.tryFlush();
}

/**
 * Creates an event file, with its folder.
 * @throws TensorError that names the folder or file and says why it can't be written
 */
export function openEvents(folder: string, options: EventFileOptions): EventSink {
  // A later change of the working directory doesn't move the file.
  const directory = path.resolve(folder);
  attempt(directory, () => makeFolderSync(directory));
  if (count === 0) process.once("exit", flushOpenEvents);
  const name = eventFileName(Date.now() / 1000, count++) + options.suffix;
  const file = new UserEvents(path.join(directory, name), options);
  open.add(file);
  return file;
}
