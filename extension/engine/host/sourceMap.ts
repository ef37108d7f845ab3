import path from "node:path";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import type { SourcePosition } from "../../protocol/errors.ts";

/** The bundler's name of the few lines that import the user's file. */
export const GENERATED = "__layerwise";

/** A place in code as V8 reports it: both 1-based. */
export interface GeneratedPosition {
  line: number;
  column: number;
}

/** Finds the user's lines for positions in the bundle. */
export class SourceMap {
  readonly #map: TraceMap;
  readonly #folder: string;
  readonly #lines = new Map<string, readonly string[]>();

  /**
   * @param json The source map, with `sourcesContent`
   * @param folder The folder that its `sources` are relative to
   */
  constructor(json: string, folder: string) {
    this.#map = new TraceMap(json);
    this.#folder = folder;
  }

  /** The user's position, or undefined when the bundle's position is code that no user wrote. */
  find(generated: GeneratedPosition): SourcePosition | undefined {
    const found = originalPositionFor(this.#map, { line: generated.line, column: generated.column - 1 });
    if (found.source === null) return undefined;
    const file = path.resolve(this.#folder, found.source);
    // Packages are bundled with the user's code, and are no more the user's than the library is.
    if (file.split(path.sep).includes("node_modules") || path.basename(file) === GENERATED) return undefined;
    const line = this.#sourceLines(found.source)[found.line - 1] ?? "";
    const word = wordEnd(line, found.column);
    return {
      file,
      line: found.line,
      column: found.column + 1,
      ...(word > found.column ? { endColumn: word + 1 } : {}),
    };
  }

  #sourceLines(source: string): readonly string[] {
    let lines = this.#lines.get(source);
    if (lines === undefined) {
      const text = this.#map.sourcesContent?.[this.#map.sources.indexOf(source)] ?? "";
      this.#lines.set(source, (lines = text.split(/\r?\n/)));
    }
    return lines;
  }
}

/** End of the name at `start` with its members: all of `this.fc1` from `this` on. */
function wordEnd(line: string, start: number): number {
  const word = /^(?:new\s+)?[\p{L}\p{N}_$]+(?:\.[\p{L}\p{N}_$]+)*/u.exec(line.slice(start));
  return start + (word?.[0].length ?? 0);
}
