// @ts-check
import fs from "node:fs";
import { inRoot, mustRun } from "./project.mjs";

/**
 * Packs the built extension as users install it.
 * @returns {Promise<string>} The VSIX file's path.
 */
export async function packageExtension() {
  const vsix = inRoot("out/layerwise.vsix");
  fs.mkdirSync(inRoot("out"), { recursive: true });
  const vsce = inRoot("node_modules/@vscode/vsce/vsce");
  const args = [vsce, "package", "--no-dependencies", "--allow-missing-repository"];
  args.push("--no-rewrite-relative-links", "--out", vsix);
  await mustRun(process.execPath, args, { quiet: true });
  return vsix;
}
