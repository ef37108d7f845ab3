// Tar files that tests write.
import fs from "node:fs";
import { packTar, type TarEntry } from "modern-tar";

/** Writes a tar file of these files, in this order. */
export async function writeTar(
  file: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<void> {
  fs.writeFileSync(file, await tarOf(files));
}

/** A tar file of these files, in this order. @param headers More of the header of each */
export function tarOf(
  files: Readonly<Record<string, string | Uint8Array>>,
  headers: Partial<TarEntry["header"]> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  return packTar(
    Object.entries(files).map(([name, content]) => {
      const body = typeof content === "string" ? Buffer.from(content) : content;
      return { header: { name, size: body.length, type: "file", mtime: new Date(0), ...headers }, body };
    }),
  );
}
