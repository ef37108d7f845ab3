import { afterEach, expect } from "vitest";

/**
 * Console output fails a test: what reaches the console would reach a user's log too. A test that expects output
 * replaces the method with `vi.spyOn(console, …)`.
 */
const printed: string[] = [];
for (const method of ["log", "info", "debug", "warn", "error"] as const)
  console[method] = (...values: unknown[]) => {
    printed.push(`console.${method}: ${values.map(String).join(" ")}`);
  };

afterEach(() => {
  const lines = printed.splice(0);
  expect(lines, "console output in a test").toEqual([]);
});
