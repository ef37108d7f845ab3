/**
 * Plugin of TypeScript's server: where `layerwise` isn't installed, it resolves to the types that the extension ships. The
 * server finds plugins by package name in the extension's `node_modules`, where npm links this folder; its `main` is the
 * bundle, which lies beside the types.
 */
import { join } from "node:path";

const PACKAGE = "layerwise";

/** The part of TypeScript's server API that the plugin uses; `typescript` 7 no longer ships its types. */
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

/** Resolves `layerwise` to the shipped declarations if the project can't: an installed package comes first. */
export function resolveTo(types: string, resolve: ResolveLiterals): ResolveLiterals {
  const resolvedModule: ResolvedModule = {
    // TypeScript's paths have slashes on every platform.
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

/** The plugin's factory; the server calls it once for all projects. */
export default function init(): { create<Service>(info: CreateInfo<Service>): Service } {
  return {
    create(info) {
      const { languageServiceHost: host, project } = info;
      const { logger } = project.projectService;
      const resolve = host.resolveModuleNameLiterals?.bind(host);
      if (resolve === undefined)
        logger.info("layerwise: TypeScript is older than 5.0, so imports of layerwise are not resolved.");
      else {
        const types = join(__dirname, "types", "index.d.ts");
        host.resolveModuleNameLiterals = resolveTo(types, resolve);
        logger.info(`layerwise: using the types in ${types}`);
      }
      return info.languageService;
    },
  };
}
