import assert from "node:assert/strict";
import fs from "node:fs";
import { slowly } from "../../models.ts";
import { inRoot } from "../../../scripts/project.mjs";

/** The example as it is, except that no machine is done with it before Stop is pressed, and has time for the window too. */
export function longDigits(): string {
  const text = fs.readFileSync(inRoot("media/examples/digits.nn.ts"), "utf8");
  assert.match(text, /epochs: \d+/);
  return slowly(text.replace(/epochs: \d+/, "epochs: 500"));
}
