import type { UpstreamHealth } from '../../src/core/failover.ts';

/** Believes what it is told, and keeps it: the errors, and `reached`. */
export function upstreamMemory(): UpstreamHealth & { readonly told: readonly string[] } {
  const down = new Set<string>();
  const told: string[] = [];
  return {
    told,
    isDown: ({ url }) => down.has(url),
    unreachable({ url }, error) {
      down.add(url);
      told.push(error);
    },
    reached({ url }) {
      down.delete(url);
      told.push('reached');
    },
  };
}
