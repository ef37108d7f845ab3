/**
 * The TypeScript server's plugin: where `layerwise` isn't installed, its types are those the extension ships. The
 * server looks for plugins by package name in the extension's `node_modules`, where npm links this folder; its `main`
 * leads to the bundle, beside which the types are.
 */
import { join } from "node:path";

const PACKAGE = "layerwise";

/** As much of TypeScript's server API as the plugin uses; `typescript` 7 no longer ships its types. */
interface Resolution {
  readonly resolvedModule?: ResolvedModule | undefined;
}
interface ResolvedModule {
  readonly resolvedFileName: string;
  readonly extension: string;
  readonly isExternalLibraryImport: boolean;
}
type ResolveLiterals = (literals: readonly { text: string }[], ...rest: unknown[]) => readonly Resolution[];
export interface LanguageServiceHost {
  resolveModuleNameLiterals?: ResolveLiterals;
}
export interface CreateInfo<Service> {
  languageService: Service;
  languageServiceHost: LanguageServiceHost;
  project: { projectService: { logger: { info(text: string): void } } };
}

/** Answers the declarations where the project itself can't resolve `layerwise`: an installed package comes first. */
export function resolveTo(types: string, resolve: ResolveLiterals): ResolveLiterals {
  const resolvedModule: ResolvedModule = {
    // TypeScript's paths have slashes everywhere.
    resolvedFileName: types.replace(/\\/g, "/"),
    extension: ".d.ts",
    isExternalLibraryImport: true,
  };
  return (literals, ...rest) =>
    resolve(literals, ...rest).map((resolution, index) =>
      literals[index]?.text === PACKAGE && resolution.resolvedModule === undefined
        ? { ...resolution, resolvedModule }
        : resolution,
    );
}

/** What the server calls with its TypeScript, once for all projects. */
export default function init(): { create<Service>(info: CreateInfo<Service>): Service } {
  return {
    create(info) {
      const { languageServiceHost: host, project } = info;
      const { logger } = project.projectService;
      const resolve = host.resolveModuleNameLiterals?.bind(host);
      if (resolve === undefined)
        logger.info("layerwise: this TypeScript is older than 5.0, its imports stay as they are.");
      else {
        const types = join(__dirname, "types", "index.d.ts");
        host.resolveModuleNameLiterals = resolveTo(types, resolve);
        logger.info(`layerwise: its types are those of ${types}`);
      }
      return info.languageService;
    },
  };
}
