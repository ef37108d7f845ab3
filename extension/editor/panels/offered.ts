import { isAbsolute } from "node:path";
import { EngineError, type SourcePosition, type UserError } from "../../protocol/errors.ts";
import { openPosition } from "../messages.ts";

/** The latest errors of a page's calls, whose lines it may open. */
const MOST_ERRORS = 20;

/** The source files that a page may open: those that its data, or an error of its calls, names. */
export class OfferedSources {
  readonly #shown: () => unknown;
  readonly #errors: UserError[] = [];

  /** @param shown Returns the page's current contents */
  constructor(shown: () => unknown) {
    this.#shown = shown;
  }

  /** Remembers an error that was sent to the page. */
  note(error: UserError): void {
    this.#errors.push(error);
    if (this.#errors.length > MOST_ERRORS) this.#errors.shift();
  }

  /** Shows a line of one of the files. */
  async open(position: SourcePosition, preserveFocus = false): Promise<void> {
    const { file } = position;
    if (!isAbsolute(file) || !(namesFile(this.#errors, file) || namesFile(await this.#shown(), file)))
      throw notOffered(file);
    await openPosition(position, preserveFocus);
  }
}

/** Returns the shown item that a page has chosen. Throws where the page shows no such item. */
export function offered<T>(shown: readonly T[], isChosen: (one: T) => boolean, name: string): T {
  const found = shown.find(isChosen);
  if (found === undefined) throw notOffered(name);
  return found;
}

const notOffered = (name: string): EngineError =>
  new EngineError({
    code: "internal",
    message: `internal: the view asked for ${JSON.stringify(name.slice(0, 200))}, which it doesn't show`,
  });

/** Whether an object in some data has a file under the name `file`. */
export function namesFile(data: unknown, file: string): boolean {
  const waiting: unknown[] = [data];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value !== "object" || value === null) continue;
    if (Reflect.get(value, "file") === file) return true;
    for (const inner of Object.values(value)) if (typeof inner === "object") waiting.push(inner);
  }
  return false;
}
