import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { type Limits, type Outcome, type Reader, ReaderProcess } from "../../fuzz/readerProcess.ts";
import { useFolder } from "../../folders.ts";

export type { Outcome, Reader };

/** A folder of hostile files, and a process that reads them within limits. */
export function useReaders(limits: Limits = {}) {
  const folder = useFolder();
  const reader = new ReaderProcess();
  // Bundles and starts the process: no test's time.
  beforeAll(() => reader.read("text", "nothing.txt").then(() => undefined));
  afterAll(() => reader.close());
  const read = (one: Reader, file: string, more: Limits = limits): Promise<Outcome> =>
    reader.read(one, file, more);
  const write = (name: string, content: string | Uint8Array): string => {
    const file = path.join(folder, name);
    fs.writeFileSync(file, content);
    return file;
  };
  /** The message that a reader refuses a file with: short, in little time and memory, with the file's name. */
  const refusal = async (one: Reader, file: string): Promise<string> => {
    const outcome = await read(one, file);
    expect(outcome).toMatchObject({ kind: "refused" });
    return outcome.message;
  };
  const accepted = async (one: Reader, file: string): Promise<void> => {
    expect(await read(one, file)).toMatchObject({ kind: "read" });
  };
  return { folder, read, write, refusal, accepted };
}
