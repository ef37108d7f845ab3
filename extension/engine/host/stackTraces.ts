import type { SourcePosition } from "../../protocol/errors.ts";
import { SITE } from "../../tensor/recording/scope.ts";
import type { SourceMap } from "./sourceMap.ts";

/** Source maps of the user modules evaluated in this process, by the name of their script. */
const maps = new Map<string, SourceMap>();
/** A frame of a stack that is the user's. */
interface Frame {
  position: SourcePosition;
  /** Name of the class whose constructor this is. */
  constructing: string | undefined;
}

/** The user's frames of each error whose stack has been formatted. */
const frames = new WeakMap<object, Frame[]>();

/** Registers an evaluated script: from now on stacks show its user's lines. */
export function registerScript(script: string, map: SourceMap): void {
  installOnce();
  maps.set(script, map);
}

export function forgetScript(script: string): void {
  maps.delete(script);
}

/** The user's position of a position in a registered script. */
export function findPosition(script: string, line: number, column: number): SourcePosition | undefined {
  return maps.get(script)?.find({ line, column });
}

/** The frames of an error's stack that are the user's, innermost first. */
export function userFrames(error: Error): SourcePosition[] {
  return framesOf(error).map(({ position }) => position);
}

/**
 * Where the user's code made an object, by a stack of its base class's constructor.
 * @param classes Names of the object's classes, whose constructors are no more than the way there
 */
export function creationFrame(site: Error, classes: readonly string[]): SourcePosition | undefined {
  // esbuild writes a class X as `class _X`, or `class X2` where that is taken.
  const names = new Set(classes);
  const own = (name: string): boolean =>
    names.has(name) || names.has(name.replace(/^_/, "").replace(/\d+$/, ""));
  return framesOf(site).find(({ constructing }) => constructing === undefined || !own(constructing))
    ?.position;
}

function framesOf(error: Error): Frame[] {
  // V8 formats a stack when it is first read, and the formatter below notes the frames.
  void error.stack;
  return frames.get(error) ?? [];
}

let installed = false;

/** Has errors note the user's frames. */
export function installOnce(): void {
  if (installed) return;
  installed = true;
  // The default of ten frames ends inside the library when modules are nested.
  Error.stackTraceLimit = 50;
  Error.prepareStackTrace = (error, sites) => {
    const found = sites.map((site) => position(site));
    frames.set(
      error,
      found.flatMap((place, i) =>
        place === undefined ? [] : [{ position: place, constructing: constructorName(sites[i]!) }],
      ),
    );
    if (error.message === SITE) return "";
    const lines = sites.map((site, i) => `\n    at ${describeSite(site, found[i])}`);
    return `${describe(error)}${lines.join("")}`;
  };
}

function position(site: NodeJS.CallSite): SourcePosition | undefined {
  const script = site.getFileName();
  // V8 computes line numbers on request: only those of the user's frames.
  if (typeof script !== "string" || !maps.has(script)) return undefined;
  const line = site.getLineNumber();
  const column = site.getColumnNumber();
  return line === null || column === null ? undefined : findPosition(script, line, column);
}

function constructorName(site: NodeJS.CallSite): string | undefined {
  return site.isConstructor() ? (site.getFunctionName() ?? undefined) : undefined;
}

function describeSite(site: NodeJS.CallSite, place: SourcePosition | undefined): string {
  const at =
    place === undefined
      ? `${site.getFileName() ?? "<anonymous>"}:${site.getLineNumber() ?? 0}:${site.getColumnNumber() ?? 0}`
      : `${place.file}:${place.line}:${place.column}`;
  const name = site.getFunctionName();
  return name === null ? at : `${site.isConstructor() ? "new " : ""}${name} (${at})`;
}

/** An error's first line, also of objects whose `toString` throws. */
function describe(error: Error): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    return "Error";
  }
}
