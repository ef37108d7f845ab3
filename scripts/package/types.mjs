// @ts-check
/** Makes the emitted declarations complete by themselves: they name packages that the npm package doesn't install. */
import fs from "node:fs";
import path from "node:path";
import { inRoot } from "../project.mjs";

/** The folder of what stands in for other packages. */
const VENDOR = "vendor";
const NAMES = { "@tensorflow/tfjs-core": "tfjs", valibot: "valibot" };

/**
 * Rewrites the declarations in a folder. valibot's are copied, since types of the library derive from them; tfjs's are internal,
 * so empty ones do.
 * @param {string} folder
 */
export function completeTypes(folder) {
  /** @type {Set<string>} */
  const tfjs = new Set();
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".d.ts")) continue;
    const file = path.join(folder, name);
    const text = fs.readFileSync(file, "utf8");
    for (const [, used = ""] of text.matchAll(/\btfjs\.(\w+)/g)) tfjs.add(used);
    const vendor = path.relative(path.dirname(file), path.join(folder, VENDOR)).replaceAll("\\", "/");
    const local = vendor.startsWith(".") ? vendor : `./${vendor}`;
    const complete = text
      .replace(
        /from "(@tensorflow\/tfjs-core|valibot)"/g,
        (_, found) => `from "${local}/${NAMES[/** @type {keyof typeof NAMES} */ (found)]}.mjs"`,
      )
      // The interface's members are internal, so they aren't in the class's declaration.
      .replace(" implements GraphTensor", "");
    if (complete !== text) fs.writeFileSync(file, complete);
  }
  fs.mkdirSync(path.join(folder, VENDOR), { recursive: true });
  const types = [...tfjs].sort().map((name) => `export type ${name} = unknown;\n`);
  fs.writeFileSync(path.join(folder, VENDOR, "tfjs.d.mts"), types.join(""));
  fs.copyFileSync(
    inRoot("node_modules/valibot/dist/index.d.mts"),
    path.join(folder, VENDOR, "valibot.d.mts"),
  );
}
