// @ts-check
/** The software bill of materials of a VSIX or of the npm package, in CycloneDX: npm's list of installed packages, reduced to those that ship. */
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { inRoot, mustRun, ScriptError } from "../project.mjs";
import { COMPILER, prebuiltBindings } from "./prebuilt.mjs";

/**
 * @typedef {{ type: string, name: string, version?: string, purl?: string, "bom-ref"?: string, scope?: string,
 *   licenses?: object[], hashes?: { alg: string, content: string }[], properties?: { name: string, value: string }[],
 *   [key: string]: unknown }} Component
 * @typedef {{ metadata: { component: Component, [key: string]: unknown }, components: Component[],
 *   dependencies: { ref: string, dependsOn?: string[] }[], [key: string]: unknown }} Bom
 */

/** @type {Promise<Bom> | undefined} */
let listed;

/** npm's description of every package of the lock file, cached for all platforms. */
const installedPackages = () => (listed ??= askNpm());

/** @returns {Promise<Bom>} */
async function askNpm() {
  let text = "";
  await mustRun("npm", ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"], {
    quiet: true,
    onOutput: (output) => (text += output),
  });
  // npm prints warnings first.
  return JSON.parse(text.slice(text.indexOf("{")));
}

/**
 * The wheels of the native engine, which is installed on demand: not in the package, but pinned by it.
 * @param {string} target @returns {Component[]}
 */
function wheels(target) {
  const pins =
    JSON.parse(fs.readFileSync(inRoot("extension/native/install/wheels.json"), "utf8"))[target] ?? {};
  return Object.entries(pins).map(([file, sha256]) => {
    const [distribution = "", version = ""] = file.split("-");
    const name = distribution.replaceAll("_", "-");
    const purl = `pkg:pypi/${name}@${version}?file_name=${encodeURIComponent(file)}`;
    return {
      "bom-ref": purl,
      type: "library",
      name,
      version,
      // Installed on the user's request.
      scope: "optional",
      hashes: [{ alg: "SHA-256", content: sha256 }],
      licenses: [{ license: { id: "Apache-2.0" } }],
      purl,
      properties: [{ name: "layerwise:file", value: file }],
    };
  });
}

/**
 * The prebuilt bindings in a package.
 * @param {readonly string[]} targets @returns {Promise<Component[]>}
 */
async function bindingComponents(targets) {
  if (targets.length === 0) return [];
  const folder = await prebuiltBindings(targets);
  const { files } = JSON.parse(fs.readFileSync(path.join(folder, "bindings.json"), "utf8"));
  return targets.flatMap((target) =>
    Object.entries(files[target].sha256).map(([name, content]) => ({
      "bom-ref": `binding-${target}-${name}`,
      type: "file",
      name: `dist/native/prebuilt/${target}/${name}`,
      scope: "required",
      hashes: [{ alg: "SHA-256", content: String(content) }],
      licenses: [{ license: { id: name.startsWith("tfjs") ? "Apache-2.0" : "MIT" } }],
      properties: [{ name: "layerwise:compiler", value: COMPILER }],
    })),
  );
}

/**
 * Makes the bill of materials of a VSIX or of the npm package.
 * @param {object} options
 * @param {readonly import("./notices.mjs").ShippedPackage[]} options.packages Those in the bundles and beside them.
 * @param {string} options.file The package.
 * @param {readonly string[]} options.esbuild Platforms of the esbuild in it or installed with it.
 * @param {readonly string[]} options.engines Platforms whose native engine it installs.
 * @param {readonly string[]} options.bindings Platforms of the prebuilt bindings in it.
 * @param {Date} options.date Of the files in it.
 * @returns {Promise<Bom>} The same for the same package.
 */
export async function billOfMaterials({ packages, file, esbuild: platforms, engines, bindings, date }) {
  const installed = await installedPackages();
  const { name, version, license } = JSON.parse(fs.readFileSync(inRoot("package.json"), "utf8"));
  const esbuild = packages.find((one) => one.name === "esbuild");
  if (esbuild === undefined) throw new ScriptError("The packages that ship have no esbuild among them.");
  const shipped = [...packages, ...platforms.map((one) => ({ ...esbuild, name: `@esbuild/${one}` }))];
  const byPurl = new Map(installed.components.map((component) => [component.purl, component]));
  const components = shipped.map((one) => {
    const purl = `pkg:npm/${one.name.replace("@", "%40")}@${one.version}`;
    const found = byPurl.get(purl);
    if (found === undefined)
      throw new ScriptError(`${one.name} ${one.version} ships and isn't in package-lock.json.`);
    // npm marks development packages, but none of those that ship is one. Its download address may be a mirror's.
    const { externalReferences: _, properties: __, ...component } = found;
    return { ...component, scope: "required", licenses: component.licenses ?? [licenceOf(one.license)] };
  });
  const ref = `${name}@${version}`;
  const sha256 = createHash("sha256").update(fs.readFileSync(file)).digest("hex");
  const all = [...components, ...(await bindingComponents(bindings)), ...engines.flatMap(wheels)];
  const refs = new Set(all.map((component) => component["bom-ref"]));
  return {
    ...installed,
    serialNumber: `urn:uuid:${uuidOf(sha256)}`,
    metadata: {
      ...installed.metadata,
      timestamp: date.toISOString(),
      component: {
        "bom-ref": ref,
        type: "application",
        name,
        version,
        licenses: [{ license: { id: license } }],
        hashes: [{ alg: "SHA-256", content: sha256 }],
        properties: [{ name: "layerwise:file", value: path.basename(file) }],
      },
    },
    components: all,
    dependencies: [
      { ref, dependsOn: [...refs].map(String) },
      ...installed.dependencies
        .filter((entry) => refs.has(entry.ref))
        .map(({ ref: of, dependsOn = [] }) => ({
          ref: of,
          dependsOn: dependsOn.filter((one) => refs.has(one)),
        })),
    ],
  };
}

/** A UUID of version 8, which is the application's own, from a hash. @param {string} hex */
const uuidOf = (hex) =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;

/** @param {string} license An SPDX expression. */
const licenceOf = (license) => (/\s/.test(license) ? { expression: license } : { license: { id: license } });
