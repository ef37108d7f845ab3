/**
 * Finds out whether user code has changed objects that every file of this process shares: JavaScript's and Node's, and
 * the library's. Code that runs after user code uses only functions that were read before it.
 */
import asyncHooks from "node:async_hooks";
import buffer from "node:buffer";
import childProcess from "node:child_process";
import crypto from "node:crypto";
import diagnosticsChannel from "node:diagnostics_channel";
import events from "node:events";
import fs from "node:fs";
import module from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import perfHooks from "node:perf_hooks";
import stream from "node:stream";
import stringDecoder from "node:string_decoder";
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import tty from "node:tty";
import url from "node:url";
import util from "node:util";
import v8 from "node:v8";
import vm from "node:vm";
import workerThreads from "node:worker_threads";
import zlib from "node:zlib";

const { apply, defineProperty, deleteProperty, getPrototypeOf, ownKeys } = Reflect;
const { setPrototypeOf } = Reflect;
const propertyOf = Reflect.getOwnPropertyDescriptor as (object: object, key: Key) => Property | undefined;
const { is } = Object;
const { isArray } = Array;
const text = String;
const cwd = process.cwd.bind(process);
const chdir = process.chdir.bind(process);

const LIBRARY = "layerwise.";

type Key = string | symbol;

/** A property's descriptor. */
interface Property {
  readonly value?: unknown;
  readonly get?: (() => unknown) | undefined;
  readonly set?: ((value: unknown) => void) | undefined;
  readonly writable?: boolean;
  readonly enumerable?: boolean;
  readonly configurable?: boolean;
}

/** An object as it was in the snapshot. */
interface Known {
  readonly name: string;
  /** The library's. */
  readonly ours: boolean;
  readonly object: object;
  readonly prototype: object | null;
  readonly keys: readonly Key[];
  readonly properties: readonly Property[];
}

/** A changed or new property, or a changed prototype. */
interface Change {
  /** Empty when putting it back is enough. */
  readonly name: string;
  undo(): void;
  redo(): void;
}

/** The intrinsics that have no global name, by objects that inherit from them. */
const HIDDEN: Readonly<Record<string, object>> = {
  ArrayIterator: [][Symbol.iterator](),
  MapIterator: new Map().entries(),
  SetIterator: new Set().entries(),
  StringIterator: ""[Symbol.iterator](),
  RegExpStringIterator: "a".matchAll(/a/g),
  Generator: (function* () {})(),
  AsyncGenerator: (async function* () {})(),
  GeneratorFunction: function* () {},
  AsyncFunction: async () => {},
  AsyncGeneratorFunction: async function* () {},
  TypedArray: Uint8Array,
};

const MODULES: Readonly<Record<string, object>> = {
  async_hooks: asyncHooks,
  buffer,
  child_process: childProcess,
  crypto,
  diagnostics_channel: diagnosticsChannel,
  events,
  fs,
  module,
  net,
  os,
  path,
  perf_hooks: perfHooks,
  stream,
  string_decoder: stringDecoder,
  timers,
  "timers/promises": timersPromises,
  tty,
  url,
  util,
  v8,
  vm,
  worker_threads: workerThreads,
  zlib,
};

/** Globals of tfjs, which change as it works. */
const TFJS: ReadonlySet<Key> = new Set(["_tfengine", "_tfGlobals"]);

/** Snapshot of the objects that all files of this process share. */
export class Builtins {
  readonly #known: Known[] = [];
  /** How many of them are JavaScript's own, or globals. */
  readonly #globals: number;
  readonly #seen = new Set<object>();
  #folder = cwd();
  readonly #channel = channelOf(process);
  /** Reader of the parent's messages, which Node has behind an accessor of all channels. */
  readonly #reader = this.#channel?.onread;
  readonly #environment: Readonly<Record<string, string | undefined>> = { ...process.env };

