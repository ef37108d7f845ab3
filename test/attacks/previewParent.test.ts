/** Files that attack, from the process of previews, what comes after them: its parent and the previews of other files. */
import { describe, expect, it } from "vitest";
import { HONEST, useAttackedPreviews } from "./attackedPreviews.ts";

const { preview, serves } = useAttackedPreviews(800);

describe("speaks to the parent itself:", () => {
  const SAYS: Record<string, string> = {
    "bytes that are no message": `import fs from "node:fs";
for (const fd of [3, 4]) try { fs.writeSync(fd, Buffer.from("\\0\\0\\0\\u0008garbage!more garbage of no length".repeat(50))); } catch {}`,
    "a message that promises four gigabytes": `import fs from "node:fs";
const head = Buffer.alloc(4); head.writeUInt32BE(0xfffffff0);
try { fs.writeSync(3, head); } catch {}
const part = Buffer.alloc(1 << 20, 0x41);
const end = Date.now() + 4000;
while (Date.now() < end) try { fs.writeSync(3, part); } catch {}`,
    "methods of objects": `for (const m of ["__proto__", "constructor", "toString", "hasOwnProperty", "$close", "hello"]) process.send!({ t: "q", m, a: [{}], i: "1" });`,
    prototypes: `process.send!(JSON.parse('{"t":"q","m":"trouble","a":[{"__proto__":{"polluted":1},"changed":["x"]}]}'));`,
    "internal messages": `for (const cmd of ["NODE_HANDLE", "NODE_HANDLE_ACK", "NODE_HANDLE_NACK", "NODE_SOCKET_CLOSED", "NODE_CLUSTER"]) (process as any)._send({ cmd, type: "toString" }, null, true);`,
    "numbers that JSON doesn't have": `process.send!({ x: 1n });`,
    "a message that has itself": `const one: any = { t: 1 }; one.one = one; process.send!(one);`,
    "closed descriptors": `import fs from "node:fs"; for (const fd of [0, 1, 2, 3]) try { fs.closeSync(fd); } catch {}`,
  };
  it.each(Object.keys(SAYS))("%s", async (name) => {
    const before = process.memoryUsage().rss;
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
    await preview("hostile", `${SAYS[name]!}\n${HONEST}`, 4);
    await serves();
    clearInterval(timer);
    expect(peak - before).toBeLessThan(400e6);
  });
});

describe("waits for the next file:", () => {
  const EVIL = `Array.prototype.map = (() => []) as never;`;
  const WAITS: Record<string, string> = {
    "says that nothing remains": `process.send!({ t: "q", m: "remains", a: [{ changed: [], running: [] }] });
setInterval(() => { ${EVIL} }, 50);`,
    immediates: `const more = (): void => { setImmediate(() => { ${EVIL} more(); }).unref(); }; more();`,
    "a timer of a timer": `setTimeout(() => { setTimeout(() => { ${EVIL} }, 300).unref(); }, 0).unref();`,
    "a timer that nothing waits for": `setTimeout(() => { ${EVIL} }, 300).unref();`,
    "a wait for memory": `(Atomics as any).waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300).value.then(() => { ${EVIL} });`,
    "an async hook": `import hooks from "node:async_hooks"; hooks.createHook({ init() { ${EVIL} } }).enable();`,
    "net.Socket": `import net from "node:net"; net.Socket.prototype.write = (() => true) as never;`,
    "a registry of finalizers": `const r = new FinalizationRegistry(() => { ${EVIL} }); for (let i = 0; i < 1000; i++) r.register({}, i);`,
    "the channel's own reader": `for (const s of Object.getOwnPropertySymbols(process)) { const h = (process as any)[s]; if (h && typeof h === "object" && h.onread) h.onread = () => {}; }`,
    "a broadcast channel": `const a = new BroadcastChannel("x"), b = new BroadcastChannel("x"); (a as any).unref(); (b as any).unref(); b.onmessage = () => { ${EVIL} }; setTimeout(() => a.postMessage(1), 200).unref();`,
  };
  it.each(Object.keys(WAITS))("%s", async (name) => {
    await preview("hostile", HONEST.replace("export class", `${WAITS[name]!}\nexport class`), 3);
    for (let i = 0; i < 2; i++) {
      await serves();
      await new Promise((resolve) => setTimeout(resolve, 350));
    }
  });
});
