declare const __keepCompiledCode: (() => void) | undefined;

/** Keeps what V8 has compiled of this program for its next process: for processes that are killed rather than end. */
export function keepCompiledCode(): void {
  // Undefined where the program runs from its sources.
  if (typeof __keepCompiledCode === "function") __keepCompiledCode();
}
