import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { TENSORFLOW_VERSION } from "../../../extension/native/cache.ts";
import gpuWheels from "../../../extension/native/install/gpuWheels.json";
import { allowedWheels, cudaRequirements } from "../../../extension/native/install/pins.ts";
import { findPlatform } from "../../../extension/native/platforms.ts";
import wheels from "../../../extension/native/install/wheels.json";
import lock from "../../../package-lock.json";
import { shippedPackages, standardTexts, thirdPartyNotices } from "../../../scripts/package/notices.mjs";
import { billOfMaterials } from "../../../scripts/package/sbom.mjs";
import { checkPins, RELEASES } from "../../../scripts/vscode/server.mjs";
import pinned from "../../../scripts/vscode/pinned-packages.json";

const root = (...parts: string[]): string =>
  fileURLToPath(new URL(`../../../${parts.join("/")}`, import.meta.url));
const text = (...parts: string[]): string => readFileSync(root(...parts), "utf8");

describe("the lock file", () => {
  interface Entry {
    link?: boolean;
    resolved?: string;
    integrity?: string;
    hasInstallScript?: boolean;
  }
  const packages = Object.entries(lock.packages as Record<string, Entry>);
  const installed = packages.filter(([place, { link }]) => place.includes("node_modules/") && link !== true);

  test("has a SHA-512 of every package, and no address that could be another's", () => {
    expect(installed.length).toBeGreaterThan(100);
    for (const [place, { integrity, resolved }] of installed) {
      expect(integrity, place).toMatch(/^sha512-[\w+/]{86}==$/);
      // Each is fetched from the registry that the user's npm is set to.
      expect(resolved, place).toBeUndefined();
    }
    for (const [place, { link, resolved = "" }] of packages)
      if (link === true) expect(existsSync(root(resolved)), `${place} links to ${resolved}`).toBe(true);
  });

  test("names each package with an install script, of which none runs", () => {
    const scripts = installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([place]) => place);
    expect(scripts.sort()).toEqual(
      ["@tensorflow/tfjs-node", "@vscode/vsce-sign", "core-js", "esbuild", "keytar", "onnxruntime-node"].map(
        (name) => `node_modules/${name}`,
      ),
    );
    expect(text(".npmrc").split("\n")).toEqual(
      expect.arrayContaining(["ignore-scripts=true", "omit-lockfile-registry-resolved=true"]),
    );
    expect(text("scripts/setup.mjs")).toContain('["ci", "--ignore-scripts"');
  });
});

describe("TensorFlow's wheels", () => {
  const host = (platform: string, arch: string, own?: string) => ({
    platform: platform as NodeJS.Platform,
    arch,
    env: own === undefined ? {} : { LAYERWISE_WHEEL_SHA256: own },
  });
  const own = "0123456789abcdef".repeat(4);

  test.each(Object.entries(wheels))("are pinned for %s, in the version that is installed", (key, files) => {
    const [platform = "", arch = ""] = key.split("-");
    const requirement = findPlatform(host(platform, arch))?.requirement;
    for (const [name, hash] of Object.entries(files)) {
      expect(name.split("-").slice(0, 2).join("==").replaceAll("_", "-")).toBe(requirement);
      expect(name).toContain(`-${TENSORFLOW_VERSION}-`);
      expect(hash).toMatch(/^[0-9a-f]{64}$/);
    }
    expect(allowedWheels(host(platform, arch))).toEqual(new Set(Object.values(files)));
    expect(new Set(Object.values(files)).size).toBe(platform === "win32" ? 1 : 4);
  });

  test("are pinned for GPUs, with those of CUDA's libraries", () => {
    const gpu = Object.entries(gpuWheels);
    for (const [, hash] of gpu) expect(hash).toMatch(/^[0-9a-f]{64}$/);
    const tensorflow = gpu.filter(([name]) => name.startsWith(`tensorflow-${TENSORFLOW_VERSION}-`));
    expect(tensorflow).toHaveLength(4);
    expect(cudaRequirements()).toHaveLength(gpu.length - tensorflow.length);
    for (const requirement of cudaRequirements()) expect(requirement).toMatch(/^nvidia-[a-z0-9-]+==[\d.]+$/);
    expect(allowedWheels(host("linux", "x64"), "gpu")).toEqual(new Set(Object.values(gpuWheels)));
    expect(allowedWheels(host("linux", "x64"))).not.toContain(gpu[0]![1]);
  });

  test("are pinned for every platform that has a native engine", () => {
    for (const platform of ["linux", "darwin", "win32"])
      for (const arch of ["x64", "arm64"])
        expect(`${platform}-${arch}` in wheels).toBe(findPlatform(host(platform, arch)) !== undefined);
  });

  test("of a user's own index are allowed by their hash alone", () => {
    expect(allowedWheels(host("linux", "x64", `${own.toUpperCase()}, ${"f".repeat(64)}`))).toEqual(
      new Set([...Object.values(wheels["linux-x64"]), own, "f".repeat(64)]),
    );
    for (const wrong of ["*", "any", own.slice(1), `${own} sha256:1`])
      expect(() => allowedWheels(host("linux", "x64", wrong))).toThrow(/expected SHA-256 hashes of 64/);
  });
});

