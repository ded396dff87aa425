/** A cgroup that limits the memory of a program, in version 2 or 1 of cgroups. It takes root, as containers do. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';

export interface MemoryLimit {
  /** What writes its process id here is limited, and so are its children. */
  readonly procs: string;
  /** Once no process is in it any more. */
  readonly remove: () => void;
}

interface Kind {
  readonly root: string;
  /** There when memory can be limited below `root`. */
  readonly sign: string;
  /** Files that take the limit, the first of them for certain: others are for swap, which not every kernel counts. */
  readonly limits: readonly [string, ...string[]];
  readonly isSwapExtra: boolean;
}

const KINDS: readonly Kind[] = [
  {
    root: '/sys/fs/cgroup/memory',
    sign: 'memory.limit_in_bytes',
    limits: ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'],
    isSwapExtra: false,
  },
  {
    root: '/sys/fs/cgroup',
    sign: 'cgroup.subtree_control',
    limits: ['memory.max', 'memory.swap.max'],
    isSwapExtra: true,
  },
];

/** @throws Error that says what is missing */
export function limitMemory(bytes: number): MemoryLimit {
  const kind = KINDS.find(({ root, sign }) => existsSync(`${root}/${sign}`));
  if (kind === undefined) throw new Error('there are no cgroups that could limit memory');
  const folder = `${kind.root}/wskp-bench-${process.pid}`;
  try {
    mkdirSync(folder, { recursive: true });
    const [memory, swap] = kind.limits;
    writeFileSync(`${folder}/${memory}`, String(bytes));
    if (swap !== undefined && existsSync(`${folder}/${swap}`)) {
      writeFileSync(`${folder}/${swap}`, String(kind.isSwapExtra ? 0 : bytes));
    }
  } catch (error) {
    throw new Error(`memory cannot be limited here: ${(error as Error).message}`, { cause: error });
  }
  return { procs: `${folder}/cgroup.procs`, remove: () => rmdirSync(folder) };
}
