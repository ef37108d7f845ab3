// @ts-check
/** The packages inside the bundles, and their licences, which must be distributed with them. */
import fs from "node:fs";
import path from "node:path";
import { inRoot, ScriptError } from "../project.mjs";

/**
 * @typedef {{ name: string, version: string, license: string, texts: string[] }} ShippedPackage
 *   `license` is an SPDX expression; `texts` are the licence files of the package, or the licence's own text.
 */

/** Copyright lines of packages without a licence file: as stated in their sources, else the package's authors. */
const COPYRIGHTS = /** @type {Readonly<Record<string, string>>} */ ({
  "@bufbuild/protobuf":
    "Copyright 2021-2026 Buf Technologies, Inc.\nCopyright 2008 Google Inc. All rights reserved.",
  "@microsoft/fast-element": "Copyright (c) Microsoft Corporation. All rights reserved.",
  "@microsoft/fast-foundation": "Copyright (c) Microsoft Corporation. All rights reserved.",
  "@microsoft/fast-web-utilities": "Copyright (c) Microsoft Corporation. All rights reserved.",
  "@tensorflow/tfjs-backend-cpu": "Copyright 2017-2023 Google LLC. All rights reserved.",
  "@tensorflow/tfjs-backend-wasm": "Copyright 2017-2023 Google LLC. All rights reserved.",
  "@tensorflow/tfjs-core": "Copyright 2017-2023 Google LLC. All rights reserved.",
  "@tensorflow/tfjs-node": "Copyright 2017-2023 Google LLC. All rights reserved.",
  "gearhash-jit": "Copyright (c) the authors of gearhash-jit",
  seedrandom: "Copyright 2019 David Bau.",
});

/** Code that is compiled into a package and has its own licence: copyright lines, and the licence's SPDX name. */
const INSIDE = /** @type {Readonly<Record<string, { copyright: string, license: string }>>} */ ({
  "@jsquash/jpeg": {
    copyright:
      "mozjpeg and libjpeg-turbo. This software is based in part on the work of the Independent JPEG Group.\nCopyright (C) 2009-2024 D. R. Commander. All rights reserved.\nCopyright (C) 2014-2016 Mozilla Corporation. All rights reserved.",
    license: "BSD-3-Clause",
  },
});

/**
 * The packages that files belong to, by name and version, each once.
 * @param {Iterable<string>} files Files that are bundled or copied, relative to the repository.
 * @returns {ShippedPackage[]}
 */
export function shippedPackages(files) {
  /** @type {Map<string, ShippedPackage>} */
  const packages = new Map();
  for (const file of files) {
    const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
    if (folder === undefined) continue;
    const found = readPackage(inRoot(folder));
    packages.set(`${found.name}@${found.version}`, found);
  }
  return [...packages.values()].sort((a, b) =>
    `${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1,
  );
}

/** @param {string} folder @returns {ShippedPackage} */
function readPackage(folder) {
  const { name, version, license } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
  const texts = fs
    .readdirSync(folder)
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .map((file) => fs.readFileSync(path.join(folder, file), "utf8").trim());
  const inside = INSIDE[name];
  return {
    name,
    version,
    license,
    texts: [
      ...(texts.length > 0 ? texts : standardTexts(name, license)),
      ...(inside === undefined ? [] : [inside.copyright, licenceText(inside.license)]),
    ],
  };
}

/**
 * The texts of the licences that an SPDX expression names, under the package's copyright.
 * @param {string} name
 * @param {string} license
 */
export function standardTexts(name, license) {
  const copyright = COPYRIGHTS[name];
  const ids = (license ?? "").match(/[\w.-]+/g)?.filter((word) => !/^(AND|OR|WITH)$/.test(word)) ?? [];
  const unknown = ids.find((id) => !fs.existsSync(textFile(id)));
  if (copyright === undefined || ids.length === 0 || unknown !== undefined)
    throw new ScriptError(
      `${name} (${license}) has no licence file: ${unknown === undefined ? "say whose it is in scripts/package/notices.mjs" : `put the text of ${unknown} into scripts/licences`}.`,
    );
  return [copyright, ...ids.map(licenceText)];
}

/** @param {string} id Of SPDX. */
const licenceText = (id) => fs.readFileSync(textFile(id), "utf8").replace(/^\n+|\s+$/g, "");

/** @param {string} id Of SPDX. */
const textFile = (id) => inRoot("scripts", "licences", `${id}.txt`);

/**
 * One text with each package's name, version, licence and copyright.
 * @param {readonly ShippedPackage[]} packages
 */
export function thirdPartyNotices(packages) {
  const rule = `\n\n${"-".repeat(80)}\n\n`;
  const notices = packages.map(({ name, version, license, texts }) =>
    [`${name} ${version} (${license})`, ...texts].join("\n\n"),
  );
  return `Layerwise contains these packages.${rule}${notices.join(rule)}\n`;
}
