import assert from "node:assert/strict";
import fs from "node:fs";
import { slowly } from "../../models.ts";
import { inRoot } from "../../../scripts/project.mjs";

/** The example, made long enough that no machine finishes it before Stop is pressed, and slow enough to leave time for the window. */
export function longDigits(): string {
  const text = fs.readFileSync(inRoot("media/examples/digits.nn.ts"), "utf8");
  assert.match(text, /epochs: \d+/);
  return slowly(text.replace(/epochs: \d+/, "epochs: 500"));
}
