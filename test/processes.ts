import { execFileSync } from "node:child_process";

export interface Process {
  pid: number;
  parent: number;
  group: number;
  command: string;
}

/** All processes of this machine. */
export function processes(): Process[] {
  const text = execFileSync("ps", ["-eo", "pid=,ppid=,pgid=,args="], {
    encoding: "utf8",
    maxBuffer: 1 << 24,
  });
  return text.split("\n").flatMap((line) => {
    const found = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line);
    if (!found) return [];
    const [, pid, parent, group, command = ""] = found;
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), command }];
  });
}

/** Kills processes, some of which may have ended meanwhile. @returns how many it found */
export function killAll(pids: readonly number[]): number {
  const found = pids.filter((pid) => {
    try {
      return process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
      throw error;
    }
  });
  return found.length;
}

/** A process and all that it started, directly or not, and that still has its parent. */
export function familyOf(root: number): Process[] {
  const all = processes();
  const family = all.filter(({ pid }) => pid === root);
  for (const member of family) family.push(...all.filter(({ parent }) => parent === member.pid));
  return family;
}
