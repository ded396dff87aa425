/** glibc raises its thresholds for a block up to 32 MiB. */
const BLOCK_BYTES = 31 * 1024 * 1024;

/**
 * Has the C library keep what is freed for the next piece of a plain HTTP body. By default glibc gives the top of its heap back to the
 * kernel as soon as 128 KiB are free there, and faults it in again for Node's copy of the next piece: a body of 1 GiB takes up to twice
 * as long. When a block that was mapped is freed, glibc maps and gives back only what is larger from then on (mallopt(3),
 * `M_MMAP_THRESHOLD`). The block is never touched, so it takes no memory, and goes with a message to a port that is closed before it is
 * read, because the collector would take its time. musl does none of this.
 */
export function raiseAllocatorThresholds(): void {
  const block = new ArrayBuffer(BLOCK_BYTES);
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(block, [block]);
  // The end that the message went to. The other one only waits for this one to have read it.
  port2.close();
}
