import { randomFillSync } from 'node:crypto';
import type { RandomInt32 } from '../core/frame.ts';

/** Unpredictable 32-bit integers, drawn from the system's generator 4 KiB at a time. */
export function createRandom(): RandomInt32 {
  const pool = new Int32Array(1024);
  let next = pool.length;
  return () => {
    if (next === pool.length) {
      randomFillSync(pool);
      next = 0;
    }
    return pool[next++] as number;
  };
}
