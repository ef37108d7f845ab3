// Where ids of processes are valid: on one machine, until it is restarted, in one namespace of ids.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface Place {
  /** For people: the name of the machine or container. */
  readonly host: string;
  /** Tells machines of one name apart; empty where the system has no such id. */
  readonly machine: string;
  /** Changes with each start of the machine; empty where the system doesn't tell. */
  readonly boot: string;
  /** Containers have ids of their own; empty where the system doesn't tell. */
  readonly namespace: string;
}

/**
 * For systems without namespaces; and without an id of the boot where starts of processes are times of the calendar.
 */
const ALWAYS = "-";

let place: Place | undefined;

/** Where this process runs. */
export function thisPlace(): Place {
  // Shown to people elsewhere: a name and nothing else.
  place ??= {
    host:
      hostname()
        .slice(0, 255)
        .replace(/[^\w.-]/g, "-") || "-",
    ...ids(),
  };
  return place;
}

function ids(): Omit<Place, "host"> {
  if (process.platform === "linux")
    return {
      // The id itself stays private, as machine-id(5) asks.
      machine: told(() => readFileSync("/etc/machine-id", "utf8"), digest),
      boot: told(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")),
      namespace: told(() => readlinkSync("/proc/self/ns/pid")),
    };
  const boot = process.platform === "darwin" ? told(bootSession) : ALWAYS;
  return { machine: "", boot, namespace: ALWAYS };
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32);

const bootSession = (): string =>
  execFileSync("/usr/sbin/sysctl", ["-n", "kern.bootsessionuuid"], { encoding: "utf8", timeout: 5000 });

function told(read: () => string, as = (text: string): string => text): string {
  try {
    const text = read().trim().slice(0, 100);
    return text === "" ? "" : as(text);
  } catch {
    return "";
  }
}

/**
 * Relation of another process's place to this one. "here": its id can be looked up. "before": it ran on this machine
 * before the machine's last start, so it has ended. "unknown": another machine or container, or it can't be told.
 */
export function relation(other: Place, own: Place = thisPlace()): "here" | "before" | "unknown" {
  if (other.host !== own.host || other.machine !== own.machine) return "unknown";
  if (other.boot === "" || own.boot === "") return "unknown";
  if (other.boot !== own.boot) return "before";
  return own.namespace !== "" && other.namespace === own.namespace ? "here" : "unknown";
}
