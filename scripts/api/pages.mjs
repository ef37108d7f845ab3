// @ts-check
/** The pages of the API site that are not reference. */
import fs from "node:fs";
import path from "node:path";
import { inRoot } from "../project.mjs";

/** Pages of docs/ for users, in this order. */
export const GUIDES = ["installation", "from-pytorch", "training", "examples", "performance"];

const SUFFIX = ".nn.ts";

/** A page for each example, and one that lists them; texts by file. @returns {Record<string, string>} */
export function examplePages() {
  const names = fs
    .readdirSync(inRoot("media/examples"))
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length))
    .sort();
  /** @type {Record<string, string>} */
  const pages = {};
  const rows = names.map((name) => {
    const text = fs.readFileSync(inRoot("media/examples", name + SUFFIX), "utf8");
    // The first line says what the example is.
    const [, about = ""] = /^\/\/ (.*)$/m.exec(text) ?? [];
    pages[`examples/${name}.md`] =
      `---\ntitle: ${name}\n---\n\n# ${name}${SUFFIX}\n\n${about}.\n\n\`\`\`sh\nlayerwise train ${name}${SUFFIX}\n\`\`\`\n\n\`\`\`ts\n${text}\`\`\`\n`;
    return `| [${name}](examples/${name}.md) | ${about} |`;
  });
  const children = names.map((name) => `  - ./examples/${name}.md`).join("\n");
  pages["examples.md"] =
    `---\ntitle: Example models\nchildren:\n${children}\n---\n\n# Example models\n\nEach is a file of \`media/examples\` in the package. Training takes under two minutes; the comments say which result to expect.\n\n| example | what it is |\n| --- | --- |\n${rows.join("\n")}\n`;
  return pages;
}

/** The README's and the walkthrough's pictures. The README says what is on its own. */
export function galleryPage() {
  const readme = fs.readFileSync(inRoot("README.md"), "utf8");
  const shown = [...readme.matchAll(/!\[([^\]]+)\]\(media\/(screenshots\/[\w-]+\.png)\)/g)].map(
    ([, about = "", file = ""]) => `## ${about}\n\n![${about}](pictures/${file})\n`,
  );
  const themes = /** @type {const} */ (["light", "dark"]);
  const steps = fs
    .readdirSync(inRoot("media/walkthrough"))
    .filter((name) => name.endsWith("-light.png") && !name.includes("high-contrast"))
    .map((name) => path.basename(name, "-light.png"))
    .map((step) => {
      const pictures = themes.map(
        (theme) => `![${step}, ${theme}](pictures/walkthrough/${step}-${theme}.png)`,
      );
      return `## Walkthrough: ${step}\n\n${pictures.join("\n\n")}\n`;
    });
  return `---\ntitle: Gallery\n---\n\n# Gallery\n\n${[...shown, ...steps].join("\n")}`;
}
