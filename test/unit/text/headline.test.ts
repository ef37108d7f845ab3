import { expect, test } from "vitest";
import { headline } from "../../../extension/protocol/text/headline.ts";

test("is the first line, with the next where the first only announces it", () => {
  expect(headline("One.\nTwo.")).toBe("One.");
  const text =
    "\nError(s) in loading state_dict for Mid:\n\tsize mismatch for 0.weight\n\tsize mismatch for 0.bias";
  expect(headline(text)).toBe("Error(s) in loading state_dict for Mid: size mismatch for 0.weight");
  expect(headline("only:")).toBe("only:");
  expect(headline("")).toBe("");
});