  /** @param library Namespaces of functions and classes that user code imports */
  constructor(library: Readonly<Record<string, unknown>>) {
    // Node has both behind setters, which don't show what was set.
    for (const [name, value] of Object.entries({ Buffer, process }))
      defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
    for (const key of ownKeys(globalThis)) {
      const value = propertyOf(globalThis, key)?.value;
      if (isObject(value) && value !== globalThis && !TFJS.has(key))
        this.#add(String(key), value, key === "process" ? 0 : 1);
    }
    this.#add("", globalThis, 0);
    for (const [name, object] of Object.entries(HIDDEN)) {
      // Only its prototypes are shared; the instance was made here.
      for (let one = getPrototypeOf(object); one !== null; one = getPrototypeOf(one)) this.#add(name, one, 1);
    }
    // Listeners that stay get the messages of other files.
    const listeners: unknown = Reflect.get(process, "_events");
    if (isObject(listeners)) {
      this.#add("process.on", listeners, 0);
      // Of several listeners of an event, Node has a list.
      for (const [key, list] of Object.entries(listeners))
        if (isArray(list)) this.#add(nameOf("process.on", key), list, 0);
    }
    this.#globals = this.#known.length;
    for (const [name, object] of Object.entries(MODULES)) this.#add(name, object, 1);
    for (const [name, value] of Object.entries(library))
      if (isObject(value) && (typeof value === "function" || isNamespace(value)))
        this.#add(LIBRARY + name, value, 1);
  }

  /** @param depth How many levels of objects in it are its own; classes always have their prototypes */
  #add(name: string, object: object, depth: number): void {
    if (this.#seen.has(object)) return;
    this.#seen.add(object);
    const keys = ownKeys(object);
    const properties = keys.map((key) => propertyOf(object, key)!);
    const prototype = getPrototypeOf(object);
    this.#known.push({ name, ours: name.startsWith(LIBRARY), object, prototype, keys, properties });
    if (isObject(prototype) && prototype !== Object.prototype && prototype !== Function.prototype)
      this.#add(`${name}.__proto__`, prototype, 0);
    keys.forEach((key, i) => {
      const value = valueOf(object, properties[i]!);
      if (!isObject(value)) return;
      const inner = nameOf(name, key);
      if (key === "prototype") this.#add(inner, value, 0);
      else if (depth > 0 && (typeof value === "function" ? isClass(value) : isNamespace(value)))
        this.#add(inner, value, depth - 1);
    });
  }