describe("VS Code's server for the tests", () => {
  test("is pinned with all that is installed beside it", () => {
    for (const { codeServer, node, ripgrep } of Object.values(RELEASES)) {
      expect(pinned).toHaveProperty([`code-server@${codeServer}`]);
      for (const arch of ["x64", "arm64"]) expect(pinned).toHaveProperty([`node-linux-${arch}@${node}`]);
      if (ripgrep !== undefined) expect(pinned).toHaveProperty([`@vscode/ripgrep-universal@${ripgrep}`]);
    }
    for (const hash of Object.values(pinned)) expect(hash).toMatch(/^sha512-[\w+/]{86}==$/);
  });

  test("is refused in another build or version", () => {
    const [name, integrity] = Object.entries(pinned)[0]!;
    const lockFile = (version: string, hash?: string): string =>
      JSON.stringify({ packages: { "node_modules/code-server": { version, integrity: hash } } });
    const version = name.slice(name.lastIndexOf("@") + 1);
    expect(() => checkPins([name], lockFile(version, integrity))).not.toThrow();
    for (const other of [
      lockFile(version, integrity.replace("sha512-", "sha512-A")),
      lockFile(version),
      lockFile("4.0.0", integrity),
      '{ "packages": {} }',
    ])
      expect(() => checkPins([name], other)).toThrow(`${name} differs from its hash`);
    expect(() => checkPins(["code-server@9.9.9"], lockFile("9.9.9"))).toThrow("code-server@9.9.9 differs");
  });
});

describe("the notices", () => {
  test("hold a licence text of every package that ships", () => {
    // Written by the build, from the files that esbuild has bundled.
    const [, ...notices] = text("dist/THIRD_PARTY_NOTICES.txt").split(`\n\n${"-".repeat(80)}\n\n`);
    expect(notices.length).toBeGreaterThan(40);
    for (const notice of notices) {
      const [title = "", ...rest] = notice.split("\n");
      expect(title).toMatch(/^\S+ \d\S* \(.+\)$/);
      expect(rest.join("\n").trim().length, title).toBeGreaterThan(500);
      expect(notice, title).toMatch(/copyright|\(c\)/i);
    }
    for (const name of ["@tensorflow/tfjs-core", "seedrandom", "esbuild", "elkjs"])
      expect(notices.some((notice) => notice.startsWith(`${name} `))).toBe(true);
  });

  test("take the licence's own text where a package has no file", () => {
    const [found] = shippedPackages(["node_modules/@bufbuild/protobuf/dist/esm/index.js"]);
    expect(found?.texts).toHaveLength(3);
    const notice = thirdPartyNotices([found!]);
    expect(notice).toContain("Copyright 2021-2026 Buf Technologies, Inc.");
    expect(notice).toContain("Apache License");
    expect(notice).toContain("Redistribution and use in source and binary forms");
  });

  test("fail the build for a package without a known text or owner", () => {
    expect(() => standardTexts("a-new-package", "MIT")).toThrow(
      "a-new-package (MIT) has no licence file: say whose it is in scripts/package/notices.mjs.",
    );
    expect(() => standardTexts("seedrandom", "Beerware")).toThrow(
      "seedrandom (Beerware) has no licence file: put the text of Beerware into scripts/licences.",
    );
  });
});

describe.skipIf(spawnSync("npm", ["--version"], { shell: process.platform === "win32" }).status !== 0)(
  "the bill of materials",
  () => {
    const packages = shippedPackages(
      ["valibot", "lit", "esbuild"].map((name) => `node_modules/${name}/index.js`),
    );
    const file = root("package.json");
    const date = new Date("2026-01-31");
    const options = { file, esbuild: ["linux-arm64"], engines: ["linux-arm64"], bindings: [], date };

    test(
      "is valid CycloneDX, holds what ships, its wheels, and nothing else",
      { timeout: 60_000 },
      async () => {
        const bill = await billOfMaterials({ packages, ...options });
        const schema = (name: string): object => JSON.parse(text("test/fixtures/cyclonedx", name));
        const ajv = new Ajv({ strict: false, validateFormats: false });
        for (const name of ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"])
          ajv.addSchema(schema(name), `http://cyclonedx.org/schema/${name}`);
        const validate = ajv.compile(schema("bom-1.5.SNAPSHOT.schema.json"));
        validate(bill);
        expect(validate.errors).toBeNull();
        expect(bill.components.map(({ name }) => name)).toEqual([
          "esbuild",
          "lit",
          "valibot",
          "@esbuild/linux-arm64",
          ...Array.from({ length: 4 }, () => "tensorflow"),
        ]);
        for (const { name, hashes, licenses } of bill.components) {
          expect(hashes?.[0]?.content, name).toMatch(/^(?:[0-9a-f]{64}|[0-9a-f]{128})$/);
          expect(licenses, name).toHaveLength(1);
        }
        expect(bill.metadata.component).toMatchObject({ name: "layerwise", type: "application" });
        // Where this machine has its packages from is its own business.
        expect(JSON.stringify(bill)).not.toMatch(/"distribution"|externalReferences/);
        expect(validate({ ...bill, components: [{ name: "no type" }] })).toBe(false);
        // The same for the same package, another one for another.
        expect(await billOfMaterials({ packages, ...options })).toEqual(bill);
        const other = await billOfMaterials({ packages, ...options, file: root("package-lock.json") });
        expect(bill["serialNumber"]).toMatch(/^urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        expect(other["serialNumber"]).not.toBe(bill["serialNumber"]);
        expect(bill.metadata["timestamp"]).toBe("2026-01-31T00:00:00.000Z");
      },
    );

    test("is refused for a package that the lock file doesn't have", { timeout: 60_000 }, async () => {
      const stranger = { ...packages[0]!, name: "stranger" };
      await expect(billOfMaterials({ packages: [...packages, stranger], ...options })).rejects.toThrow(
        "stranger 0.28.2 ships and isn't in package-lock.json.",
      );
    });
  },
);
