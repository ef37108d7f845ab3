// Tests that need something that not every machine has.
import { describe } from "vitest";

/** Describes tests that are skipped where something is missing: the reason is part of their names. */
export function describeUnless(missing: string | undefined, name: string, body: () => void): void {
  if (missing === undefined) describe(name, body);
  else describe.skip(`${name} (skipped: ${missing})`, body);
}
