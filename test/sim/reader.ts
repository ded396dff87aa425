import type { ChunkReader } from '../../src/io/dial.ts';

/** What reads a socket of the proxy. */
export interface SimReader extends ChunkReader {
  /** Whether the newest chunk is needed after the call that brought it; if not, it is overwritten. */
  isKept: boolean;
}

export function createReader(): SimReader {
  const reader: SimReader = {
    onread: { buffer: Buffer.alloc(0), callback: () => true },
    onChunk: () => true,
    isKept: false,
    keep() {
      reader.isKept = true;
    },
  };
  return reader;
}