  /**
   * Puts back the globals that have other values now, and returns their names: "Array.prototype.map". Takes a tenth of
   * a millisecond; messages can be sent afterwards, whatever user code has done.
   */
  restoreGlobals(): string[] {
    for (let i = 0; i < this.#globals; i++)
      if (differs(this.#known[i]!)) return this.#restore(0, this.#globals);
    return [];
  }

  /** Takes the current working directory into the snapshot. */
  takeFolder(): void {
    this.#folder = cwd();
  }

  /** The same for everything: accessors, Node's modules, the library, the environment and the working directory. */
  restoreRest(): string[] {
    const names = this.#restore(0, this.#known.length);
    if (this.#moved()) names[names.length] = "process.cwd()";
    if (this.#channel !== undefined && this.#channel.onread !== this.#reader) {
      this.#channel.onread = this.#reader;
      names[names.length] = "process.channel";
    }
    const before = this.#environment;
    for (const name in before)
      if (process.env[name] !== before[name]) names[names.length] = environment(name);
    for (const name in process.env) if (!(name in before)) names[names.length] = environment(name);
    return names;
  }

  /** Runs `body` with the globals as they were, in the middle of user code. */
  asBefore(body: (changed: string[]) => void): void {
    const changes = this.#changes(0, this.#globals);
    body(namesOf(changes));
    for (let i = changes.length - 1; i >= 0; i--) changes[i]!.redo();
  }

  #restore(from: number, to: number): string[] {
    return namesOf(this.#changes(from, to));
  }

  /** Puts back changed properties and prototypes, and returns the changes. */
  #changes(from: number, to: number): Change[] {
    const all: Change[] = [];
    for (let i = from; i < to; i++) {
      const changes = changesOf(this.#known[i]!);
      for (let j = 0; j < changes.length; j++) {
        all[all.length] = changes[j]!;
        changes[j]!.undo();
      }
    }
    return all;
  }

  #moved(): boolean {
    try {
      if (cwd() === this.#folder) return false;
      chdir(this.#folder);
    } catch {
      // The folder is gone.
    }
    return true;
  }
}

/** Node's own object for the channel to the parent. */
function channelOf(object: object): { onread?: unknown } | undefined {
  const key = Object.getOwnPropertySymbols(object).find(
    ({ description }) => description === "kChannelHandle",
  );
  return key === undefined ? undefined : (Reflect.get(object, key) as { onread?: unknown } | undefined);
}

function namesOf(changes: readonly Change[]): string[] {
  const names: string[] = [];
  for (let i = 0; i < changes.length; i++)
    if (changes[i]!.name !== "") names[names.length] = changes[i]!.name;
  return names;
}

/** Whether a value has changed: a quick check, by reading the values. */
function differs({ object, keys, properties }: Known): boolean {
  for (let i = 0; i < keys.length; i++) {
    const { get, value } = properties[i]!;
    if (get === undefined && !is((object as Record<Key, unknown>)[keys[i]!], value)) return true;
  }
  return ownKeys(object).length !== keys.length;
}

function changesOf({ name, ours, object, prototype, keys, properties }: Known): Change[] {
  const changes: Change[] = [];
  // Array.prototype is an array, too.
  const isList = isArray(object) && prototype !== Object.prototype;
  const note = (key: Key, was: Property | undefined, now: Property | undefined): void => {
    const put = (property: Property | undefined): void => {
      if (property === undefined) deleteProperty(object, key);
      else defineProperty(object, key, property as PropertyDescriptor);
    };
    // A flag of the library, such as torch.backends.cudnn.benchmark, needs no name: putting it back is enough.
    const flag = ours && !isObject(was?.value ?? was?.get) && !isObject(now?.value ?? now?.get);
    // A list is named as a whole: what has changed shows in its length, or is put back.
    const place = !isList ? nameOf(name, key) : key === "length" ? name : "";
    const shown = flag ? "" : place;
    changes[changes.length] = { name: shown, undo: () => put(was), redo: () => put(now) };
  };
  const heir = getPrototypeOf(object);
  if (heir !== prototype)
    changes[0] = {
      name: nameOf(name, "__proto__"),
      undo: () => setPrototypeOf(object, prototype),
      redo: () => setPrototypeOf(object, heir),
    };
  for (let i = 0; i < keys.length; i++) {
    const now = propertyOf(object, keys[i]!);
    if (!isSame(now, properties[i]!, object)) note(keys[i]!, properties[i], now);
  }
  const present = ownKeys(object);
  if (present.length === keys.length && changes.length === 0) return changes;
  for (let i = 0; i < present.length; i++) {
    const key = present[i]!;
    if (!isAmong(keys, key)) note(key, undefined, propertyOf(object, key));
  }
  return changes;
}

function isAmong(keys: readonly Key[], key: Key): boolean {
  for (let i = 0; i < keys.length; i++) if (keys[i] === key) return true;
  return false;
}

function isSame(now: Property | undefined, was: Property, object: object): boolean {
  if (now === undefined) return false;
  // A frozen property has the same value, but can no longer be set.
  const { writable, configurable, enumerable } = was;
  if (now.writable !== writable || now.configurable !== configurable || now.enumerable !== enumerable)
    return isPutInPlace(now, was, object);
  return is(now.value, was.value) && now.get === was.get && now.set === was.set;
}

function isPutInPlace(now: Property, was: Property, object: object): boolean {
  // Node creates some of its objects on first access.
  return was.get !== undefined && now.get === undefined && is(read(was.get, object), now.value);
}

/** Value of an accessor; undefined if it refuses the object, as those of prototypes and of newer Nodes may. */
function read(get: () => unknown, object: object): unknown {
  try {
    return apply(get, object, []);
  } catch {
    return undefined;
  }
}

/** Value of a property, also of a bundled namespace, whose values are behind getters. */
function valueOf(object: object, { value, get, configurable }: Property): unknown {
  const bundled = get !== undefined && configurable === false && getPrototypeOf(object) === Object.prototype;
  return bundled ? read(get, object) : value;
}

const isObject = (value: unknown): value is object =>
  typeof value === "function" || (typeof value === "object" && value !== null);

/** Whether an object is no instance of a class, such as a random generator, which changes as it is used. */
function isNamespace(value: object): boolean {
  const prototype = getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Methods have no prototype. */
const isClass = (value: object): boolean => propertyOf(value, "prototype") !== undefined;

const environment = (name: string): string => `process.env.${name}`;
const nameOf = (name: string, key: Key): string => (name === "" ? text(key) : `${name}.${text(key)}`);
