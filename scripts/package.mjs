// @ts-check
import fs from "node:fs";
import path from "node:path";
import { listFiles, PackageManager } from "@vscode/vsce";
import { inRoot, mustRun, root } from "./project.mjs";

const PLUGIN = "layerwise-ts-plugin";

/**
 * Packs the built extension as users install it.
 * @returns {Promise<string>} The VSIX file's path.
 */
export async function packageExtension() {
  const vsix = inRoot("out/layerwise.vsix");
  const vsce = inRoot("node_modules/@vscode/vsce/vsce");
  const args = [vsce, "package", "--allow-missing-repository", "--no-rewrite-relative-links", "--out", vsix];
  await mustRun(process.execPath, args, { quiet: true, cwd: await stage() });
  return vsix;
}

/**
 * The shipped files in a folder of their own. TypeScript's server finds its plugin only in a `node_modules`, and vsce
 * ships that for dependencies alone; all others are in the bundles, so here the plugin is the only one.
 */
async function stage() {
  const folder = inRoot("out/vsix");
  fs.rmSync(folder, { recursive: true, force: true });
  for (const file of await listFiles({ cwd: root, packageManager: PackageManager.None }))
    copy(file, folder, file);
  copy("extension/tsPlugin/package.json", folder, `node_modules/${PLUGIN}/package.json`);
  const manifest = JSON.parse(fs.readFileSync(inRoot("package.json"), "utf8"));
  const { version } = JSON.parse(fs.readFileSync(inRoot("extension/tsPlugin/package.json"), "utf8"));
  const shipped = { ...manifest, dependencies: { [PLUGIN]: version }, devDependencies: {}, scripts: {} };
  fs.writeFileSync(path.join(folder, "package.json"), `${JSON.stringify(shipped, null, 2)}\n`);
  return folder;
}

/** @param {string} file in the repository @param {string} folder @param {string} name in that folder */
function copy(file, folder, name) {
  const target = path.join(folder, name);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(inRoot(file), target);
}
