import type { Span } from "../../source/textSpans.ts";

/** TypeScript's codes for a deprecated name, and for a deprecated signature. */
const DEPRECATED: readonly unknown[] = [6385, 6387];

/** A diagnostic of TypeScript, with its place in the text. */
export interface Deprecation extends Span {
  readonly code: unknown;
}

/** Finds `data` in deprecated calls `x.data()` of tensors. TypeScript's diagnostics tell which receivers are tensors. */
export function dataCalls(masked: string, diagnostics: readonly Deprecation[]): Span[] {
  return diagnostics
    .filter(({ code, start, end }) => {
      const called = /^\s*\(\s*\)/.test(masked.slice(end));
      return DEPRECATED.includes(code) && masked.slice(start, end) === "data" && called;
    })
    .map(({ start, end }) => ({ start, end }));
}
