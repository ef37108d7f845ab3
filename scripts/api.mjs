// @ts-check
/**
 * `npm run api`: writes the library's reference to out/api, a static site with search that needs no network: the declarations of
 * the npm package with their docstrings, the guides, the examples and the gallery. The program is TypeDoc.
 */
import fs from "node:fs";
import path from "node:path";
import { emitTypes } from "./build.mjs";
import { examplePages, galleryPage, GUIDES } from "./api/pages.mjs";
import { COMPILER_OPTIONS, readableTypes } from "./api/types.mjs";
import { inRoot, isMain, main, mustRun, root, ScriptError } from "./project.mjs";
import { packagedPage } from "./package/markdown.mjs";
import { shippedPackages, thirdPartyNotices } from "./package/notices.mjs";
import { completeTypes } from "./package/types.mjs";

const TOOLS = "scripts/api/node_modules";
const SITE = "out/api";
const SOURCE = "out/api-source";

/** Packages of which the site has a copy: TypeDoc's scripts and styles, and the search index's. */
const IN_SITE = [`${TOOLS}/typedoc/package.json`, "node_modules/lunr/package.json"];

/** @param {{ site?: string }} [options] The site's folder. @returns {Promise<string>} */
export async function buildApi({ site = inRoot(SITE) } = {}) {
  if (!fs.existsSync(inRoot(TOOLS)))
    throw new ScriptError(`${TOOLS} is missing: run npm ci --ignore-scripts.`);
  const source = inRoot(SOURCE);
  fs.rmSync(source, { recursive: true, force: true });
  const types = path.join(source, "types");
  await emitTypes(types);
  completeTypes(types);
  readableTypes(types, TYPE_ROOTS);
  writePages(source);
  fs.writeFileSync(path.join(source, "typedoc.json"), JSON.stringify(options(site)));
  fs.writeFileSync(path.join(source, "tsconfig.json"), JSON.stringify(CONFIG));
  fs.rmSync(site, { recursive: true, force: true });
  await mustRun(process.execPath, [inRoot(TOOLS, "typedoc/bin/typedoc"), "--options", "typedoc.json"], {
    cwd: source,
  });
  fs.writeFileSync(path.join(site, "THIRD_PARTY_NOTICES.txt"), thirdPartyNotices(shippedPackages(IN_SITE)));
  return site;
}

const TYPE_ROOTS = [inRoot("node_modules/@types")];
const CONFIG = {
  compilerOptions: { ...COMPILER_OPTIONS, types: ["node"], typeRoots: TYPE_ROOTS },
  files: ["types/index.d.ts"],
};

/** TypeDoc's options, relative to the source folder. @param {string} site */
const options = (site) => ({
  name: "Layerwise",
  entryPoints: ["types/index.d.ts"],
  readme: "index.md",
  projectDocuments: ["guides/*.md", "examples.md", "gallery.md"],
  out: site,
  plugin: [inRoot(TOOLS, "typedoc-plugin-missing-exports/index.js"), inRoot("scripts/api/plugin.mjs")],
  internalModule: "types",
  tsconfig: "tsconfig.json",
  includeVersion: false,
  disableSources: true,
  hideGenerator: true,
  includeHierarchySummary: false,
  githubPages: false,
  excludeExternals: true,
  excludePrivate: true,
  excludeProtected: true,
  excludeInternal: true,
  visibilityFilters: { inherited: false },
  categorizeByGroup: false,
  navigation: { includeCategories: true, includeGroups: false },
  kindSortOrder: ["Document", "Namespace"],
  highlightLanguages: ["ts", "typescript", "js", "json", "sh", "bash", "py"],
  treatWarningsAsErrors: true,
});

/** Writes what is not reference: the first page, guides, examples, gallery, and the pictures. @param {string} source */
function writePages(source) {
  const write = (/** @type {string} */ name, /** @type {string} */ text) => {
    fs.mkdirSync(path.dirname(path.join(source, name)), { recursive: true });
    fs.writeFileSync(path.join(source, name), text);
  };
  write("index.md", fs.readFileSync(inRoot("scripts/api/index.md"), "utf8"));
  const ships = (/** @type {string} */ file) => GUIDES.some((name) => file === `docs/${name}.md`);
  for (const name of GUIDES)
    write(`guides/${name}.md`, packagedPage(`docs/${name}.md`, { ships, pictures: "omit" }));
  for (const [name, text] of Object.entries({ ...examplePages(), "gallery.md": galleryPage() }))
    write(name, text);
  for (const folder of ["screenshots", "walkthrough"])
    fs.cpSync(inRoot("media", folder), path.join(source, "pictures", folder), { recursive: true });
}

if (isMain(import.meta.url))
  await main(async () => {
    const site = await buildApi();
    process.stdout.write(`Open ${path.relative(root, path.join(site, "index.html"))} in a browser.\n`);
  });
